//! The emulator's process.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::decode::{Decoder, Line};
use super::frames::Splitter;
use super::interrupt;
use super::rings::Rings;
use crate::qemu::{Answer, Monitor, MonitorError, Qemu, refuse_bypass};
use planner::failure::{Failure, Outcome};

/// How often a run looks at the clock and for an interrupt.
const TICK: Duration = Duration::from_millis(100);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// QEMU's exit code: by semihosting, the guest's verdict.
    Exit(i32),
    /// The guest switched the machine off.
    PoweredOff,
    /// Somebody killed QEMU.
    Killed,
    /// The user asked to stop, or the observer has seen enough.
    Interrupted,
    /// The time is over.
    Timeout(Late),
}

/// The facts about a guest that did not end in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    pub limit: Duration,
    /// Since its last word.
    pub silent: Duration,
    /// The program counter of the guest's processor.
    pub counter: Option<u64>,
}

/// Follows a run.
pub trait Observer {
    /// A line of the log.
    fn line(&mut self, line: &Line, probe: &mut Probe<'_>);
    /// Several times a second, whether there are lines or not.
    fn tick(&mut self, _: &mut Probe<'_>) {}
    /// Whether it has seen what it wanted to see: the run is then ended.
    fn is_satisfied(&self) -> bool {
        false
    }
}

impl<F: FnMut(&Line)> Observer for F {
    fn line(&mut self, line: &Line, _: &mut Probe<'_>) {
        self(line);
    }
}

/// Looks into the running guest.
pub struct Probe<'a> {
    guest: &'a mut Guest,
    rings: &'a mut Rings,
    decoder: &'a Decoder,
}

impl Probe<'_> {
    /// The lines that tasks have logged since the last call, with their times in microseconds, oldest first; none
    /// if the guest has ended.
    pub fn news(&mut self) -> Option<Vec<(u64, Line)>> {
        let scratch = self.guest.folder.path();
        let pieces = self.rings.news(self.guest.monitor.as_mut()?, scratch)?;
        let lines = pieces.into_iter();
        Some(
            lines
                .map(|(time, piece)| (time, self.decoder.line(piece)))
                .collect(),
        )
    }
}

impl Probe<'_> {
    /// Presses the machine's power key for a moment. What the guest makes of it shows in how it ends.
    pub fn press_power_key(&mut self) {
        if let Some(monitor) = self.guest.monitor.as_mut() {
            // A guest that ended meanwhile has no key.
            let _ = monitor.ask("system_powerdown", &json!({}));
        }
    }
}

/// A started machine; it is killed when dropped.
pub struct Guest {
    child: Child,
    folder: TempDir,
    monitor: Option<Monitor>,
    /// Gets what the console brings, with its name for people.
    record: Option<(std::fs::File, String)>,
}

impl Guest {
    /// Keeps the console's bytes in this file.
    pub fn record(&mut self, file: &Path) -> Outcome<()> {
        let name = file.display().to_string();
        let made = std::fs::File::create(file);
        let made = made.map_err(Failure::when(format!("cannot write {name}")))?;
        self.record = Some((made, name));
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Outcome<()> {
        match &mut self.record {
            Some((file, name)) => file
                .write_all(bytes)
                .map_err(Failure::when(format!("cannot write {name}"))),
            None => Ok(()),
        }
    }

    /// Starts QEMU, asks whether anything bypasses the SMMU, and only then lets the guest run.
    pub fn start(qemu: &Qemu, arguments: &[String]) -> Outcome<Self> {
        interrupt::watch();
        let folder = tempfile::Builder::new()
            .prefix("portcullis-")
            .tempdir()
            .map_err(Failure::when("cannot make a temporary folder"))?;
        let socket = folder.path().join("monitor");
        let child = qemu
            .command()
            .args(arguments)
            .arg("-S")
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            // Ctrl-C is for this process, which then ends QEMU.
            .process_group(0)
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
            record: None,
        };
        match guest.prepare(&socket) {
            Ok(monitor) => guest.let_run(monitor)?,
            // It has said why on standard error.
            Err(MonitorError::Closed) => {
                return Err(Failure::new("QEMU ended before the guest started"));
            }
            Err(MonitorError::Failure(failure)) => return Err(failure),
        }
        Ok(guest)
    }

    /// The connection to a machine that waits to be run and that nothing bypasses the SMMU of.
    fn prepare(&mut self, socket: &Path) -> Answer<Monitor> {
        let child = &mut self.child;
        let mut monitor = Monitor::connect(socket, || matches!(child.try_wait(), Ok(None)))?;
        refuse_bypass(&mut monitor)?;
        Ok(monitor)
    }

    /// Lets the guest run. From here on what happens to the connection is no error of the run: a guest that ends
    /// QEMU at once ends the connection before QEMU has answered, and how it ended is in its console and its exit
    /// code.
    fn let_run(&mut self, mut monitor: Monitor) -> Outcome<()> {
        if let Ok(Err(why)) = monitor.ask("cont", &json!({})) {
            return Err(Failure::new(format!(
                "QEMU does not let the guest run: {why}"
            )));
        }
        self.monitor = Some(monitor);
        Ok(())
    }

