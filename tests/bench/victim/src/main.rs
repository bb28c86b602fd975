//! Dies at once, by an access whose address tells when.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use bench_protocol::VICTIM_ADDRESS;
use userlib::registers::{MappedRegisters, Registers};
use userlib::time;

userlib::task!(main);

fn main() -> ! {
    let unmapped = MappedRegisters::planned(VICTIM_ADDRESS, 1 << 33);
    loop {
        let _ = unmapped.read8(time::instructions() as usize);
    }
}
