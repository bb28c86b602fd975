//! `defmt` over the task's log ring (format at [`abi::log`]).

use core::cell::UnsafeCell;

use abi::log::RECORD_MAX;
use abi::{Code, TaskId, notification};

use crate::memory::PoolMemory;
use crate::ring::Writer;
use crate::{config, ipc, time};

#[defmt::global_logger]
struct RingLogger;

defmt::timestamp!("{=u64:us}", time::now().nanoseconds() / 1000);

/// The record being made, and what does not change between records.
struct State {
    encoder: defmt::Encoder,
    record: [u8; RECORD_MAX],
    len: usize,
    ring: Option<Writer<PoolMemory>>,
    log_task: TaskId,
    ready: bool,
}

struct Shared(UnsafeCell<State>);

// SAFETY: a task has one thread and no signal handlers; the state is used only between `acquire` and
// `release`, which do not nest.
unsafe impl Sync for Shared {}

static STATE: Shared = Shared(UnsafeCell::new(State {
    encoder: defmt::Encoder::new(),
    record: [0; RECORD_MAX],
    len: 0,
    ring: None,
    log_task: TaskId::KERNEL,
    ready: false,
}));

impl State {
    fn prepare(&mut self) {
        if self.ready {
            return;
        }
        self.ready = true;
        let own = config::own();
        let ring = PoolMemory::log_ring(own.log_capacity);
        self.ring = Writer::new(ring, u64::from(own.log_capacity));
        if own.log_task != plan::NONE && own.log_task != own.index {
            self.log_task = ipc::refresh(own.log_task as usize).0;
        }
    }

    /// A record that is too long is cut, and then does not decode; `RECORD_MAX` is generous.
    fn append(record: &mut [u8; RECORD_MAX], len: &mut usize, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(to) = record.get_mut(*len) {
                *to = byte;
                *len += 1;
            }
        }
    }

    fn commit(&mut self) {
        let Some(ring) = &self.ring else {
            return;
        };
        ring.put(self.record.get(..self.len).unwrap_or(&[]));
        self.wake();
    }

    fn wake(&mut self) {
        if self.log_task == TaskId::KERNEL {
            return;
        }
        if ipc::post(self.log_task, notification::LOG) == Code::DEAD {
            self.log_task = ipc::refresh(self.log_task.index()).0;
            // A log task that is down looks at every ring when it starts.
            ipc::post(self.log_task, notification::LOG);
        }
    }
}

// SAFETY: `acquire` and `release` bracket each record; there is no second thread and no interrupt
// handler in a task that could enter in between.
unsafe impl defmt::Logger for RingLogger {
    fn acquire() {
        // SAFETY: exclusive until `release`, see `Shared`.
        let state = unsafe { &mut *STATE.0.get() };
        state.prepare();
        state.len = 0;
        let (record, len) = (&mut state.record, &mut state.len);
        state
            .encoder
            .start_frame(|bytes| State::append(record, len, bytes));
    }

    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: between `acquire` and the end of this function, see `Shared`.
        let state = unsafe { &mut *STATE.0.get() };
        let (record, len) = (&mut state.record, &mut state.len);
        state
            .encoder
            .end_frame(|bytes| State::append(record, len, bytes));
        state.commit();
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: between `acquire` and `release`, see `Shared`.
        let state = unsafe { &mut *STATE.0.get() };
        let (record, len) = (&mut state.record, &mut state.len);
        state
            .encoder
            .write(bytes, |bytes| State::append(record, len, bytes));
    }
}
