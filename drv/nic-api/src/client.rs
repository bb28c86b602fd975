//! The calling side.

use abi::TaskId;
use userlib::ipc::LeaseBuffer;
use userlib::protocol::{self, Caller};
use userlib::server::Server;

use crate::{Completions, Error, Interface, Operation, Request};

/// Why a call to the driver brought nothing. If the driver died, every page that it had is the client's again once the
/// driver is up: the kernel keeps until then what a device may still write.
pub type Failure = protocol::Failure<Error>;

/// A network interface behind its driver.
#[derive(Debug)]
pub struct Nic {
    driver: Server,
}

impl Nic {
    /// The interface that the task called `driver` in `app.toml` serves, if this task may call it.
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

    /// The driver as a [`Queue`](queue_api::client::Queue) calls it. A queue gives every page to the next life of a driver
    /// that died, frames to go included: a frame may go twice, as on any network.
    pub const fn caller(&self) -> &Server {
        &self.driver
    }

    /// Asks what interface it is.
    pub fn interface(&self) -> Result<Interface, Failure> {
        self.driver.exchange(Operation::Interface as u16, &(), &[])
    }

    /// Gives the driver up to [`REQUESTS_MAX`](crate::REQUESTS_MAX) requests, and takes the completions that there are.
    /// `buffer` is the region [`LEASE`](crate::LEASE), if they name it.
    pub fn run(
        &self,
        requests: &[Request],
        buffer: Option<LeaseBuffer<'_>>,
    ) -> Result<Completions, Failure> {
        self.exchange(queue_api::Operation::Run, requests, buffer)
    }

    /// The same, but waits until there is a completion, or nothing is under way.
    pub fn wait(
        &self,
        requests: &[Request],
        buffer: Option<LeaseBuffer<'_>>,
    ) -> Result<Completions, Failure> {
        self.exchange(queue_api::Operation::Wait, requests, buffer)
    }

    fn exchange(
        &self,
        operation: queue_api::Operation,
        requests: &[Request],
        buffer: Option<LeaseBuffer<'_>>,
    ) -> Result<Completions, Failure> {
        let requests = requests.iter().copied();
        queue_api::client::exchange(&self.driver, operation, requests, buffer.as_slice())
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
}
