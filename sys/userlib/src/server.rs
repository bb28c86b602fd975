//! The client's view of a server: an id that is refreshed when the server died.

use core::cell::Cell;

use abi::{Code, TaskId};

use crate::config;
use crate::ipc::{self, Answer, LeaseBuffer, Payload};
use crate::protocol::{Caller, Failure};

/// A server that the plan lets this task call.
#[derive(Debug)]
pub struct Server {
    index: usize,
    id: Cell<TaskId>,
}

impl Server {
    /// The peer of that name, if the plan lets this task send to it.
    pub fn named(name: &str) -> Option<Self> {
        let peer = config::peer(name)?;
        (peer.may_send == 1).then(|| Self::at(peer.index as usize))
    }

    /// The task at an index of the kernel's table.
    pub fn at(index: usize) -> Self {
        Self {
            index,
            id: Cell::new(ipc::refresh(index).0),
        }
    }

    /// The id last known.
    pub fn id(&self) -> TaskId {
        self.id.get()
    }

    /// Learns the current id.
    pub fn refresh(&self) -> TaskId {
        let (id, _) = ipc::refresh(self.index);
        self.id.set(id);
        id
    }

    /// Calls with up to 64 bytes each way.
    #[inline(always)]
    pub fn call(
        &self,
        operation: u16,
        payload: &Payload,
        len: usize,
        reply_capacity: usize,
        leases: &[LeaseBuffer<'_>],
    ) -> Result<Answer, Failure> {
        let answer = self.call_once(operation, payload, len, reply_capacity, leases);
        if answer.code == Code::OK {
            Ok(answer)
        } else {
            Err(self.failed(answer.code))
        }
    }

    /// Calls with up to 4096 bytes each way.
    pub fn call_long(
        &self,
        operation: u16,
        message: &[u8],
        reply: &mut [u8],
        leases: &[LeaseBuffer<'_>],
    ) -> Result<Answer, Failure> {
        let answer = ipc::call_long(self.id.get(), operation, message, reply, leases);
        match answer.code {
            Code::OK => Ok(answer),
            code => Err(self.failed(code)),
        }
    }

    /// Posts bits to it.
    pub fn post(&self, bits: u32) -> Result<(), Failure> {
        match ipc::post(self.id.get(), bits) {
            Code::OK => Ok(()),
            code => Err(self.failed(code)),
        }
    }
}

impl Caller for Server {
    #[inline(always)]
    fn call_once(
        &self,
        operation: u16,
        payload: &Payload,
        len: usize,
        reply_capacity: usize,
        leases: &[LeaseBuffer<'_>],
    ) -> Answer {
        ipc::call(
            self.id.get(),
            operation,
            payload,
            len,
            reply_capacity,
            leases,
        )
    }
    fn died(&self) {
        self.refresh();
    }
}
