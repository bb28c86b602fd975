//! Host tests: a small system on a fake machine, played register by register.

mod fake;
mod world;

mod receive;
mod reply;
mod send;
