//! Typed calls to the supervisor.

use userlib::config;
use userlib::plan::task::PeerEntry;
use userlib::protocol::{self, Caller};
use userlib::server::Server;

use crate::{Detail, Error, Operation, Outcome, Report};

/// Why a report was not taken.
pub type Failure = protocol::Failure<Error>;

/// Whether the plan lets the calling task report. One that reports without this right dies.
pub fn may_report() -> bool {
    let supervisor = config::own().supervisor;
    config::table::<PeerEntry>()
        .iter()
        .any(|peer| peer.index == supervisor && peer.may_send == 1)
}

/// Reports the calling task's outcome to the supervisor. What does not fit into a [`Detail`] is cut off.
pub fn report(outcome: Outcome, detail: &str) -> Result<(), Failure> {
    let supervisor = Server::at(config::own().supervisor as usize);
    let report = Report {
        outcome,
        detail: Detail::new(detail),
    };
    supervisor.exchange(Operation::Report as u16, &report, &[])
}

/// Says that the calling task has finished, as it was asked to. One that may not call the supervisor cannot: it is
/// stopped when its time is over.
pub fn finished() -> Result<(), Failure> {
    if !may_report() {
        return Ok(());
    }
    let supervisor = Server::at(config::own().supervisor as usize);
    supervisor.exchange(Operation::Finished as u16, &(), &[])
}
