//! The emulator's process.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::decode::{Decoder, Line};
use super::frames::Splitter;
use crate::failure::{Failure, Outcome};
use crate::qemu::{Monitor, Qemu, refuse_bypass};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// QEMU's exit code: by semihosting, the guest's verdict.
    Exit(i32),
    /// The guest switched the machine off.
    PoweredOff,
    Signal,
    Timeout(Duration),
}

/// A started machine; it is killed when dropped.
pub struct Guest {
    child: Child,
    folder: PathBuf,
    monitor: Option<Monitor>,
}

impl Guest {
    /// Starts QEMU, asks whether anything bypasses the SMMU, and only then lets the guest run.
    pub fn start(qemu: &Qemu, arguments: &[String]) -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("portcullis-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .map_err(Failure::when(format!("cannot make {}", folder.display())))?;
        let socket = folder.join("monitor");
        let child = Command::new(&qemu.program)
            .args(arguments)
            .arg("-S")
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::when(format!(
                "cannot run {}",
                qemu.program.display()
            )))?;
        let mut guest = Self {
            child,
            folder,
            monitor: None,
        };
        let child = &mut guest.child;
        let mut monitor = Monitor::connect(&socket, || matches!(child.try_wait(), Ok(None)))?;
        refuse_bypass(&mut monitor)?;
        monitor.execute("cont", &serde_json::json!({}))?;
        guest.monitor = Some(monitor);
        Ok(guest)
    }

    /// Reads the console until the guest ends or `timeout` is over.
    pub fn watch(
        mut self,
        timeout: Duration,
        decoder: Decoder,
        show: &mut impl FnMut(&Line),
    ) -> Outcome<End> {
        let deadline = Instant::now() + timeout;
        let (sender, receiver) = mpsc::channel();
        if let Some(mut console) = self.child.stdout.take() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = console.read(&mut buffer) {
                    let bytes = buffer.get(..read).unwrap_or_default().to_vec();
                    if sender.send(bytes).is_err() {
                        break;
                    }
                }
            });
        }
        let mut splitter = Splitter::default();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left) {
                Ok(bytes) => {
                    for piece in splitter.push(&bytes) {
                        show(&decoder.line(piece));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(End::Timeout(timeout)),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        for piece in splitter.finish() {
            show(&decoder.line(piece));
        }
        let status = self
            .child
            .wait()
            .map_err(Failure::when("cannot wait for QEMU"))?;
        let off = self.monitor.take().is_some_and(Monitor::powered_off);
        Ok(end(status, off))
    }
}

fn end(status: ExitStatus, powered_off: bool) -> End {
    match status.code() {
        Some(0) if powered_off => End::PoweredOff,
        Some(code) => End::Exit(code),
        None => End::Signal,
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
