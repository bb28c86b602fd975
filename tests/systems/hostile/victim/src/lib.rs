//! Illegal system calls, one a life.
#![no_std]
#![forbid(unsafe_code)]

pub mod illegal;
