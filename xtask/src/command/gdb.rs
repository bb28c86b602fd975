//! `gdb`: QEMU waits, gdb attaches with the symbols of kernel and all tasks.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::pack::elf_name;
use crate::project::Project;
use crate::{qemu, run};

/// Where QEMU listens for gdb: its default.
const ADDRESS: &str = "localhost:1234";

pub fn run(project: &Project, app: Option<&Path>) -> Outcome<u8> {
    let qemu = qemu::find(None)?;
    let gdb = [
        "gdb-multiarch",
        "aarch64-linux-gnu-gdb",
        "aarch64-none-elf-gdb",
        "gdb",
    ]
    .into_iter()
    .find_map(qemu::on_path)
    .ok_or_else(|| {
        Failure::new(
            "no gdb for AArch64; install one with one of\n  \
                 sudo apt-get install gdb-multiarch\n  sudo dnf install gdb\n  \
                 sudo pacman -S gdb\n  brew install gdb",
        )
    })?;
    let built = project.build(app)?;
    let drives = run::drives(project, &built.plan, None)?;
    let mut guest = Command::new(&qemu.program)
        .args(qemu::command(&built.plan, &built.dist.image, &drives))
        .args(["-S", "-s"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(Failure::when("cannot run QEMU"))?;
    let mut debugger = Command::new(gdb);
    debugger
        .current_dir(&built.dist.folder)
        .args([
            "-q",
            "-ex",
            "set confirm off",
            "-ex",
            "set architecture aarch64",
        ])
        .args(["-ex", "file kernel.elf"]);
    for task in &built.plan.app.tasks {
        // All tasks are linked at one address: gdb shows what fits the program counter in any of them.
        let file = elf_name(&task.name.value);
        debugger.args(["-ex", &format!("add-symbol-file {file}")]);
    }
    let status = debugger
        .args(["-ex", &format!("target remote {ADDRESS}")])
        .status()
        .map_err(Failure::when("cannot run gdb"));
    let _ = guest.kill();
    let _ = guest.wait();
    Ok(u8::from(!status?.success()))
}
