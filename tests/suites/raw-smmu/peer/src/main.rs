//! The task of this image that owns the SMMU and the devices.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

userlib::task!(main);

fn main() -> ! {
    suite::role::run(&raw_smmu_suite_cases::SUITE)
}
