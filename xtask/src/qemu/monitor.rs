//! QMP: QEMU's control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};

/// How long QEMU may take to open its socket, and to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, ready for commands.
pub struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Monitor {
    /// Connects as soon as the socket is there; `alive` tells whether QEMU still runs.
    pub fn connect(socket: &Path, mut alive: impl FnMut() -> bool) -> Outcome<Self> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(_) if !alive() => {
                    return Err(Failure::new("QEMU ended before the guest started"));
                }
                Err(error) if Instant::now() > deadline => {
                    return Err(Failure::new(format!(
                        "QEMU does not open its monitor: {error}"
                    )));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let failed = "cannot use QEMU's monitor";
        stream
            .set_read_timeout(Some(PATIENCE))
            .map_err(Failure::when(failed))?;
        let writer = stream.try_clone().map_err(Failure::when(failed))?;
        let mut monitor = Self {
            reader: BufReader::new(stream),
            writer,
        };
        monitor.line()?;
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    fn line(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        let read = self
            .reader
            .read_line(&mut line)
            .map_err(Failure::when("cannot read from QEMU's monitor"))?;
        if read == 0 {
            return Err(Failure::new("QEMU closed its monitor"));
        }
        serde_json::from_str(&line).map_err(Failure::when("QEMU's monitor does not speak QMP"))
    }

    /// Runs a command; an error of QEMU's is a failure.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Outcome<Value> {
        self.ask(command, arguments)?
            .map_err(|error| Failure::new(format!("QEMU refuses {command}: {error}")))
    }

    /// Runs a command; `Err` inside is QEMU's own description of what is wrong.
    pub fn ask(&mut self, command: &str, arguments: &Value) -> Outcome<Result<Value, String>> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.writer, "{request}")
            .map_err(Failure::when("cannot write to QEMU's monitor"))?;
        loop {
            let mut answer = self.line()?;
            if let Some(error) = answer.get("error") {
                let description = error.get("desc").and_then(Value::as_str).unwrap_or("error");
                return Ok(Err(description.to_owned()));
            }
            if let Some(result) = answer.get_mut("return") {
                return Ok(Ok(result.take()));
            }
            // Anything else is an event.
        }
    }

    /// After the guest ended: whether it switched the machine off, rather than ending QEMU itself.
    pub fn powered_off(mut self) -> bool {
        while let Ok(message) = self.line() {
            let event = message.get("event").and_then(Value::as_str);
            let guest = message.get("data").and_then(|data| data.get("guest"));
            if event == Some("SHUTDOWN") && guest.and_then(Value::as_bool) == Some(true) {
                return true;
            }
        }
        false
    }
}
