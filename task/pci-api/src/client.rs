//! Typed calls to the PCI task.

use crate::message::{Request, Wire};
use crate::{
    BootStatus, BusMaster, ConfigRead, ConfigValue, ConfigWrite, Describe, Description, Done,
    Error, GetBootStatus, Payload, QuiesceResult, QuiesceStart, QuiesceState, Width,
};

/// Why a call brought no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallError {
    /// The server refused.
    Refused(Error),
    /// The server died or is down: `DEAD`, `DOWN` or `HELD`. Whatever it was asked to do may or may not
    /// have been done; its successor tells what is so ([`crate`], "A new life").
    Unavailable(abi::Code),
    /// The reply is not of this protocol.
    Nonsense,
}

/// What a call needs from below: one message of up to 64 bytes to the PCI task, and its reply.
pub trait Transport {
    /// Sends the first `len` bytes of `payload`; gives code, payload and length of the reply.
    fn call(
        &mut self,
        operation: u16,
        payload: &Payload,
        len: usize,
        reply_capacity: usize,
    ) -> (abi::Code, Payload, usize);
}

/// The PCI task as seen by a client.
pub struct Client<T>(pub T);

impl<T: Transport> Client<T> {
    fn ask<R: Request>(&mut self, request: R) -> Result<R::Reply, CallError> {
        let (code, payload, len) = self.0.call(
            R::OPERATION as u16,
            &request.to_words(),
            R::LEN,
            <R::Reply as Wire>::LEN,
        );
        if code.0 >= abi::Code::KERNEL_FIRST {
            return Err(CallError::Unavailable(code));
        }
        if code != abi::Code::OK {
            let error = Error::from_code(code.0).ok_or(CallError::Nonsense)?;
            return Err(CallError::Refused(error));
        }
        if len != <R::Reply as Wire>::LEN {
            return Err(CallError::Nonsense);
        }
        <R::Reply as Wire>::from_words(&payload).ok_or(CallError::Nonsense)
    }

    /// Reads a register in the configuration space of the caller's device.
    pub fn config_read(
        &mut self,
        device: u32,
        offset: u16,
        width: Width,
    ) -> Result<u32, CallError> {
        let request = ConfigRead {
            device,
            offset,
            width,
        };
        self.ask(request).map(|ConfigValue(value)| value)
    }

    /// Writes a register of the allow-list ([`ConfigWrite`]) of the caller's device.
    pub fn config_write(
        &mut self,
        device: u32,
        offset: u16,
        width: Width,
        value: u32,
    ) -> Result<(), CallError> {
        let request = ConfigWrite {
            device,
            offset,
            width,
            value,
        };
        self.ask(request).map(|Done| ())
    }

    /// What was found of a device.
    pub fn describe(&mut self, device: u32) -> Result<Description, CallError> {
        self.ask(Describe { device })
    }

    /// Outcome of the enumeration. Authority only.
    pub fn boot_status(&mut self) -> Result<BootStatus, CallError> {
        self.ask(GetBootStatus)
    }

    /// Turns bus mastering on or off. Authority only.
    pub fn bus_master(&mut self, device: u32, on: bool) -> Result<(), CallError> {
        self.ask(BusMaster { device, on }).map(|Done| ())
    }

    /// Begins a quiesce; [`crate::QUIESCED`] is posted at its end. Authority only.
    pub fn quiesce_start(&mut self, device: u32) -> Result<(), CallError> {
        self.ask(QuiesceStart { device }).map(|Done| ())
    }

    /// How the last quiesce of a device went. Authority only.
    pub fn quiesce_result(&mut self, device: u32) -> Result<QuiesceState, CallError> {
        self.ask(QuiesceResult { device })
    }
}

#[cfg(feature = "client")]
impl Transport for &userlib::server::Server {
    fn call(
        &mut self,
        operation: u16,
        payload: &Payload,
        len: usize,
        reply_capacity: usize,
    ) -> (abi::Code, Payload, usize) {
        use userlib::server::CallError;

        let code =
            match userlib::server::Server::call(self, operation, payload, len, reply_capacity, &[])
            {
                Ok(answer) => return (answer.code, answer.payload, answer.len),
                Err(CallError::Dead) => abi::Code::DEAD,
                Err(CallError::Down) => abi::Code::DOWN,
                Err(CallError::Held) => abi::Code::HELD,
                Err(CallError::Code(code)) => abi::Code(code),
            };
        (code, [0; 8], 0)
    }
}
