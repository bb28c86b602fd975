//! The PCI task.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

userlib::task!(main);

fn main() -> ! {
    pci::task::run(|_, _| {})
}
