//! Dies at once, by an access whose address tells when.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use bench_protocol::VICTIM_ADDRESS;
use userlib::{provoke, time};

userlib::task!(main);

fn main() -> ! {
    loop {
        provoke::load(VICTIM_ADDRESS + u64::from(time::instructions()));
    }
}
