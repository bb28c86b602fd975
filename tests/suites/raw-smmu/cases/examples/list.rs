//! A line for each case: its name and the rows of `docs/reference/smmu-rules.md` that it shows. `cargo xtask test`
//! reads it.
#![forbid(unsafe_code)]

fn main() {
    for case in raw_smmu_suite_cases::SUITE.cases() {
        println!("{} {}", case.name, case.requirements.join(" "));
    }
}
