//! The relations between devices, and the domain of each, computed from a description of the machine.
//!
//! [`solve`] takes a [`model::Machine`] and returns a [`solution::Solution`]. It reads
//! nothing else and keeps no state: the same machine gives the same solution, in whatever order its
//! parts were declared. Mistakes are never an early return: all of them are in
//! [`Solution::diagnostics`](solution::Solution::diagnostics), each with its parties, the chain of edges
//! between them and remedies that were tried by solving again.
#![forbid(unsafe_code)]

mod alias;
mod allocate;
mod alternative;
mod bypass;
mod change;
mod diagnostic;
mod direct;
mod disjoint;
mod domain;
mod edge;
mod explain;
mod forgery;
mod holder;
mod image;
mod isolation;
pub mod model;
mod named_group;
mod ownership;
pub mod quirk;
mod reach;
mod relation;
mod remedy;
mod reset;
pub mod solution;
mod solve;
mod standing;
mod steps;
mod stranger;
mod topology;
mod unowned;
mod usable;
mod waiver;

pub use change::Change;
pub use diagnostic::{Code, Diagnostic, Party, Remedy, Severity, Short};
pub use explain::{Explanation, Step, explain};
pub use model::Machine;
pub use reach::{Difference, Reach, Summary, diff, reach, summary};
pub use solution::Solution;
pub use solve::{Options, solve};
