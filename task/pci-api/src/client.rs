//! Typed calls to the PCI task.

use userlib::protocol::{self, Caller};

use crate::{
    BootStatus, BusMaster, ConfigRead, ConfigValue, ConfigWrite, Describe, Description, Error,
    GetBootStatus, QuiesceResult, QuiesceStart, QuiesceState, Request, Width,
};

/// Why a call brought no answer. After an outage the PCI task's next life tells what is so ([`crate`], "A new life").
pub type Failure = protocol::Failure<Error>;

/// The PCI task as seen by a client.
pub struct Client<C>(pub C);

impl<C: Caller> Client<C> {
    fn ask<R: Request>(&self, request: R) -> Result<R::Reply, Failure> {
        self.0.exchange(R::OPERATION as u16, &request, &[])
    }

    /// Reads a register in the configuration space of the caller's device.
    pub fn config_read(&self, device: u32, offset: u16, width: Width) -> Result<u32, Failure> {
        let request = ConfigRead {
            device,
            offset,
            width,
        };
        self.ask(request).map(|ConfigValue(value)| value)
    }

    /// Writes a register of the allow-list ([`ConfigWrite`]) of the caller's device.
    pub fn config_write(
        &self,
        device: u32,
        offset: u16,
        width: Width,
        value: u32,
    ) -> Result<(), Failure> {
        let request = ConfigWrite {
            device,
            offset,
            width,
            value,
        };
        self.ask(request)
    }

    /// Asks what was found of a device.
    pub fn describe(&self, device: u32) -> Result<Description, Failure> {
        self.ask(Describe { device })
    }

    /// Outcome of the enumeration. Authority only.
    pub fn boot_status(&self) -> Result<BootStatus, Failure> {
        self.ask(GetBootStatus)
    }

    /// Turns bus mastering on or off. Authority only.
    pub fn bus_master(&self, device: u32, on: bool) -> Result<(), Failure> {
        self.ask(BusMaster { device, on })
    }

    /// Begins a quiesce; [`crate::QUIESCED`] is posted at its end. Authority only.
    pub fn quiesce_start(&self, device: u32) -> Result<(), Failure> {
        self.ask(QuiesceStart { device })
    }

    /// How the last quiesce of a device went. Authority only.
    pub fn quiesce_result(&self, device: u32) -> Result<QuiesceState, Failure> {
        self.ask(QuiesceResult { device })
    }
}
