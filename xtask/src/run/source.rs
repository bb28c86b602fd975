//! Where a board's bytes come from: a file, standard input, or a serial port.

use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use planner::failure::{Failure, Outcome};
use serial2::SerialPort;

use super::interrupt;

/// How often somebody looks for an interrupt.
const TICK: Duration = Duration::from_millis(100);
/// A silence after which nothing that was begun will be completed: the longest frame takes half a second at 9600
/// bits a second.
const SILENCE: Duration = Duration::from_secs(2);

/// What the thread that reads has to say.
type Heard = std::io::Result<Vec<u8>>;

/// An open source.
pub struct Source {
    heard: Receiver<Heard>,
    name: String,
    last: Instant,
    silent: bool,
}

impl Source {
    /// Opens it. What is a character device is a serial port, which is set to raw bytes of eight bits without parity
    /// at that speed.
    pub fn open(from: &Path, baud: u32) -> Outcome<Self> {
        let name = from.display().to_string();
        let cannot = || Failure::when(format!("cannot read {name}"));
        if from == Path::new("-") {
            return Ok(Self::of(std::io::stdin(), "standard input".to_owned()));
        }
        let kind = std::fs::metadata(from).map_err(cannot())?.file_type();
        if kind.is_char_device() {
            let cannot = Failure::when(format!(
                "cannot use {name} as a serial port of {baud} bits a second"
            ));
            return Ok(Self::of(
                Port(SerialPort::open(from, baud).map_err(cannot)?),
                name,
            ));
        }
        let file = std::fs::File::open(from).map_err(cannot())?;
        Ok(Self::of(file, name))
    }

    fn of(mut from: impl Read + Send + 'static, name: String) -> Self {
        interrupt::watch();
        let (sender, heard) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let heard = match from.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => Ok(buffer.get(..read).unwrap_or_default().to_vec()),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let over = heard.is_err();
                if sender.send(heard).is_err() || over {
                    break;
                }
            }
        });
        Self {
            heard,
            name,
            last: Instant::now(),
            silent: true,
        }
    }

    /// The next bytes, none of them after a silence; `None` at the end, or when the user asks to stop.
    pub fn next(&mut self) -> Outcome<Option<Vec<u8>>> {
        loop {
            match self.heard.recv_timeout(TICK) {
                Ok(heard) => {
                    (self.last, self.silent) = (Instant::now(), false);
                    let cannot = format!("cannot read {} any more", self.name);
                    return Ok(Some(heard.map_err(Failure::when(cannot))?));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if interrupt::asked() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    if !self.silent && self.last.elapsed() >= SILENCE {
                        self.silent = true;
                        return Ok(Some(Vec::new()));
                    }
                }
            }
        }
    }
}

/// A serial port; a time without bytes is not its end.
struct Port(SerialPort);

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {}
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    /// A terminal that is not raw would change or swallow most of these.
    #[test]
    fn a_serial_port_brings_every_byte() {
        let (board, desk) = SerialPort::pair().unwrap();
        let link = format!("/proc/self/fd/{}", desk.as_raw_fd());
        let name = std::fs::read_link(link).unwrap();
        let mut source = Source::open(&name, 1_500_000).unwrap();
        let sent: Vec<u8> = (0..=255).collect();
        board.write_all(&sent).unwrap();
        let mut read = Vec::new();
        while read.len() < sent.len() {
            read.extend(source.next().unwrap().unwrap());
        }
        assert_eq!(read, sent);
        // Then it is silent, once.
        assert_eq!(source.next().unwrap(), Some(Vec::new()));
        drop(board);
        drop(desk);
        assert!(!matches!(source.next(), Ok(Some(_))));
    }

    #[test]
    fn files_end_and_what_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bytes");
        std::fs::write(&file, [1, 0, 2]).unwrap();
        let mut source = Source::open(&file, 9600).unwrap();
        assert_eq!(source.next().unwrap(), Some(vec![1, 0, 2]));
        assert_eq!(source.next().unwrap(), None);
        let Err(Failure::Message(why)) = Source::open(&folder.path().join("none"), 9600) else {
            panic!("there is none");
        };
        assert!(why.contains("none"), "{why}");
        let Err(Failure::Message(why)) = Source::open(Path::new("/dev/null"), 9600) else {
            panic!("it is no serial port");
        };
        assert!(why.contains("serial port"), "{why}");
    }
}
