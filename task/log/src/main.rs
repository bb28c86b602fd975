//! The log task: runs near the bottom, woken by a post whenever a task logged something.
//!
//! Plan: parameter `console`, the kind of UART; mapping `uart` (and its interrupt `uart-irq`, without which a full FIFO is waited for by timer),
//! one log-ring mapping for each task; memory for its cursors that survives a restart; the notification `drain` from the supervisor, answered with
//! `drained` when everything that was in the rings by then is on the console.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

use abi::console::PL011;
use abi::{log, notification};
use log_server::copy::Copier;
use log_server::frame::Frame;
use log_server::uart::Uart;
use userlib::memory::PoolMemory;
use userlib::plan::task::MappingKind;
use userlib::registers::MappedRegisters;
use userlib::{config, interrupt, ipc, time};

userlib::task!(main);

/// Nanoseconds until a full FIFO is looked at again if there is no interrupt: half of it at 115200 baud.
const FIFO_WAIT: u64 = 700_000;

/// The transmitter, and how it is waited for.
struct Console {
    uart: Uart<MappedRegisters>,
    room: u32,
}

impl Console {
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
    let (Some(uart), Some(cursors)) = (config::mapping("uart"), config::mapping(log::CURSORS))
    else {
        userlib::give_up!("the plan has no uart or no memory for the log's cursors");
    };
    // A plan that says nothing of the UART is of a time when there was one kind.
    let access = config::parameter("console").map_or(PL011, |access| access as u32);
    let console = Console {
        uart: Uart::new(MappedRegisters::of(uart), access),
        room: config::notification("uart-irq").unwrap_or(0),
    };
    let mut copier = Copier::new(PoolMemory::of(cursors));
    for mapping in config::mappings(MappingKind::LogRing) {
        if let Ok(task) = u16::try_from(mapping.task) {
            copier.add(task, PoolMemory::of(mapping));
        }
    }
    // Until the rings are empty. Every task that logs preempts this one, so this delays nobody.
    let mut copy_all = || while copier.copy(|frame| console.send(frame)) {};
    let supervisor = config::own().supervisor;
    let drain = config::notification("drain").unwrap_or(0);
    let drained = config::notification_of(supervisor, "drained");
    loop {
        copy_all();
        let received = ipc::receive(notification::LOG | drain);
        if let ipc::Received::Notification(bits) = received
            && bits & drain != 0
            && let Some(drained) = drained
        {
            // What was logged before the request is in the rings now.
            copy_all();
            let (supervisor, _) = ipc::refresh(supervisor as usize);
            ipc::post(supervisor, drained);
        }
    }
}
