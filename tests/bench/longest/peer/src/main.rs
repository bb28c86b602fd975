//! One of many: does what the supervisor says. With `dma-authority` it counts the calls of that right instead.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::MESSAGE_MAX;
use abi::notification::{PEER, POSTABLE, TIMER};
use bench_protocol::longest::*;
use bench_protocol::row::{instructions, report_masked};
use userlib::ipc::{self, LeaseBuffer};
use userlib::server::Server;
use userlib::time::{self, Ticks};
use userlib::{config, privileged};

userlib::task!(main);

fn main() -> ! {
    let Some(supervisor) = Server::named("supervisor") else {
        sleep_for_ever()
    };
    if config::own().name.as_str() == "authority" {
        let wrong = u64::from(!count_holds());
        let payload = [wrong, 0, 0, 0, 0, 0, 0, 0];
        let _ = supervisor.call(COUNTED, &payload, 8, 0, &[]);
        sleep_for_ever()
    }
    let victim = Server::named("victim");
    let mut buffer = [0x5a; MESSAGE_MAX];
    loop {
        let Ok(told) = supervisor.call(WHAT_NEXT, &[0; 8], 0, 16, &[]) else {
            sleep_for_ever()
        };
        match told.payload[0] {
            CALL_VICTIM => {
                if let Some(victim) = &victim {
                    let _ = victim.call(0, &[0; 8], 0, 0, &[]);
                }
            }
            PARK => {
                ipc::receive_from(supervisor.id(), 0);
            }
            AWAIT_PEER => {
                ipc::receive(PEER);
            }
            SLEEP => {
                time::set_timer(Some(Ticks(told.payload[1])));
                ipc::receive(TIMER);
            }
            SEND_LONG => {
                let mut reply = [0; MESSAGE_MAX];
                let _ = supervisor.call_long(LONG, &buffer, &mut reply, &[]);
            }
            SEND_LEASE => {
                let lease = [LeaseBuffer::read_write(&mut buffer)];
                let _ = supervisor.call(LEND, &[0; 8], 0, 0, &lease);
            }
            _ => {
                ipc::receive(POSTABLE);
            }
        }
    }
}

/// Fills every slot for holds, finds the last one again, and lifts all.
fn count_holds() -> bool {
    let Some(task) = config::peer("victim").map(|peer| Server::at(peer.index as usize)) else {
        return false;
    };
    let mut longest = [0u32; 3];
    // Slots run out at some number.
    let mut held = 0;
    while privileged::hold(task.id(), held) == abi::Code::OK {
        held += 1;
    }
    let hold = |device| instructions(|| privileged::hold(task.id(), device)).0;
    longest[0] = hold(held.saturating_sub(1)).max(hold(held));
    for device in (0..held).rev() {
        let lift = || privileged::lift(task.id().index(), device);
        longest[1] = longest[1].max(instructions(lift).0);
    }
    longest[2] = instructions(|| privileged::enumerate(0)).0;
    report_masked("longest-masked-hold", longest[0])
        & report_masked("longest-masked-lift", longest[1])
        & report_masked("longest-masked-enumerate", longest[2])
}

fn sleep_for_ever() -> ! {
    loop {
        ipc::receive(0);
    }
}
