//! Typed calls for a task that inspects.

use userlib::protocol::{self, Caller};

use crate::{Ask, Error, OPERATION, Snapshot, Subject};

/// Why there is no record.
pub type Failure = protocol::Failure<Error>;

/// Asks a server for one record.
///
/// # Errors
/// The server refuses, or is down.
pub fn ask(server: &impl Caller, subject: Subject, index: u32) -> Result<Snapshot, Failure> {
    server.exchange(OPERATION, &Ask { subject, index }, &[])
}
