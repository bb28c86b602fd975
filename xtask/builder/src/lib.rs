//! From a plan to an image: programs are compiled, placed, described by tables and packed. Steps 3 to 6 of the
//! build, and [`show`], which says the plan for people and other tools.
#![forbid(unsafe_code)]

pub mod compile;
pub mod pack;
pub mod place;
pub mod show;
pub mod tables;
