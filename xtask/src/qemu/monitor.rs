//! QMP: QEMU's control socket.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use planner::failure::Failure;

/// How long QEMU may take to open its socket, and to answer: a busy host starts it slowly.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a request has no answer.
#[derive(Debug)]
pub enum MonitorError {
    /// QEMU closed the connection, which it does only when it ends.
    Closed,
    /// Anything else.
    Failure(Failure),
}

impl From<Failure> for MonitorError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The answer of the monitor, or why there is none.
pub type Answer<T> = Result<T, MonitorError>;

/// A connection, ready for commands.
pub struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// The beginning of a line that was not read completely yet.
    partial: Vec<u8>,
    /// Number of the last request; its answer repeats it, so that a late answer to an earlier request is not taken
    /// for this one's.
    number: u64,
    /// Whether the guest was seen to switch the machine off. That message may come before any answer.
    powered_off: bool,
}

impl Monitor {
    /// Connects as soon as the socket is there; `alive` tells whether QEMU still runs.
    pub fn connect(socket: &Path, mut alive: impl FnMut() -> bool) -> Answer<Self> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            // Read before the look: whoever was not run in between has not waited for QEMU meanwhile.
            let late = Instant::now() > deadline;
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(_) if !alive() => return Err(MonitorError::Closed),
                Err(error) if late => {
                    let why = format!("QEMU does not open its monitor: {error}");
                    return Err(Failure::new(why).into());
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
            partial: Vec::new(),
            number: 0,
            powered_off: false,
        };
        monitor.message()?;
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// The next message. A line that is interrupted, by the end of the patience for one, goes on in the next call.
    fn message(&mut self) -> Answer<Value> {
        let read = self.reader.read_until(b'\n', &mut self.partial);
        if read.map_err(|error| lost("read from", &error))? == 0 {
            return Err(MonitorError::Closed);
        }
        let line = std::mem::take(&mut self.partial);
        let message: Value = serde_json::from_slice(&line)
            .map_err(Failure::when("QEMU's monitor does not speak QMP"))?;
        let event = message.get("event").and_then(Value::as_str);
        let by_guest = message.pointer("/data/guest").and_then(Value::as_bool);
        self.powered_off |= event == Some("SHUTDOWN") && by_guest == Some(true);
        Ok(message)
    }

    /// Runs a command; an error of QEMU's is a failure.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Answer<Value> {
        self.ask(command, arguments)?
            .map_err(|error| Failure::new(format!("QEMU refuses {command}: {error}")).into())
    }

    /// Runs a command; `Err` inside is QEMU's own description of what is wrong.
    pub fn ask(&mut self, command: &str, arguments: &Value) -> Answer<Result<Value, String>> {
        self.number += 1;
        let line = request(command, arguments, self.number);
        self.writer
            .write_all(&line)
            .map_err(|error| lost("write to", &error))?;
        loop {
            let mut answer = self.message()?;
            // Anything else is an event, or answers an earlier request.
            if answer.get("id").and_then(Value::as_u64) != Some(self.number) {
                continue;
            }
            if let Some(error) = answer.get("error") {
                let description = error.get("desc").and_then(Value::as_str).unwrap_or("error");
                return Ok(Err(description.to_owned()));
            }
            if let Some(result) = answer.get_mut("return") {
                return Ok(Ok(result.take()));
            }
        }
    }

    /// Whether the guest that ended switched the machine off, rather than ending QEMU itself.
    pub fn powered_off(mut self) -> bool {
        while !self.powered_off && self.message().is_ok() {}
        self.powered_off
    }
}

/// A whole line. It is written at once: QEMU acts on the closing brace, and a guest that ends it then leaves the
/// rest of the line unread, for which the system resets the connection and drops the answer.
fn request(command: &str, arguments: &Value, number: u64) -> Vec<u8> {
    let request = json!({ "execute": command, "arguments": arguments, "id": number });
    format!("{request}\n").into_bytes()
}

fn lost(what: &str, error: &std::io::Error) -> MonitorError {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => MonitorError::Closed,
        _ => Failure::new(format!("cannot {what} QEMU's monitor: {error}")).into(),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread::JoinHandle;

    /// A QEMU that greets, then says `script[n]` for the n-th request and closes after the last; `{id}` in it stands
    /// for the request's.
    pub fn emulator(socket: &Path, script: &'static [&'static str]) -> JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(socket).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"{\"QMP\": {}}\n").unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut heard = Vec::new();
            for says in script {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let request: Value = serde_json::from_str(&line).unwrap();
                let id = request.get("id").map(Value::to_string).unwrap_or_default();
                heard.push(line);
                stream
                    .write_all(says.replace("{id}", &id).as_bytes())
                    .unwrap();
            }
            heard
        })
    }

    const READY: &str = "{\"return\": {}, \"id\": {id}}\n";

    fn monitor(script: &'static [&'static str]) -> Answer<Monitor> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("monitor");
        emulator(&socket, script);
        Monitor::connect(&socket, || true)
    }

    fn cont(monitor: &mut Monitor) -> Answer<Result<Value, String>> {
        monitor.ask("cont", &json!({}))
    }

    #[test]
    fn a_request_is_one_line() {
        let line = String::from_utf8(request("cont", &json!({}), 7)).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("}\n") && line.contains("\"id\":7"));
    }

    #[test]
    fn a_closed_connection_is_told_from_failures() {
        assert!(matches!(monitor(&[]), Err(MonitorError::Closed)));
        let mut open = monitor(&[READY, ""]).unwrap();
        assert!(matches!(cont(&mut open), Err(MonitorError::Closed)));
        let nowhere = Path::new("/nonexistent/monitor");
        let never = Monitor::connect(nowhere, || false);
        assert!(matches!(never, Err(MonitorError::Closed)));
        let babble = monitor(&["hello\n"]);
        assert!(matches!(babble, Err(MonitorError::Failure(_))));
    }

    #[test]
    fn a_reset_is_a_closed_connection() {
        for kind in [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe] {
            assert!(matches!(lost("read", &kind.into()), MonitorError::Closed));
        }
        let late = lost("read", &ErrorKind::WouldBlock.into());
        assert!(matches!(late, MonitorError::Failure(_)));
    }

    #[test]
    fn an_answer_is_that_of_its_request() {
        let late =
            "{\"return\": 1, \"id\": 1}\n{\"event\": \"RESUME\"}\n{\"return\": 2, \"id\": {id}}\n";
        let mut monitor = monitor(Box::leak(Box::new([READY, late]))).unwrap();
        assert_eq!(cont(&mut monitor).unwrap(), Ok(json!(2)));
    }

    #[test]
    fn a_machine_switched_off_before_an_answer() {
        let off = "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n{\"return\": {}, \"id\": {id}}\n";
        let script = Box::leak(Box::new([READY, off]));
        let mut switched = monitor(script).unwrap();
        assert!(cont(&mut switched).is_ok());
        assert!(switched.powered_off());
        assert!(!monitor(&[READY]).unwrap().powered_off());
    }
}
