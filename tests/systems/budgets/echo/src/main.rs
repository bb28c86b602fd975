//! Answers every message, after some work.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use userlib::ipc::{self, Received};

userlib::task!(main);

/// Rounds of an empty loop for each message.
const WORK: u32 = 2_000;

fn main() -> ! {
    let mut received = ipc::receive(0);
    loop {
        received = match received {
            Received::Message(message) => {
                for _ in 0..WORK {
                    core::hint::spin_loop();
                }
                ipc::reply_receive(message.sender, 0, &message.payload, 8, 0, &mut [])
            }
            _ => ipc::receive(0),
        };
    }
}
