//! `gdb`: QEMU waits, gdb attaches with the symbols of the kernel and of any task.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::steps;
use crate::{qemu, run, setup};
use builder::pack::DEBUGGER;
use planner::failure::{Failure, Outcome};
use planner::project::Project;

/// Programs that debug AArch64, the best first.
const DEBUGGERS: [&str; 4] = [
    "gdb-multiarch",
    "aarch64-linux-gnu-gdb",
    "aarch64-none-elf-gdb",
    "gdb",
];
/// How long QEMU may take to wait for gdb.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments of `gdb`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// An app.toml; by default the one at the root
    pub app: Option<PathBuf>,
    /// The QEMU to use
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
    /// Further arguments of gdb's, for example -batch -x SCRIPT
    #[arg(last = true)]
    pub extra: Vec<String>,
}

pub fn run(project: &Project, arguments: &Arguments) -> Outcome<u8> {
    let qemu = setup::emulator(arguments.qemu.as_deref(), &project.target)?;
    let gdb = DEBUGGERS
        .into_iter()
        .filter_map(qemu::on_path)
        .find(|gdb| debugs_aarch64(gdb))
        .ok_or_else(missing)?;
    let built = steps::build_to_run(project, arguments.app.as_deref())?;
    let disks = run::disks(project, &built.plan, None)?;
    let folder = tempfile::tempdir().map_err(Failure::when("cannot make a temporary folder"))?;
    let socket = folder.path().join("gdb");
    run::note_interrupts();
    let image = built.dist.image_in(folder.path())?;
    let machine = qemu::command(&built.plan, &image, &disks.files);
    let guest = Waiting::start(&qemu, &machine, &socket)?;
    let status = Command::new(gdb)
        .current_dir(&built.dist.folder)
        .args(["-q", "-x", DEBUGGER, "-d"])
        .arg(&project.root)
        .args(["-ex", &format!("target remote {}", socket.display())])
        .args(&arguments.extra)
        .status()
        .map_err(Failure::when("cannot run gdb"));
    drop(guest);
    Ok(u8::from(!status?.success()))
}

/// QEMU before the first instruction; killed when dropped.
struct Waiting(Child);

impl Waiting {
    fn start(qemu: &qemu::Qemu, arguments: &[String], socket: &Path) -> Outcome<Self> {
        let child = qemu
            .command()
            .args(arguments)
            .arg("-S")
            .arg("-gdb")
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            // Ctrl-C is for gdb, which stops the guest with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(Failure::when("cannot run QEMU"))?;
        let mut waiting = Self(child);
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Before the look: whoever was not run in between has not waited for QEMU meanwhile.
            let over = Instant::now() > deadline || !matches!(waiting.0.try_wait(), Ok(None));
            if socket.exists() {
                break;
            }
            if over {
                return Err(Failure::new("QEMU does not wait for gdb"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A distribution's plain `gdb` often knows its own architecture only.
fn debugs_aarch64(gdb: &Path) -> bool {
    let mut ask = Command::new(gdb);
    ask.args(["-nx", "-batch", "-ex", "set architecture aarch64"]);
    // It complains, but succeeds.
    ask.stdin(Stdio::null()).output().is_ok_and(|said| {
        said.status.success() && !String::from_utf8_lossy(&said.stderr).contains("Undefined item")
    })
}

fn missing() -> Failure {
    Failure::new(
        "no gdb for AArch64; install one with one of\n  \
         sudo apt-get install gdb-multiarch\n  sudo dnf install gdb\n  \
         sudo pacman -S gdb\n  brew install gdb",
    )
}
