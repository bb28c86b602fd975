//! SHA-256 of a disk, computed while the guest computes its own.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::thread::JoinHandle;

use sha2::{Digest as _, Sha256};

use planner::failure::{Failure, Outcome};

/// A digest in the making.
pub struct Digest {
    thread: JoinHandle<io::Result<(String, u64)>>,
}

impl Digest {
    /// Starts reading `file` in the background.
    pub fn start(file: &Path) -> Self {
        let file = file.to_path_buf();
        Self {
            thread: std::thread::spawn(move || of(File::open(file)?)),
        }
    }

    /// The digest of bytes in memory.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        Self {
            thread: std::thread::spawn(move || of(bytes.as_slice())),
        }
    }

    /// The digest in hexadecimal, and the bytes it is over.
    pub fn finish(self) -> Outcome<(String, u64)> {
        self.thread
            .join()
            .map_err(|_| Failure::new("cannot compute the disk's digest"))?
            .map_err(Failure::when("cannot read the disk"))
    }
}

fn of(mut file: impl Read) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut len = 0;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
        len += read as u64;
    }
    let hex = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok((hex, len))
}
