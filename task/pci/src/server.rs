//! Messages: decode, authorise, dispatch.

use pci_api::{
    BusMaster, ConfigRead, ConfigValue, ConfigWrite, Describe, Description, DeviceState, Error,
    GetBootStatus, Mismatch, Operation, QuiesceResult, QuiesceStart, Width,
};
use status_api::{Ask, Snapshot};
use userlib::ipc::Payload;
use userlib::protocol::Wire;

use crate::config::{BarRegisters, ConfigSpace, Function, Record};
use crate::fabric::{Fabric, on_pci};
use crate::messages;
use crate::progress::Progress;
use crate::quiesce::Wake;
use crate::registers::BUS_NUMBERS;
use crate::snapshot;

/// A message as received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Index of the task that sent it.
    pub sender: usize,
    /// Number of the operation.
    pub operation: u16,
    /// The message's payload, if it is not longer than 64 bytes.
    pub payload: &'a Payload,
    /// The message's length, bytes.
    pub len: usize,
    /// Bytes that the sender can take; a longer reply would fault the server.
    pub reply_capacity: usize,
    /// Leases that came with it.
    pub leases: usize,
}

/// The reply to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// 0 or a [`pci_api::Error`].
    pub code: u32,
    /// Payload.
    pub payload: Payload,
    /// The reply's length, bytes; 0 with an error.
    pub len: usize,
}

/// The fabric, and who may do what with it.
pub struct Server<'p, H> {
    fabric: Fabric<'p>,
    hardware: H,
    authority: Option<usize>,
}

impl<'p, H: ConfigSpace + BarRegisters + Record> Server<'p, H> {
    /// Serves an enumerated fabric. `authority` is the index of the task with `dma-authority`.
    pub fn new(fabric: Fabric<'p>, hardware: H, authority: Option<usize>) -> Self {
        Self {
            fabric,
            hardware,
            authority,
        }
    }

    /// Answers one message. `now` tells the time in nanoseconds, if it matters; [`Self::step`] has to follow.
    pub fn handle(&mut self, request: &Request<'_>, now: impl FnOnce() -> u64) -> Answer {
        if request.operation == status_api::OPERATION {
            return self.inspected(request);
        }
        // Written where it stays: it would be copied on its way through a result.
        let mut answer = Answer {
            code: 0,
            payload: [0; 8],
            len: 0,
        };
        match self.dispatch(request, now, &mut answer.payload) {
            Ok(len) => answer.len = len,
            Err(error) => answer.code = error as u32,
        }
        // Before the reply, and before the next step begins a reset.
        self.fabric.keep(&self.hardware);
        answer
    }

    /// Answers a request for a status record. Whoever may call may ask, as with `describe`.
    #[inline(never)]
    fn inspected(&self, request: &Request<'_>) -> Answer {
        let asked = Ask::from_message(request.payload, request.len);
        let room = request.leases == 0 && request.reply_capacity >= Snapshot::LEN;
        let asked = asked.filter(|_| room);
        let asked = asked.ok_or(status_api::Error::Malformed);
        match asked.and_then(|ask| snapshot::of(&self.fabric, ask)) {
            Ok(snapshot) => Answer {
                code: 0,
                payload: snapshot.to_words(),
                len: Snapshot::LEN,
            },
            Err(error) => Answer {
                code: error as u32,
                payload: [0; 8],
                len: 0,
            },
        }
    }

    /// Goes on with all recipes under way, if there are any.
    pub fn step(&mut self, now: impl FnOnce() -> u64) -> Wake {
        if !self.fabric.states.may_run() {
            return Wake::default();
        }
        let wake = self.fabric.step(&self.hardware, now());
        self.fabric.keep(&self.hardware);
        wake
    }

