//! The device as the serving half of the block protocol has it.

use abi::TaskId;
use blk_api::{Error, Geometry};
use blk_server::controller::Controller;
use blk_server::request::{Finished, Request};
use userlib::delay::DelayNs;
use userlib::memory::Memory;
use userlib::registers::Registers;

use crate::request::Requests;
use crate::transport::{Isr, Negotiated, Transport};

/// A device that runs, and the requests that it has.
#[derive(Debug)]
pub struct Disk<R, M> {
    /// Its registers.
    pub transport: Transport<R>,
    /// The features and sizes that driver and device agreed on.
    pub negotiated: Negotiated,
    /// Its only queue, and what is in it.
    pub requests: Requests<M>,
}

impl<R: Registers, M: Memory> Controller for Disk<R, M> {
    #[inline(always)]
    fn geometry(&self, _: TaskId) -> &Geometry {
        &self.negotiated.geometry
    }
    #[inline(always)]
    fn room(&self) -> usize {
        self.requests.room()
    }
    fn is_idle(&self) -> bool {
        self.requests.is_idle()
    }
    fn any_of(&self, client: TaskId) -> bool {
        self.requests.any_of(client)
    }
    #[inline(always)]
    fn request(&self, slot: u32) -> &Request {
        self.requests.request(slot)
    }
    #[inline(always)]
    fn start(&mut self, request: Request, sector: u64) -> Result<(), Error> {
        self.requests.start(request, sector)
    }
    #[inline(always)]
    fn announce(&mut self) {
        if self.requests.announce() {
            self.transport.notify(&self.negotiated);
        }
    }
    #[inline(always)]
    fn acknowledge(&mut self, _: u32) -> Result<(), &'static str> {
        let isr = self.transport.acknowledge();
        if isr.contains(Isr::CONFIGURATION) && self.transport.needs_reset() {
            return Err("the device asks for a reset");
        }
        Ok(())
    }
    #[inline(always)]
    fn finished(&mut self) -> Result<Option<Finished>, &'static str> {
        self.requests.finished().map_err(|fault| fault.name())
    }
    #[inline(always)]
    fn taken(&mut self) {}
    fn fail(&mut self) {
        self.transport.fail();
    }
    fn has_cache(&self) -> bool {
        self.negotiated.geometry.flush
    }
    fn shut_down(&mut self, delay: &mut impl DelayNs) -> Result<(), &'static str> {
        self.transport.reset(delay).map_err(|error| error.name())
    }
}
