//! The log task: runs near the bottom, woken by a post whenever a task logged something.
//!
//! Plan: mapping `uart` (and its interrupt `uart-irq`, without which a full FIFO is waited for by timer),
//! one log-ring mapping for each task; the notification `drain` from the supervisor, answered with
//! `drained` when everything that was in the rings by then is on the console.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::log::RECORD_MAX;
use abi::{TASKS_MAX, notification};
use heapless::Vec;
use log_server::frame::{self, Frame};
use log_server::merge::Merge;
use log_server::ring::{Next, Ring};
use log_server::uart::Uart;
use userlib::memory::PoolMemory;
use userlib::plan::task::MappingKind;
use userlib::registers::MappedRegisters;
use userlib::{config, interrupt, ipc, time};

userlib::task!(main);

/// Nanoseconds until a full FIFO is looked at again if there is no interrupt: half of it at 115200 baud.
const FIFO_WAIT: u64 = 700_000;

/// One task's ring and who it is.
struct Source {
    task: u8,
    ring: Ring<PoolMemory>,
}

struct Log {
    uart: Uart<MappedRegisters>,
    room: u32,
    sources: Vec<Source, TASKS_MAX>,
    merge: Merge,
}

impl Log {
    fn new() -> Self {
        let Some(uart) = config::mapping("uart") else {
            panic!("the plan has no uart");
        };
        let mut sources = Vec::new();
        for mapping in config::mappings(MappingKind::LogRing) {
            if let Some(ring) = Ring::new(PoolMemory::of(mapping)) {
                let task = mapping.task as u8;
                // There are no more rings than tasks.
                let _ = sources.push(Source { task, ring });
            }
        }
        Self {
            uart: Uart::new(MappedRegisters::of(uart)),
            room: config::notification("uart-irq").unwrap_or(0),
            sources,
            merge: Merge::new(),
        }
    }

    /// Copies what is in the rings until they are empty. Every task that logs preempts this one, so this
    /// delays nobody.
    fn copy_all(&mut self) {
        let mut record = [0; RECORD_MAX];
        loop {
            let waiting = self.sources.iter().enumerate();
            let waiting = waiting.filter_map(|(at, source)| Some((at, source.ring.time()?)));
            let Some(at) = self.merge.pick(waiting) else {
                return;
            };
            let Some(Source { task, ring }) = self.sources.get_mut(at) else {
                return;
            };
            let frame = match ring.next(&mut record) {
                Next::Record(len) => frame::record(*task, record.get(..len).unwrap_or(&[])),
                Next::Lost(bytes) => frame::lost(*task, bytes),
                Next::Nothing => continue,
            };
            self.send(&frame);
        }
    }

    fn send(&self, frame: &Frame) {
        let mut rest = frame.as_slice();
        loop {
            rest = rest.get(self.uart.send(rest)..).unwrap_or(&[]);
            if rest.is_empty() {
                return;
            }
            self.wait_for_room();
        }
    }

    fn wait_for_room(&self) {
        if self.room == 0 {
            time::set_timer(Some(time::now().after(FIFO_WAIT)));
            let _ = ipc::receive(notification::TIMER);
            return;
        }
        self.uart.ask_for_room(true);
        interrupt::unmask(self.room);
        let _ = ipc::receive(self.room);
        self.uart.ask_for_room(false);
    }
}

fn main() -> ! {
    let mut log = Log::new();
    let supervisor = config::own().supervisor;
    let drain = config::notification("drain").unwrap_or(0);
    let drained = config::notification_of(supervisor, "drained");
    loop {
        log.copy_all();
        let received = ipc::receive(notification::LOG | drain);
        if let ipc::Received::Notification(bits) = received
            && bits & drain != 0
            && let Some(drained) = drained
        {
            // What was logged before the request is in the rings now.
            log.copy_all();
            let (supervisor, _) = ipc::refresh(supervisor as usize);
            ipc::post(supervisor, drained);
        }
    }
}
