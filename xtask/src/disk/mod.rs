//! The disk's image: the user's, never changed, or one made here.

mod content;
mod digest;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

pub use digest::Digest;

use planner::failure::{Failure, Outcome};

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// The file behind a disk; a copy that was made for one run goes with this value.
#[derive(Debug)]
pub struct Disk {
    pub file: PathBuf,
    _copy: Option<TempPath>,
}

/// The file itself if it is whole sectors, else a copy that is padded with zeros, below `folder`.
pub fn given(file: &Path, folder: &Path) -> Outcome<Disk> {
    let cannot = || format!("cannot use {} as a disk", file.display());
    let found = std::fs::metadata(file).map_err(Failure::when(cannot()))?;
    // A folder has a length too, and a pipe or a terminal no end.
    if !found.is_file() {
        return Err(Failure::new(format!("{}: it is no file", cannot())));
    }
    let len = found.len();
    let file = file.canonicalize().map_err(Failure::when(cannot()))?;
    if len > 0 && len % SECTOR == 0 {
        return Ok(Disk { file, _copy: None });
    }
    // A file of its own for each run: another run may begin with another disk while this one is read.
    let copy = temporary(folder)?;
    let copied = std::fs::File::open(&file)
        .and_then(|mut from| std::io::copy(&mut from, &mut copy.as_file()))
        .map_err(Failure::when(cannot()))?;
    let padded = copied.max(1).next_multiple_of(SECTOR);
    copy.as_file()
        .set_len(padded)
        .map_err(Failure::when(cannot()))?;
    let copy = copy.into_temp_path();
    Ok(Disk {
        file: copy.to_path_buf(),
        _copy: Some(copy),
    })
}

fn temporary(folder: &Path) -> Outcome<NamedTempFile> {
    std::fs::create_dir_all(folder)
        .and_then(|()| NamedTempFile::new_in(folder))
        .map_err(Failure::when(format!(
            "cannot write to {}",
            folder.display()
        )))
}

/// The folder of disks, in cargo's target directory.
pub fn folder(target: &Path) -> PathBuf {
    target.join("disks")
}

/// The file for a disk of `len` bytes below `folder`: all disks of one length have one file.
pub fn place(len: u64, folder: &Path) -> PathBuf {
    let len = len.max(1).next_multiple_of(SECTOR);
    folder.join(format!("{len}.disk"))
}

/// A disk of `len` bytes that is the same on every machine and that no host can compress or share.
pub fn made(len: u64, folder: &Path) -> Outcome<Disk> {
    let file = place(len, folder);
    let len = len.max(1).next_multiple_of(SECTOR);
    let words = usize::try_from(len / 8).unwrap_or(0);
    make(&file, content::words().take(words).map(u64::to_le_bytes))?;
    Ok(Disk { file, _copy: None })
}

/// A file with this content, made once. It appears as a whole: neither a run that was interrupted nor another that
/// makes it at the same time leaves half of it under its name.
fn make<const N: usize>(file: &Path, content: impl Iterator<Item = [u8; N]>) -> Outcome<()> {
    if file.is_file() {
        return Ok(());
    }
    let cannot = || format!("cannot make {}", file.display());
    let partial = temporary(file.parent().unwrap_or(Path::new("")))?;
    let mut out = BufWriter::new(partial.as_file());
    for bytes in content {
        out.write_all(&bytes).map_err(Failure::when(cannot()))?;
    }
    out.flush().map_err(Failure::when(cannot()))?;
    drop(out);
    partial.persist(file).map_err(Failure::when(cannot()))?;
    Ok(())
}

/// A file of so many bytes in `folder`, whole sectors or not.
pub fn sample(folder: &Path, len: usize) -> Outcome<PathBuf> {
    let file = folder.join(format!("{len}.sample"));
    let bytes = content::words().flat_map(u64::to_le_bytes).take(len);
    make(&file, bytes.map(|byte| [byte]))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_copies_are_of_one_run_each() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("odd");
        std::fs::write(&file, [7; 700]).unwrap();
        let below = folder.path().join("disks");
        let first = given(&file, &below).unwrap();
        std::fs::write(&file, [8; 10]).unwrap();
        let second = given(&file, &below).unwrap();
        assert_ne!(first.file, second.file);
        assert_eq!(std::fs::read(&first.file).unwrap()[..700], [7; 700]);
        assert_eq!(std::fs::metadata(&first.file).unwrap().len(), 1024);
        assert_eq!(std::fs::metadata(&second.file).unwrap().len(), 512);
        drop((first, second));
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 0);
        std::fs::write(&file, [9; 512]).unwrap();
        let whole = given(&file, &below).unwrap();
        assert_eq!(whole.file, file.canonicalize().unwrap());
    }

    #[test]
    fn made_disks_are_whole_and_told_apart_by_their_length() {
        let folder = tempfile::tempdir().unwrap();
        let [small, large] = [600, 5000].map(|len| made(len, folder.path()).unwrap());
        assert_ne!(small.file, large.file);
        assert_eq!(std::fs::metadata(&small.file).unwrap().len(), 1024);
        assert_eq!(std::fs::metadata(&large.file).unwrap().len(), 5120);
        assert_eq!(place(600, folder.path()), small.file);
        let sample = sample(folder.path(), 701).unwrap();
        assert_eq!(std::fs::metadata(sample).unwrap().len(), 701);
        // Nothing partial is left.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
