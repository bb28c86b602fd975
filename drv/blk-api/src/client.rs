//! The calling side.

use abi::TaskId;
use userlib::ipc::LeaseBuffer;
use userlib::protocol::{self, Caller};
use userlib::server::Server;

use crate::{Completion, Error, Geometry, Kind, Operation, Submit, decode_collected};

/// Why a call to the driver brought nothing. If the driver died, every request in flight is lost; its buffer is the
/// client's again once the driver is up, since the kernel keeps what a device may still write until then.
pub type Failure = protocol::Failure<Error>;

/// A disk behind its driver.
#[derive(Debug)]
pub struct Disk {
    driver: Server,
}

impl Disk {
    /// The disk that the task called `driver` in `app.toml` serves, if this task may call it.
    pub fn named(driver: &str) -> Option<Self> {
        Server::named(driver).map(|driver| Self { driver })
    }

    /// The driver's id, as last known.
    pub fn driver(&self) -> TaskId {
        self.driver.id()
    }

    /// Learns the driver's current id, after it was started again.
    pub fn refresh(&self) {
        self.driver.refresh();
    }

    /// Asks for the geometry.
    pub fn geometry(&self) -> Result<Geometry, Failure> {
        self.driver.exchange(Operation::Geometry as u16, &(), &[])
    }

    /// Submits a read or write; `buffer` is page-aligned, see the crate's documentation.
    pub fn submit(&self, request: &Submit, buffer: LeaseBuffer<'_>) -> Result<(), Failure> {
        self.driver
            .exchange(Operation::Submit as u16, request, &[buffer])
    }

    /// Submits a flush.
    pub fn flush(&self, tag: u32) -> Result<(), Failure> {
        let request = Submit {
            kind: Kind::Flush,
            tag,
            sector: 0,
            count: 0,
        };
        self.driver
            .exchange(Operation::Submit as u16, &request, &[])
    }

    /// Takes up to seven completions; none if none are ready.
    pub fn collect(&self) -> Result<impl Iterator<Item = Completion> + use<>, Failure> {
        let operation = Operation::Collect as u16;
        match self.driver.call(operation, &[0; 8], 0, 64, &[]) {
            Ok(answer) => decode_collected(&answer.payload, answer.len).ok_or(Failure::Nonsense),
            Err(failure) => Err(failure.of_protocol()),
        }
    }
}