    /// The fabric as it stands.
    pub fn fabric(&self) -> &Fabric<'p> {
        &self.fabric
    }

    fn dispatch(
        &mut self,
        request: &Request<'_>,
        now: impl FnOnce() -> u64,
        reply: &mut Payload,
    ) -> Result<usize, Error> {
        match Operation::from_number(request.operation)? {
            Operation::ConfigRead => {
                answer(request, reply, |r| self.config_read(request.sender, r))
            }
            Operation::ConfigWrite => {
                answer(request, reply, |r| self.config_write(request.sender, r))
            }
            Operation::Describe => answer(request, reply, |r| self.describe(r)),
            Operation::BootStatus => answer(request, reply, |GetBootStatus| {
                self.authorise(request.sender)?;
                Ok(self.fabric.boot_status())
            }),
            Operation::BusMaster => answer(request, reply, |r| self.bus_master(request.sender, r)),
            Operation::QuiesceStart => answer(request, reply, |QuiesceStart { device }| {
                self.authorise(request.sender)?;
                let index = self.index(device)?;
                self.fabric.quiesce_start(&self.hardware, index, now())?;
                Ok(())
            }),
            Operation::QuiesceResult => answer(request, reply, |QuiesceResult { device }| {
                self.authorise(request.sender)?;
                self.fabric.quiesce_state(self.index(device)?)
            }),
        }
    }

    fn authorise(&self, sender: usize) -> Result<(), Error> {
        match self.authority {
            Some(authority) if authority == sender => Ok(()),
            _ => Err(Error::NotAuthority),
        }
    }

    fn index(&self, device: u32) -> Result<usize, Error> {
        let index = device as usize;
        if index < self.fabric.plan.len() {
            Ok(index)
        } else {
            Err(Error::NoSuchDevice)
        }
    }

    /// A function for its owner: present, and not in the middle of a reset.
    fn owned(&self, sender: usize, device: u32) -> Result<usize, Error> {
        let index = self.index(device)?;
        let entry = self.fabric.plan.get(index).ok_or(Error::NoSuchDevice)?;
        if entry.owner as usize != sender {
            return Err(Error::NotOwner);
        }
        if !on_pci(entry) {
            return Err(Error::BadAccess);
        }
        if !self.fabric.is_ready(index) {
            return Err(Error::Blocked);
        }
        if self.is_busy(index) {
            return Err(Error::Quiescing);
        }
        Ok(index)
    }

    fn is_busy(&self, index: usize) -> bool {
        let state = self.fabric.states.get(index);
        state.is_some_and(|state| state.covered || state.progress.is_running())
    }

    fn config_read(&self, sender: usize, request: ConfigRead) -> Result<ConfigValue, Error> {
        let index = self.owned(sender, request.device)?;
        check_access(request.offset, request.width)?;
        let entry = self.fabric.plan.get(index).ok_or(Error::NoSuchDevice)?;
        let address = Fabric::address(entry);
        let value = self.hardware.read(address, request.offset, request.width);
        Ok(ConfigValue(value & request.width.mask()))
    }

    fn config_write(&mut self, sender: usize, request: ConfigWrite) -> Result<(), Error> {
        let index = self.owned(sender, request.device)?;
        check_access(request.offset, request.width)?;
        self.fabric.owner_write(
            &self.hardware,
            index,
            request.offset,
            request.width,
            request.value,
        )?;
        Ok(())
    }

    fn describe(&self, request: Describe) -> Result<Description, Error> {
        let index = self.index(request.device)?;
        let (Some(entry), Some(state)) =
            (self.fabric.plan.get(index), self.fabric.states.get(index))
        else {
            return Err(Error::NoSuchDevice);
        };
        let device_state = match (state.reason, state.absent) {
            (Some(_), _) => DeviceState::Blocked,
            (None, true) => DeviceState::Absent,
            (None, false) => DeviceState::Ready,
        };
        Ok(Description {
            state: device_state,
            reason: state.reason,
            bus_master: self.fabric.forwards(index),
            requester_id: entry.rid,
            vendor_id: state.vendor_id,
            device_id: state.device_id,
            group: entry.group_index,
            buses: self.buses(index),
        })
    }

    /// Bus numbers of an open bridge, from its registers.
    fn buses(&self, index: usize) -> [u8; 2] {
        match (self.fabric.plan.get(index), self.fabric.states.get(index)) {
            (Some(entry), Some(state)) if state.visible => {
                let function = Function::new(&self.hardware, Fabric::address(entry));
                let [_, secondary, subordinate, _] = function.read32(BUS_NUMBERS).to_le_bytes();
                [secondary, subordinate]
            }
            _ => [0; 2],
        }
    }

    fn bus_master(&mut self, sender: usize, request: BusMaster) -> Result<(), Error> {
        self.authorise(sender)?;
        let index = self.index(request.device)?;
        if !request.on {
            self.fabric.set_master(&self.hardware, index, false);
            return Ok(());
        }
        if self.fabric.is_refused() {
            return Err(Error::BootRefused);
        }
        if !self.fabric.is_ready(index) {
            return Err(Error::Blocked);
        }
        if self.is_busy(index) {
            return Err(Error::Quiescing);
        }
        match self.fabric.states.get_mut(index) {
            Some(state) if matches!(state.progress, Progress::Failed(_)) => Err(Error::NotQuiet),
            Some(state) => {
                state.progress = Progress::Never;
                self.master_on(index)
            }
            None => Err(Error::NoSuchDevice),
        }
    }

    fn master_on(&mut self, index: usize) -> Result<(), Error> {
        if let Some(entry) = self.fabric.plan.get(index)
            && !messages::enable(
                &self.hardware,
                &Function::new(&self.hardware, Fabric::address(entry)),
                entry,
            )
        {
            self.fabric.set_master(&self.hardware, index, false);
            self.fabric.block(index, Mismatch::Messages);
            return Err(Error::Blocked);
        }
        if self.fabric.set_master(&self.hardware, index, true) {
            return Ok(());
        }
        // The device, or a bridge above it, has changed since it was compared with the plan.
        self.fabric.set_master(&self.hardware, index, false);
        self.fabric.block(index, Mismatch::Command);
        Err(Error::Blocked)
    }
}

/// Naturally aligned and inside the 4 KiB of a function.
fn check_access(offset: u16, width: Width) -> Result<(), Error> {
    let aligned = offset.is_multiple_of(width as u16);
    if aligned && offset < 0x1000 {
        Ok(())
    } else {
        Err(Error::BadAccess)
    }
}

/// Decodes a request of type `R`, has it carried out, and encodes the reply: its length.
fn answer<R: pci_api::Request>(
    request: &Request<'_>,
    reply: &mut Payload,
    carry_out: impl FnOnce(R) -> Result<R::Reply, Error>,
) -> Result<usize, Error> {
    if request.len != R::LEN
        || request.leases != 0
        || request.reply_capacity < <R::Reply as Wire>::LEN
    {
        return Err(Error::Malformed);
    }
    let message = R::from_words(request.payload).ok_or(Error::Malformed)?;
    *reply = carry_out(message)?.to_words();
    Ok(<R::Reply as Wire>::LEN)
}
