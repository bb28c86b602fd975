//! `sizes`: bytes of every program and of its memory.

use std::path::Path;

use crate::output::say;
use crate::steps;
use builder::compile::Program;
use planner::failure::Outcome;
use planner::project::Project;

pub fn run(project: &Project, app: Option<&Path>) -> Outcome<u8> {
    let built = steps::build(project, app)?;
    let placement = built.layout.placement();
    say!(
        "{:<16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "bytes",
        "text",
        "rodata",
        "data+bss",
        "stack",
        "log",
        "pools"
    );
    let row = |name: &str, program: &Program, stack: u64, log: u64, pools: u64| {
        let [text, rodata, data] = parts(program);
        say!("{name:<16} {text:>9} {rodata:>9} {data:>9} {stack:>9} {log:>9} {pools:>9}");
    };
    for kernel in &placement.kernels {
        row("kernel", &built.programs.kernel, kernel.stack.len, 0, 0);
    }
    let tasks = built.plan.app.tasks.iter().zip(&built.programs.tasks);
    for ((task, program), place) in tasks.zip(&placement.tasks) {
        let pools = place.pools.iter().map(|pool| pool.len).sum();
        row(
            &task.name.value,
            program,
            place.stack.len,
            place.log.len,
            pools,
        );
    }
    for (name, bytes) in [
        ("page tables", placement.page_tables.len),
        (
            "SMMU tables",
            placement.smmus.iter().map(|smmu| smmu.len).sum(),
        ),
        ("image", placement.file_end - placement.image_base),
        ("memory in use", placement.memory_end - placement.image_base),
    ] {
        say!("{name:<16} {bytes:>9}");
    }
    Ok(0)
}

/// Executable, read-only and writable bytes.
pub fn parts(program: &Program) -> [u64; 3] {
    let sum = |write: bool, execute: bool| {
        program
            .segments
            .iter()
            .filter(|segment| segment.write == write && segment.execute == execute)
            .map(|segment| segment.len)
            .sum()
    };
    [sum(false, true), sum(false, false), sum(true, false)]
}
