//! The disk's image: the user's, never changed, or one made here.

mod content;
mod digest;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

pub use digest::Digest;

use crate::failure::{Failure, Outcome};

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// The file itself if it is whole sectors, else a copy in `folder` that is padded with zeros.
pub fn given(file: &Path, folder: &Path) -> Outcome<PathBuf> {
    let cannot = || format!("cannot use {} as a disk", file.display());
    let found = std::fs::metadata(file).map_err(Failure::when(cannot()))?;
    // A folder has a length too, and a pipe or a terminal no end.
    if !found.is_file() {
        return Err(Failure::new(format!("{}: it is no file", cannot())));
    }
    let len = found.len();
    let file = file.canonicalize().map_err(Failure::when(cannot()))?;
    if len > 0 && len % SECTOR == 0 {
        return Ok(file);
    }
    // No drive's own disk is called so: names have no dot.
    let copy = folder.join("given.padded.disk");
    std::fs::copy(&file, &copy).map_err(Failure::when(cannot()))?;
    // The copy takes over the rights of the original, which may be read-only.
    let mut rights = std::fs::metadata(&copy)
        .map_err(Failure::when(cannot()))?
        .permissions();
    writable(&mut rights);
    std::fs::set_permissions(&copy, rights).map_err(Failure::when(cannot()))?;
    let padded = len.max(1).next_multiple_of(SECTOR);
    File::options()
        .write(true)
        .open(&copy)
        .and_then(|copy| copy.set_len(padded))
        .map_err(Failure::when(cannot()))?;
    Ok(copy)
}

fn writable(rights: &mut std::fs::Permissions) {
    use std::os::unix::fs::PermissionsExt;
    rights.set_mode(rights.mode() | 0o600);
}

/// A disk of `len` bytes that is the same on every machine and that no host can compress or share.
pub fn made(name: &str, len: u64, folder: &Path) -> Outcome<PathBuf> {
    let len = len.max(1).next_multiple_of(SECTOR);
    let file = folder.join(format!("{name}.disk"));
    if std::fs::metadata(&file).is_ok_and(|found| found.len() == len) {
        return Ok(file);
    }
    let cannot = || format!("cannot make {}", file.display());
    let partial = folder.join(format!("{name}.disk.partial"));
    let mut out = BufWriter::new(File::create(&partial).map_err(Failure::when(cannot()))?);
    for word in content::words().take(usize::try_from(len / 8).unwrap_or(0)) {
        out.write_all(&word.to_le_bytes())
            .map_err(Failure::when(cannot()))?;
    }
    out.flush().map_err(Failure::when(cannot()))?;
    // A run that was interrupted must not leave half a disk under the right name.
    std::fs::rename(&partial, &file).map_err(Failure::when(cannot()))?;
    Ok(file)
}

/// A file of so many bytes in `folder`, whole sectors or not.
pub fn sample(folder: &Path, len: usize) -> Outcome<PathBuf> {
    let file = folder.join(format!("{len}.sample"));
    let bytes: Vec<u8> = content::words()
        .flat_map(u64::to_le_bytes)
        .take(len)
        .collect();
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, bytes))
        .map_err(Failure::when(format!("cannot make {}", file.display())))?;
    Ok(file)
}
