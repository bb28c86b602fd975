//! The calling side.

use abi::TaskId;
use userlib::ipc::LeaseBuffer;
use userlib::protocol::{self, Caller};
use userlib::server::Server;

use crate::{Completions, Error, Geometry, Operation, Transfer, result};

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

    /// The driver as a [`Queue`](queue_api::client::Queue) calls it.
    pub const fn caller(&self) -> &Server {
        &self.driver
    }

    /// Gives the driver up to [`REQUESTS_MAX`](crate::REQUESTS_MAX) requests, and takes the completions that there are.
    /// `buffer` is the region [`LEASE`](crate::LEASE), if they name it.
    pub fn run(
        &self,
        transfers: &[Transfer],
        buffer: Option<LeaseBuffer<'_>>,
    ) -> Result<Completions, Failure> {
        self.exchange(queue_api::Operation::Run, transfers, buffer)
    }

    /// The same, but waits until there is a completion, or nothing is under way.
    pub fn wait(
        &self,
        transfers: &[Transfer],
        buffer: Option<LeaseBuffer<'_>>,
    ) -> Result<Completions, Failure> {
        self.exchange(queue_api::Operation::Wait, transfers, buffer)
    }

    fn exchange(
        &self,
        operation: queue_api::Operation,
        transfers: &[Transfer],
        buffer: Option<LeaseBuffer<'_>>,
    ) -> Result<Completions, Failure> {
        let requests = transfers.iter().map(Transfer::request);
        let leases = buffer.as_slice();
        queue_api::client::exchange(&self.driver, operation, requests, leases)
    }

    /// Lends a pool for good, as region number `region`, from 1 to [`REGIONS_MAX`](crate::REGIONS_MAX) - 1. The next
    /// life of the driver has to be lent it again.
    pub fn lend(&self, region: u8, memory: LeaseBuffer<'_>) -> Result<(), Failure> {
        queue_api::client::lend(&self.driver, region, memory)
    }

    /// Takes a region back, of which nothing is under way.
    pub fn forget(&self, region: u8) -> Result<(), Failure> {
        queue_api::client::forget(&self.driver, region)
    }

    /// One request, and its result. This task has no other under way.
    pub fn one(&self, transfer: &Transfer, buffer: Option<LeaseBuffer<'_>>) -> Result<(), Failure> {
        let mut completions = self.wait(core::slice::from_ref(transfer), buffer)?;
        match completions.next() {
            Some(completion) if completion.tag() == transfer.tag => {
                result(completion).map(|_| ()).map_err(Failure::Refused)
            }
            _ => Err(Failure::Nonsense),
        }
    }
}
