//! The configuration writes that an owner may make for its device.
//!
//! The list itself is documented with [`pci_api::ConfigWrite`]. Everything else is refused: an address of
//! a BAR would let the device answer for another, bus mastering is the authority's, and registers of
//! unknown meaning may do either.

use pci_api::{Error, Width};

use crate::config::ConfigSpace;
use crate::fabric::Fabric;
use crate::program;
use crate::registers::{
    CACHE_LINE, COMMAND, COMMAND_INTX_OFF, EXPRESS_ERRORS, EXPRESS_STATUS, INTERRUPT_LINE, STATUS,
    STATUS_ERRORS,
};

impl Fabric<'_> {
    /// Carries out an owner's write of `value`, which fits into `width`, if it is allowed.
    pub(crate) fn owner_write<C: ConfigSpace>(
        &mut self,
        space: &C,
        index: usize,
        offset: u16,
        width: Width,
        value: u32,
    ) -> Result<(), Error> {
        let (Some(entry), Some(state)) = (self.plan.get(index), self.states.get(index)) else {
            return Err(Error::NoSuchDevice);
        };
        let device_status = (state.express != 0).then(|| state.express + EXPRESS_STATUS);
        let is_subset = |of: u16| value & !u32::from(of) == 0;
        match (offset, width) {
            (COMMAND, Width::HalfWord) => {
                // Compared with what this task wrote last, not with what the device shows.
                let now = u32::from(program::command(entry, state, self.forwards(index)));
                if (value ^ now) & !u32::from(COMMAND_INTX_OFF) != 0 {
                    return Err(Error::WriteRefused);
                }
                if let Some(state) = self.states.get_mut(index) {
                    state.intx_off = value & u32::from(COMMAND_INTX_OFF) != 0;
                }
                self.write_command(space, index);
                return Ok(());
            }
            (STATUS, Width::HalfWord) if is_subset(STATUS_ERRORS) => {}
            (CACHE_LINE | INTERRUPT_LINE, Width::Byte) => {}
            (at, Width::HalfWord) if Some(at) == device_status && is_subset(EXPRESS_ERRORS) => {}
            _ => return Err(Error::WriteRefused),
        }
        space.write(Self::address(entry), offset, width, value);
        Ok(())
    }
}
