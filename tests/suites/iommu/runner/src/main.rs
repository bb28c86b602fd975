//! Supervisor of the IOMMU server's conformance image.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

userlib::task!(main);

fn main() -> ! {
    suite::runner::run(&iommu_suite_cases::SUITE)
}
