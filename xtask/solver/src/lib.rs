//! The relations between devices, and the domain of each, computed from a description of the machine.
//!
//! [`solve`] takes a [`model::Machine`] and returns a [`solution::Solution`]. It reads
//! nothing else and keeps no state: the same machine gives the same solution, in whatever order its
//! parts were declared. Mistakes are never an early return: all of them are in
//! [`Solution::diagnostics`](solution::Solution::diagnostics), each with its parties, the chain of edges
//! between them and remedies that were tried by solving again.
//!
//! Two functions of one slot, which can reach each other below the SMMU, and a driver for each:
//!
//! ```
//! use solver::model::*;
//! use solver::{Code, Machine, Options, solve};
//!
//! let mut machine = Machine::default();
//! machine.smmus.push(Smmu { name: "smmu".into(), ..Smmu::default() });
//! let all = StreamRange { requester: 0, len: 0x1_0000, smmu: SmmuId(0), stream: 0 };
//! machine.roots.push(RootBus {
//!     name: "pcie".into(),
//!     bus_last: 255,
//!     streams: vec![all],
//!     ..RootBus::default()
//! });
//! for (number, device) in ["disk", "network"].into_iter().enumerate() {
//!     let owner = Owner { name: format!("{device}-driver"), ..Owner::default() };
//!     machine.owners.push(owner);
//!     machine.nodes.push(Node {
//!         name: device.into(),
//!         place: Place::Slot { upstream: Upstream::Root(RootId(0)), device: 1, function: number as u8 },
//!         function: Function { kind: FunctionKind::RootComplexEndpoint, ..Function::default() },
//!         owner: Some(OwnerId::new(number)),
//!         ..Node::default()
//!     });
//! }
//! let solution = solve(&machine, &Options::default());
//!
//! // Neither driver has said that it trusts the other.
//! let codes: Vec<Code> = solution.diagnostics.iter().map(|mistake| mistake.code).collect();
//! assert_eq!(codes, [Code::GroupTrust]);
//! let remedy = &solution.diagnostics[0].remedies[0].text;
//! assert_eq!(
//!     remedy,
//!     "declare that `disk-driver` trusts `network-driver` and `network-driver` trusts `disk-driver`"
//! );
//!
//! // With trust the machine has no mistake: one group, and a domain for each, since their StreamIDs differ.
//! for (from, to) in [(0, 1), (1, 0)] {
//!     machine.trust.push(Trust { from: OwnerId(from), to: OwnerId(to), source: Source::default() });
//! }
//! let solution = solve(&machine, &Options::default());
//! assert!(solution.diagnostics.is_empty());
//! assert_eq!((solution.groups.len(), solution.domains.len()), (1, 2));
//! ```
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
mod erratum;
mod explain;
mod forgery;
mod holder;
mod image;
mod isolation;
pub mod model;
mod named_group;
mod open_unowned;
mod ownership;
mod pairs;
pub mod quirk;
mod reach;
mod relation;
mod remedy;
mod reset;
pub mod solution;
mod solve;
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
pub use reach::{Difference, Forges, Reach, Summary, diff, reach, summary};
pub use solution::Solution;
pub use solve::{Options, solve};
