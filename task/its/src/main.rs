//! The task around the core: starts the service, then does what the kernel wants of messages.
//!
//! Plan: the service's registers and memory, and the devices that signal by messages; the right to ask the kernel what has to be
//! changed. It may have the right to post `supervisor.message-storm`.
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

use abi::notification;
use its_server::{Hardware, Refusal, Service, Start};
use plan::its::{ItsEntry, SourceEntry};
use userlib::defmt;
use userlib::privileged::{Change, next_message};
use userlib::registers::{MappedRegisters, Registers, WordTable};
use userlib::{config, ipc, memory, time};

userlib::task!(main);

/// The mapped service.
struct Mapped {
    registers: MappedRegisters,
    memory: WordTable,
}

impl Hardware for Mapped {
    fn read32(&mut self, register: usize) -> u32 {
        self.registers.read32(register)
    }
    fn write32(&mut self, register: usize, value: u32) {
        self.registers.write32(register, value);
    }
    fn read64(&mut self, register: usize) -> u64 {
        self.registers.read64(register)
    }
    fn write64(&mut self, register: usize, value: u64) {
        self.registers.write64(register, value);
    }
    fn load(&mut self, offset: u64) -> u64 {
        self.memory.load(offset)
    }
    fn store(&mut self, offset: u64, value: u64) {
        self.memory.store(offset, value);
    }
    fn publish(&mut self, offset: u64, bytes: u64) {
        self.memory.hand_over(offset, bytes as usize);
        memory::publish();
    }
    fn now(&mut self) -> u64 {
        time::now().0
    }
    fn ticks(&self, nanoseconds: u64) -> u64 {
        time::ticks(nanoseconds)
    }
}

fn main() -> ! {
    let (Ok(plan), Ok(sources)) = (
        config::blob().exactly_one::<ItsEntry>(),
        config::blob().exact::<SourceEntry>(),
    ) else {
        // No function signals by messages.
        loop {
            let _ = ipc::receive(notification::MESSAGES);
        }
    };
    let mapped = Mapped {
        registers: MappedRegisters::planned(plan.registers_va, plan.registers_len),
        memory: WordTable::planned(plan.memory_va, plan.memory_len),
    };
    let mut wanted = next_message(None);
    match Service::start(mapped, plan, sources, wanted.core) {
        Ok((service, start)) => {
            say(start, sources);
            serve(service, &mut wanted)
        }
        Err(refusal) => {
            defmt::error!("interrupt translation service: {=str}", refusal.name());
            userlib::give_up!("message interrupts do not work");
        }
    }
}

fn say(start: Start, sources: &[SourceEntry]) {
    let events = sources.iter().map(|source| source.events).sum::<u32>();
    let devices = sources.len();
    match start {
        Start::Fresh => defmt::info!("{=u32} messages of {=usize} devices", events, devices),
        Start::TakenOver => defmt::info!(
            "{=u32} messages of {=usize} devices, taken over from an earlier life",
            events,
            devices
        ),
    }
}

fn serve(mut service: Service<'_, Mapped>, wanted: &mut Change) -> ! {
    loop {
        while let Some(intid) = wanted.intid {
            if let Err(refusal) = change(&mut service, intid, wanted.arrives) {
                defmt::error!("INTID {=u32}: {=str}", intid, refusal.name());
                userlib::give_up!("message interrupts cannot be changed");
            }
            *wanted = next_message(Some(intid));
        }
        let _ = ipc::receive(notification::MESSAGES);
        *wanted = next_message(None);
    }
}

fn change(service: &mut Service<'_, Mapped>, intid: u32, arrives: bool) -> Result<(), Refusal> {
    let source = service.change(intid, arrives)?;
    let event = intid.saturating_sub(source.first_intid);
    if arrives {
        defmt::info!(
            "message {=u32} of device {=u32}: let through again",
            event,
            source.device
        );
    } else {
        defmt::warn!(
            "message {=u32} of device {=u32}: arrives too often, cut off",
            event,
            source.device
        );
        let supervisor = config::own().supervisor;
        if let Some(bit) = config::notification_of(supervisor, "message-storm") {
            let (id, _) = ipc::refresh(supervisor as usize);
            ipc::post(id, bit);
        }
    }
    Ok(())
}
