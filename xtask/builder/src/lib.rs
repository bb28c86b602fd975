//! From a plan to an image: programs are compiled, laid out and packed. Steps 3 to 5 of the build, and [`show`], which says the plan for people and other tools.
#![forbid(unsafe_code)]

pub mod compile;
pub mod layout;
pub mod pack;
pub mod show;
