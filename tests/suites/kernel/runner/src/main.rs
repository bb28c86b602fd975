//! Supervisor of the kernel's conformance image.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

userlib::task!(main);

fn main() -> ! {
    suite::runner::run(&kernel_suite_cases::SUITE)
}
