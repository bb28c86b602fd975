//! The calling side.

use abi::TaskId;
use userlib::ipc::{LeaseBuffer, Payload};
use userlib::server::{CallError, Server};

use crate::{Completion, Error, Geometry, Kind, Operation, Submit, decode_collected};

/// Why a call to the driver brought nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The driver refused.
    Refused(Error),
    /// The driver died; every request in flight is lost, its buffer is the client's again once the
    /// driver is up (the kernel keeps what a device may still write until then).
    Dead,
    /// The driver is down now; wait until it is up again.
    Down,
    /// The driver is down and will not come back.
    Gone,
}

impl Failure {
    /// Its name for a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused(error) => error.name(),
            Self::Dead => "the driver died",
            Self::Down => "the driver is down",
            Self::Gone => "the driver will not come back",
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Dead => Self::Dead,
            CallError::Down => Self::Down,
            CallError::Held => Self::Gone,
            CallError::Code(code) => {
                Self::Refused(Error::from_code(code).unwrap_or(Error::Malformed))
            }
        }
    }
}

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
        let none: Payload = [0; 8];
        let answer =
            self.driver
                .call(Operation::Geometry as u16, &none, 0, Geometry::BYTES, &[])?;
        Ok(Geometry::decode(&answer.payload))
    }

    /// Submits a read or write; `buffer` is page-aligned, see the crate's documentation.
    pub fn submit(&self, request: &Submit, buffer: LeaseBuffer<'_>) -> Result<(), Failure> {
        let operation = Operation::Submit as u16;
        self.driver
            .call(operation, &request.encode(), Submit::BYTES, 0, &[buffer])?;
        Ok(())
    }

    /// Submits a flush.
    pub fn flush(&self, tag: u32) -> Result<(), Failure> {
        let request = Submit {
            kind: Kind::Flush,
            tag,
            sector: 0,
            count: 0,
        };
        let operation = Operation::Submit as u16;
        self.driver
            .call(operation, &request.encode(), Submit::BYTES, 0, &[])?;
        Ok(())
    }

    /// Takes up to seven completions; none if none are ready.
    pub fn collect(&self) -> Result<impl Iterator<Item = Completion> + use<>, Failure> {
        let none: Payload = [0; 8];
        let answer = self
            .driver
            .call(Operation::Collect as u16, &none, 0, 64, &[])?;
        Ok(decode_collected(&answer.payload))
    }
}
