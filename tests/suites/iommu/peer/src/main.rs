//! A role of the IOMMU server's conformance image; which one, its name in the plan says.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

userlib::task!(main);

fn main() -> ! {
    suite::role::run(&iommu_suite_cases::SUITE)
}