    /// Reads the console until the guest ends or `timeout` is over.
    pub fn watch(
        mut self,
        timeout: Option<Duration>,
        decoder: &Decoder,
        mut rings: Rings,
        observer: &mut dyn Observer,
    ) -> Outcome<End> {
        let start = Instant::now();
        let mut heard = start;
        let console = self.console();
        let mut splitter = Splitter::default();
        loop {
            // Before the look: a guest has not had the time in which this process was not run.
            let late = timeout.filter(|limit| start.elapsed() >= *limit);
            let pieces = match console.recv_timeout(TICK) {
                Ok(bytes) => {
                    heard = Instant::now();
                    self.keep(&bytes)?;
                    splitter.push(&bytes)
                }
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut probe = Probe {
                guest: &mut self,
                rings: &mut rings,
                decoder,
            };
            for piece in pieces {
                observer.line(&decoder.line(piece), &mut probe);
            }
            observer.tick(&mut probe);
            if interrupt::asked() || observer.is_satisfied() {
                return Ok(End::Interrupted);
            }
            if let Some(limit) = late {
                let silent = heard.elapsed();
                let counter = self.counter();
                return Ok(End::Timeout(Late {
                    limit,
                    silent,
                    counter,
                }));
            }
        }
        let mut probe = Probe {
            guest: &mut self,
            rings: &mut rings,
            decoder,
        };
        for piece in splitter.finish() {
            observer.line(&decoder.line(piece), &mut probe);
        }
        let status = self
            .child
            .wait()
            .map_err(Failure::when("cannot wait for QEMU"))?;
        if interrupt::asked() {
            return Ok(End::Interrupted);
        }
        let off = self.monitor.take().is_some_and(Monitor::powered_off);
        Ok(end(status, off))
    }

    /// The bytes of the guest's console; the channel closes when QEMU ends.
    fn console(&mut self) -> Receiver<Vec<u8>> {
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
        receiver
    }

    /// The processor's program counter.
    fn counter(&mut self) -> Option<u64> {
        let arguments = json!({ "command-line": "info registers" });
        let answer = self
            .monitor
            .as_mut()?
            .ask("human-monitor-command", &arguments)
            .ok()?
            .ok()?;
        program_counter(answer.as_str()?)
    }
}

/// `PC=0123456789abcdef` in what QEMU tells of the registers.
fn program_counter(registers: &str) -> Option<u64> {
    let value = registers.split("PC=").nth(1)?;
    let digits = value.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(digits, 16).ok()
}

fn end(status: ExitStatus, powered_off: bool) -> End {
    match status.code() {
        Some(0) if powered_off => End::PoweredOff,
        Some(code) => End::Exit(code),
        None => End::Killed,
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::emulator;
    use std::process::Command;

    /// A guest that ends at once, on an emulator that says `script` over its monitor.
    fn ended(shell: &str, script: &'static [&'static str]) -> Outcome<End> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("monitor");
        let talk = emulator(&socket, script);
        let child = Command::new("sh")
            .args(["-c", shell])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut guest = Guest {
            child,
            folder,
            monitor: None,
            record: None,
        };
        let monitor = Monitor::connect(&socket, || true);
        guest.let_run(monitor.unwrap_or_else(|error| panic!("{error:?}")))?;
        talk.join().unwrap();
        let mut lines = Vec::new();
        let mut keep = |line: &Line| lines.push(line.text.clone());
        let end = guest.watch(None, &Decoder::default(), Rings::default(), &mut keep)?;
        assert_eq!(lines, ["last words"]);
        Ok(end)
    }

    #[test]
    fn a_guest_that_ends_before_the_monitor_answers() {
        let ready = "{\"return\": {}, \"id\": {id}}\n";
        let off = "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n";
        let scripts: [&[&str]; 3] = [&[ready, ready], &[ready, ""], &[ready, off]];
        let ends = [End::Exit(0), End::Exit(0), End::PoweredOff];
        for (script, end) in scripts.into_iter().zip(ends) {
            let script: &'static [&'static str] = Vec::leak(script.to_vec());
            assert_eq!(ended("echo last words", script).unwrap(), end);
        }
        let script: &'static [&'static str] = Vec::leak(vec![ready, ""]);
        let verdict = ended("echo last words; exit 3", script);
        assert_eq!(verdict.unwrap(), End::Exit(3));
        let refused = "{\"error\": {\"desc\": \"no\"}, \"id\": {id}}\n";
        let script: &'static [&'static str] = Vec::leak(vec![ready, refused]);
        assert!(ended("echo last words", script).is_err());
    }

    #[test]
    fn an_emulator_that_does_not_start() {
        let qemu = Qemu {
            program: "false".into(),
            version: (7, 2),
        };
        let Err(Failure::Message(why)) = Guest::start(&qemu, &[]) else {
            panic!("it cannot start");
        };
        assert_eq!(why, "QEMU ended before the guest started");
    }

    #[test]
    fn program_counters() {
        let text = "CPU#0\n PC=ffffff8000001230 X00=0000000000000000";
        assert_eq!(program_counter(text), Some(0xffff_ff80_0000_1230));
        assert_eq!(program_counter("nothing"), None);
    }
}
