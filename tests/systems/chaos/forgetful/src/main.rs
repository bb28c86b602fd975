//! The PCI task, in a machine where devices lose their state while it is down: as a reset or an error of the fabric
//! leaves it, a function answers to nothing and masters nothing when the next life begins.
//!
//! Plan: as the PCI task's.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use pci::{Address, ConfigSpace};
use pci_api::Width;
use plan::pci::FunctionEntry;
use userlib::ipc;

userlib::task!(main);

/// The command register (PCI Local Bus 3.0, 6.2.2).
const COMMAND: u16 = 4;

fn main() -> ! {
    pci::task::run(lose)
}

/// In every third life each driven function loses its state, no two neighbours in the same one.
fn lose(space: &dyn ConfigSpace, functions: &[FunctionEntry]) {
    let life = ipc::who_am_i().generation();
    let driven = functions.iter().filter(|entry| entry.owner != plan::NONE);
    for (number, entry) in (0..).zip(driven) {
        if life > 0 && (life + number).is_multiple_of(3) {
            space.write(Address(entry.rid), COMMAND, Width::HalfWord, 0);
        }
    }
}
