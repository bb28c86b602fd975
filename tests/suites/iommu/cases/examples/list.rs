//! A line for each case: its name and the requirements it tests. `cargo xtask test` reads it.
#![forbid(unsafe_code)]

fn main() {
    for case in iommu_suite_cases::SUITE.cases() {
        println!("{} {}", case.name, case.requirements.join(" "));
    }
}
