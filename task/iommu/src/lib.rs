//! The IOMMU server's core: generic over the hardware and the system around it.
//!
//! * [`protocol`]: form, dispatch, requests that change nothing; `claims`, `requests`, `map`, `unmap` and `lists`: those
//!   that do.
//! * [`indices`]: devices, tasks and SMMUs by number. [`life`]: who holds what, a state machine without hardware;
//!   [`device`] and [`session`] around it. [`slot`]: what an authorised request works on.
//! * [`space`]: IOVAs and table entries.
//! * [`stream`]: opening and closing streams in a safe order, invalidation.
//! * [`queue`]: commands, completion, errors.
//! * [`events`] and [`fault_lines`]: faults, for claimants and for people.
//! * `turns`: what the loop does between requests; `intake`: event records.
//! * [`containment`]: deaths; `waiting`: what waits until a device is quiet; `cut_off` and `gates`: closing by force,
//!   opening and closing one device. Calls between these files go down only.
//! * `estate`, `adoption` and `survey`: after this server's own death.
//! * `start`: the order of a start; [`boot`], [`check`] and [`premapped`]: bringing an SMMU up, [`recheck`]
//!   when it is on; `always_open`: devices that reach their direct
//!   regions while nobody has claimed them.
//! * `quiesce_sharers`: waiting for what shares streams; `units`: what is stopped together.
//!
//! [`mapped`] is the hardware of a task that owns an SMMU; what the task has around it is the program's.
//!
//! The sections of IHI 0070 in comments are those of edition G.b.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(test)]
extern crate std;

mod adoption;
mod always_open;
pub mod boot;
pub mod boot_refusal;
pub mod check;
mod claims;
pub mod containment;
mod cut_off;
pub mod device;
mod devices;
mod estate;
pub mod events;
mod exchange;
pub mod fault_lines;
mod gates;
pub mod hardware;
pub mod indices;
mod intake;
mod kept;
pub mod lazy;
mod lent;
pub mod life;
pub mod limits;
mod lists;
pub mod log;
mod map;
pub mod mapped;
mod message;
pub mod plan_view;
pub mod premapped;
pub mod protocol;
pub mod queue;
mod quiesce_sharers;
pub mod recheck;
pub mod refusals;
mod refused_claims;
mod registration;
mod requests;
pub mod server;
pub mod session;
pub mod slot;
mod smmus;
mod snapshot;
pub mod space;
mod spaces;
mod start;
pub mod stream;
mod survey;
#[cfg(test)]
mod tests;
mod turns;
mod units;
mod unmap;
mod waiting;
pub mod why;

pub use message::{Reply, Request, is_exchange, is_list, is_map, is_unmap};
pub use server::Server;
