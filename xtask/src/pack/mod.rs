//! Step 6: `target/dist/<name>/`.

mod debugger;
mod header;
mod image;
mod json;
#[cfg(test)]
mod schema;
mod text;

use std::path::{Path, PathBuf};

use crate::compile::Programs;
use crate::failure::{Failure, Outcome};
use crate::planning::Plan;
use crate::qemu::PROGRAM;
use crate::tables::Tables;

pub use debugger::DEBUGGER;
pub use json::json;
pub use text::text;

/// Files of a finished system.
#[derive(Clone, Debug)]
pub struct Dist {
    pub folder: PathBuf,
    pub image: PathBuf,
}

/// Name of a task's ELF file in a dist folder; the kernel's is `kernel.elf`.
pub fn elf_name(task: &str) -> String {
    format!("{task}.elf")
}

/// Writes everything.
pub fn pack(target: &Path, plan: &Plan, programs: &Programs, tables: &Tables) -> Outcome<Dist> {
    let folder = target.join("dist").join(&plan.app.name);
    std::fs::create_dir_all(&folder)
        .map_err(Failure::when(format!("cannot make {}", folder.display())))?;
    let image = image::build(plan, tables)?;
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes)
            .map_err(Failure::when(format!("cannot write {}", file.display())))
    };
    write("image", &image)?;
    write("kernel.elf", &programs.kernel.elf)?;
    for (task, program) in plan.app.tasks.iter().zip(&programs.tasks) {
        write(&elf_name(&task.name.value), &program.elf)?;
    }
    write("plan.json", json(plan, Some(&tables.layout)).as_bytes())?;
    write("plan.txt", text(plan, Some(&tables.layout)).as_bytes())?;
    let script = debugger::debugger(plan, &tables.roots);
    write(DEBUGGER, script.as_bytes())?;
    let image = folder.join("image");
    write("qemu", qemu(plan, &folder, &image).as_bytes())?;
    Ok(Dist { folder, image })
}

/// The QEMU command as a shell script, whose program the variable `QEMU` can name; drives are those that `run`
/// makes.
fn qemu(plan: &Plan, folder: &Path, image: &Path) -> String {
    let drives = plan
        .app
        .drives
        .iter()
        .map(|drive| {
            (
                drive.name.clone(),
                folder.join(format!("{}.disk", drive.name)),
            )
        })
        .collect();
    let mut script = format!("#!/bin/sh\nexec \"${{QEMU:-{PROGRAM}}}\"");
    for argument in crate::qemu::command(plan, image, &drives) {
        let separator = if argument.starts_with('-') {
            " \\\n  "
        } else {
            " "
        };
        script.push_str(&format!("{separator}'{}'", argument.replace('\'', "'\\''")));
    }
    script.push_str(" \"$@\"\n");
    script
}
