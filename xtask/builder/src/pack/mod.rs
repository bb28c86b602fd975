//! Step 5: `target/dist/<name>/`.

mod debugger;
mod header;
mod image;
mod second;

use std::path::{Path, PathBuf};

use crate::compile::Programs;
use crate::layout::Layout;
use crate::show;
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;

pub use debugger::DEBUGGER;
pub use second::verified;

/// Files of a finished system.
#[derive(Clone, Debug)]
pub struct Dist {
    /// The folder, `target/dist/NAME`.
    pub folder: PathBuf,
    /// The image's bytes: the folder's may be another build's by the time they are needed.
    pub image: Vec<u8>,
}

impl Dist {
    /// Writes the image to a file in a folder of the caller's.
    pub fn image_in(&self, folder: &Path) -> Outcome<PathBuf> {
        let file = folder.join("image");
        std::fs::write(&file, &self.image)
            .map_err(Failure::when(format!("cannot write {}", file.display())))?;
        Ok(file)
    }
}

/// Name of a task's ELF file in a dist folder; the kernel's is `kernel.elf`.
pub fn elf_name(task: &str) -> String {
    format!("{task}.elf")
}

/// Writes everything; `script` is the command that runs the image of which it is given the file.
pub fn pack(
    target: &Path,
    plan: &Plan,
    programs: &Programs,
    layout: &Layout,
    script: impl FnOnce(&Path) -> String,
) -> Outcome<Dist> {
    let folder = target.join("dist").join(&plan.app.name);
    std::fs::create_dir_all(&folder)
        .map_err(Failure::when(format!("cannot make {}", folder.display())))?;
    let image = image::build(plan, layout)?;
    let described = show::json(plan, Some(layout.placement()));
    verified(&image, &described)?;
    // Of two builds of one name the files are of one or of the other, and not of both.
    let _lock = lock(target, &plan.app.name)?;
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        let partial = folder.join(format!(".{name}.partial"));
        std::fs::write(&partial, bytes)
            .and_then(|()| std::fs::rename(&partial, &file))
            .map_err(Failure::when(format!("cannot write {}", file.display())))
    };
    write("image", &image)?;
    write("kernel.elf", &programs.kernel.elf)?;
    for (task, program) in plan.app.tasks.iter().zip(&programs.tasks) {
        write(&elf_name(&task.name.value), &program.elf)?;
    }
    write("plan.json", described.as_bytes())?;
    write(
        "plan.txt",
        show::text(plan, Some(layout.placement())).as_bytes(),
    )?;
    let commands = debugger::debugger(plan, &layout.tables().roots);
    write(DEBUGGER, commands.as_bytes())?;
    write("qemu", script(&folder.join("image")).as_bytes())?;
    Ok(Dist { folder, image })
}

/// Keeps other builds of this name waiting as long as the value lives.
fn lock(target: &Path, name: &str) -> Outcome<std::fs::File> {
    let file = target.join("dist").join(format!(".{name}.lock"));
    let cannot = || Failure::when(format!("cannot use {}", file.display()));
    let lock = std::fs::File::create(&file).map_err(cannot())?;
    lock.lock().map_err(cannot())?;
    Ok(lock)
}
