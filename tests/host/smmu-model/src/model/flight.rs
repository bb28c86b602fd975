//! Transactions of devices: translated now, performed later.

use super::Model;
use super::event::Fault;

/// A transaction that was translated but has not reached memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flight {
    /// Which device, for resets.
    pub device: u32,
    /// Its stream.
    pub stream: u32,
    /// The input address.
    pub input: u64,
    /// The physical address.
    pub output: u64,
    /// Whether it writes.
    pub write: bool,
    /// Memory attribute byte; `None`: it bypassed the SMMU's translation.
    pub attribute: Option<u8>,
}

/// Most transactions kept in flight.
const FLIGHTS_MAX: usize = 16;

impl Model {
    /// A device begins a transaction. What it addresses is reached later; see [`Model::take_landed`].
    ///
    /// # Errors
    /// Why it was aborted; recorded, unless the fault has no event.
    pub fn access(
        &mut self,
        device: u32,
        stream: u32,
        input: u64,
        write: bool,
    ) -> Result<Flight, Fault> {
        self.act();
        self.begin(device, stream, input, write)
    }

    pub(crate) fn begin(
        &mut self,
        device: u32,
        stream: u32,
        input: u64,
        write: bool,
    ) -> Result<Flight, Fault> {
        match self.translate(stream, input, write) {
            Ok(translated) => {
                let flight = Flight {
                    device,
                    stream,
                    input,
                    output: translated.output,
                    write,
                    attribute: translated.attribute,
                };
                if self.flights.len() >= FLIGHTS_MAX {
                    self.perform_one();
                }
                self.flights.push(flight);
                Ok(flight)
            }
            Err(fault) => {
                self.record(fault, stream, input, write);
                Err(fault)
            }
        }
    }

    /// Transactions that have reached memory since the last look.
    pub fn take_landed(&mut self) -> Vec<Flight> {
        std::mem::take(&mut self.landed)
    }

    /// Transactions that have not reached memory.
    #[must_use]
    pub fn flights(&self) -> &[Flight] {
        &self.flights
    }

    /// A device ends what it has in flight, as before its driver unmaps.
    pub fn finish_device(&mut self, device: u32) {
        self.finish_flights(|flight| flight.device == device);
    }

    /// Devices that would keep some transactions over a SYNC end them.
    pub fn finish_outliving(&mut self, ends: impl Fn(&Flight) -> bool) {
        if self.liberties.outlive {
            self.finish_flights(ends);
        }
    }

    fn finish_flights(&mut self, ends: impl Fn(&Flight) -> bool) {
        let (ended, left) = self.flights.drain(..).partition(ends);
        self.flights = left;
        self.landed.extend::<Vec<Flight>>(ended);
    }

    /// A device is reset: what it had in flight is gone.
    pub fn reset_device(&mut self, device: u32) {
        self.flights.retain(|flight| flight.device != device);
    }

    pub(crate) fn perform_one(&mut self) {
        let index = self.chooser.below(self.flights.len());
        if index < self.flights.len() {
            let flight = self.flights.swap_remove(index);
            self.landed.push(flight);
        }
    }

    /// A SYNC completes (rule E10). Devices of the other kind keep what they translated until a reset.
    pub(crate) fn perform_flights(&mut self) {
        if !self.liberties.outlive {
            self.landed.append(&mut self.flights);
        }
    }
}
