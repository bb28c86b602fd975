//! A line for each case: its name and the requirements it tests. `cargo xtask test` reads it.
#![forbid(unsafe_code)]

fn main() {
    for case in kernel_suite_cases::SUITE.cases() {
        println!("{} {}", case.name, case.requirements.join(" "));
    }
}
