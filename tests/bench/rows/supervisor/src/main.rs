//! Supervisor of the benchmark image: times a fault, and ends the run.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{FaultKind, TaskId, notification};
use bench_protocol::{VICTIM_ADDRESS, supervisor};
use userlib::ipc::{self, Payload, Received};
use userlib::{config, privileged, time};

userlib::task!(main);

/// Time for the log task to print what is in the rings before the run ends, nanoseconds.
const DRAIN: u64 = 200_000_000;

fn main() -> ! {
    let victim = config::peer("victim").map_or(usize::MAX, |peer| peer.index as usize);
    let mut asker: Option<TaskId> = None;
    let mut verdict = 0;
    loop {
        match ipc::receive(notification::FAULT | notification::TIMER) {
            Received::Notification(bits) => {
                let now = time::instructions();
                if bits & notification::TIMER != 0 {
                    privileged::exit(verdict);
                }
                match fault_time(victim) {
                    Some(then) => {
                        if let Some(asker) = asker.take() {
                            let taken = u64::from(now.wrapping_sub(then));
                            let payload: Payload = [taken, 0, 0, 0, 0, 0, 0, 0];
                            ipc::reply(asker, 0, &payload, 8);
                        }
                    }
                    None => {
                        // Any other death spoils the figures.
                        privileged::console("bench: a task died\n");
                        privileged::exit(1);
                    }
                }
            }
            Received::Message(message) => match message.operation {
                supervisor::FAULT => {
                    asker = Some(message.sender);
                    privileged::restart(victim);
                }
                _ => {
                    verdict = u8::from(message.payload[0] != 0);
                    ipc::reply(message.sender, 0, &[0; 8], 0);
                    time::set_timer(Some(time::now().after(DRAIN)));
                }
            },
            Received::Dead => {}
        }
    }
}

/// The counter at the victim's faulting access, if that is what died.
fn fault_time(victim: usize) -> Option<u32> {
    let [kind, address, ..] = privileged::status(victim)?.fault;
    let memory = kind & 0xffff == FaultKind::MemoryAccess as u64;
    memory.then(|| address.wrapping_sub(VICTIM_ADDRESS) as u32)
}
