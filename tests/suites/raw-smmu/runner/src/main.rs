//! Supervisor of the image that drives the SMMU raw.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

userlib::task!(main);

fn main() -> ! {
    suite::runner::run(&raw_smmu_suite_cases::SUITE)
}
