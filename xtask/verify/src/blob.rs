//! A plan in the image: tables of records of one size (`docs/reference/image.md`).

use std::collections::BTreeMap;

/// The tables of a plan.
pub struct Blob<'a> {
    tables: BTreeMap<u32, Vec<Record<'a>>>,
}

/// A kind of table: its number, and the bytes of its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind(pub u32, pub usize);

/// All kinds that there are (`docs/reference/image.md`).
pub mod kind {
    use super::Kind;

    pub const TASK_NUMBER: Kind = Kind(0x001, 4);
    pub const SYSTEM: Kind = Kind(0x100, 24);
    pub const TASK: Kind = Kind(0x101, 112);
    pub const REGION: Kind = Kind(0x102, 32);
    pub const POST: Kind = Kind(0x103, 8);
    pub const INTERRUPT: Kind = Kind(0x104, 16);
    pub const WINDOW: Kind = Kind(0x105, 16);
    pub const LISTENER: Kind = Kind(0x106, 12);
    pub const ACCOUNT: Kind = Kind(0x107, 16);
    pub const MESSAGE_TABLES: Kind = Kind(0x108, 16);
    pub const OWN: Kind = Kind(0x200, 40);
    pub const PEER: Kind = Kind(0x201, 32);
    pub const NOTIFICATION: Kind = Kind(0x202, 32);
    pub const MAPPING: Kind = Kind(0x203, 56);
    pub const DRIVEN: Kind = Kind(0x204, 136);
    pub const PARAMETER: Kind = Kind(0x205, 32);
    pub const RESTART: Kind = Kind(0x206, 72);
    pub const REASON: Kind = Kind(0x207, 152);
    pub const HOST_BRIDGE: Kind = Kind(0x300, 32);
    pub const FUNCTION: Kind = Kind(0x301, 312);
    pub const SMMU: Kind = Kind(0x400, 120);
    pub const DOMAIN: Kind = Kind(0x401, 88);
    pub const STREAM: Kind = Kind(0x402, 24);
    pub const DEVICE: Kind = Kind(0x403, 72);
    pub const POOL: Kind = Kind(0x404, 24);
    pub const PREMAPPED: Kind = Kind(0x405, 48);
    pub const LENT_POOL: Kind = Kind(0x406, 24);
    pub const ITS: Kind = Kind(0x500, 80);
    pub const SOURCE: Kind = Kind(0x501, 32);
    pub const ALL: [Kind; 29] = [
        TASK_NUMBER,
        SYSTEM,
        TASK,
        REGION,
        POST,
        INTERRUPT,
        WINDOW,
        LISTENER,
        ACCOUNT,
        MESSAGE_TABLES,
        OWN,
        PEER,
        NOTIFICATION,
        MAPPING,
        DRIVEN,
        PARAMETER,
        RESTART,
        REASON,
        HOST_BRIDGE,
        FUNCTION,
        SMMU,
        DOMAIN,
        STREAM,
        DEVICE,
        POOL,
        PREMAPPED,
        LENT_POOL,
        ITS,
        SOURCE,
    ];
}

const MAGIC: u32 = u32::from_le_bytes(*b"PLAN");
const VERSION: u16 = 4;
const HEADER: usize = 16;
const LINE: usize = 16;
const ALIGNMENT: usize = 8;

/// A record of a table.
#[derive(Clone, Copy)]
pub struct Record<'a>(&'a [u8]);

impl<'a> Blob<'a> {
    /// # Errors
    /// If the bytes are not, from the first to the last, a plan of the version that is known here: its tables are of
    /// known kinds, each there once, and lie behind each other without a gap. `whose` is named.
    pub fn new(bytes: Option<&'a [u8]>, whose: &str) -> Result<Self, String> {
        let bytes = bytes.ok_or_else(|| format!("the plan of {whose} is not in the image"))?;
        let record = Record(bytes);
        if record.u32(0) != MAGIC || record.u32(4) as u16 != VERSION {
            return Err(format!("{whose} has no plan of version {VERSION}"));
        }
        if record.u64(8) != bytes.len() as u64 {
            let (claimed, len) = (record.u64(8), bytes.len());
            return Err(format!(
                "the plan of {whose} says that it has {claimed:#x} bytes, and has {len:#x}"
            ));
        }
        let count = (record.u32(4) >> 16) as usize;
        let mut tables = BTreeMap::new();
        let mut next = HEADER + count * LINE;
        for index in 0..count {
            let line = Record(bytes.get(HEADER + index * LINE..).unwrap_or_default());
            let (kind, size) = (line.u32(0), line.u32(4) as usize);
            let (offset, count) = (line.u32(8) as usize, line.u32(12) as usize);
            let unknown = || {
                format!(
                    "the table of kind {kind:#x} in the plan of {whose} is not what this tool knows"
                )
            };
            if offset != next || !kind::ALL.contains(&Kind(kind, size)) {
                return Err(unknown());
            }
            let len = count.checked_mul(size).ok_or_else(unknown)?;
            let rest = bytes.get(offset..).ok_or_else(unknown)?;
            let records = rest.get(..len).ok_or_else(unknown)?;
            let records = records.chunks_exact(size).map(Record).collect();
            if tables.insert(kind, records).is_some() {
                return Err(format!(
                    "the plan of {whose} has two tables of kind {kind:#x}"
                ));
            }
            next = offset + len.next_multiple_of(ALIGNMENT);
            let filling = bytes.get(offset + len..next).ok_or_else(unknown)?;
            if filling.iter().any(|byte| *byte != 0) {
                return Err(format!(
                    "the table of kind {kind:#x} in the plan of {whose} is filled up with something"
                ));
            }
        }
        if next != bytes.len() {
            return Err(format!("the plan of {whose} goes on behind its last table"));
        }
        Ok(Self { tables })
    }

    /// The records of a kind; none if the plan has no such table.
    pub fn table(&self, kind: Kind) -> &[Record<'a>] {
        self.tables.get(&kind.0).map_or(&[], Vec::as_slice)
    }
}

/// Runs of records that belong to one owner each: a run begins where the one before ended.
#[derive(Clone, Copy, Default)]
pub struct Runs {
    end: usize,
}

impl Runs {
    /// The run whose first record and number are at `at` in its owner's record, if it is the next one.
    pub fn next<'a>(
        &mut self,
        table: &'a [Record<'a>],
        owner: &Record<'_>,
        at: usize,
    ) -> Option<&'a [Record<'a>]> {
        let (first, count) = (owner.u32(at) as usize, owner.u32(at + 4) as usize);
        let own = table.get(first..)?.get(..count)?;
        let is_next = first == self.end;
        self.end = first.saturating_add(count);
        is_next.then_some(own)
    }

    /// The number of records that all runs have.
    pub fn end(self) -> usize {
        self.end
    }
}

impl Record<'_> {
    /// The number of two bytes at an offset; 0 beyond the end.
    pub fn u16(self, offset: usize) -> u16 {
        let bytes = self.0.get(offset..).and_then(|rest| rest.first_chunk());
        u16::from_le_bytes(bytes.copied().unwrap_or_default())
    }

    /// The number at an offset; 0 beyond the end.
    pub fn u32(self, offset: usize) -> u32 {
        let bytes = self.0.get(offset..).and_then(|rest| rest.first_chunk());
        u32::from_le_bytes(bytes.copied().unwrap_or_default())
    }

    /// The number at an offset; 0 beyond the end.
    pub fn u64(self, offset: usize) -> u64 {
        let bytes = self.0.get(offset..).and_then(|rest| rest.first_chunk());
        u64::from_le_bytes(bytes.copied().unwrap_or_default())
    }

    /// The name in the record's first 24 bytes, without the zeros that fill them up.
    pub fn name(self) -> String {
        self.name_at(0)
    }

    /// The name in the 24 bytes from an offset on.
    pub fn name_at(self, offset: usize) -> String {
        self.text(offset, 24)
    }

    /// The text in some bytes from an offset on, without the zeros that fill them up.
    pub fn text(self, offset: usize, len: usize) -> String {
        let rest = self.0.get(offset..).unwrap_or_default();
        let bytes = rest.get(..len).unwrap_or(rest);
        let len = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        String::from_utf8_lossy(bytes.get(..len).unwrap_or_default()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tables of posts: kind, bytes of a record, offset and number of each.
    fn blob(lines: [[u32; 4]; 2]) -> Vec<u8> {
        let mut bytes = b"PLAN\x04\x00\x02\x00".to_vec();
        bytes.extend(72u64.to_le_bytes());
        for word in lines.as_flattened() {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(b"name\0\0\0\0\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0");
        bytes
    }

    const POSTS: [u32; 4] = [0x103, 8, 48, 2];
    const NUMBERS: [u32; 4] = [0x001, 4, 64, 1];

    fn refused(bytes: &[u8]) -> bool {
        Blob::new(Some(bytes), "t").is_err()
    }

    #[test]
    fn records_are_found_by_their_kind() {
        let bytes = blob([POSTS, NUMBERS]);
        let blob = Blob::new(Some(&bytes), "t").unwrap();
        let posts = blob.table(kind::POST);
        assert_eq!(
            (posts.len(), posts[0].name().as_str(), posts[1].u64(0)),
            (2, "name", 7)
        );
        assert_eq!(
            (posts[1].u32(0), posts[1].u32(8), posts[1].u64(4)),
            (7, 0, 0)
        );
        assert_eq!(blob.table(kind::TASK_NUMBER)[0].u32(0), 9);
        assert!(blob.table(kind::TASK).is_empty());
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        assert!(Blob::new(None, "t").is_err());
        assert!(refused(b"PLAN"));
        assert!(refused(&[0; 32]));
        let whole = blob([POSTS, NUMBERS]);
        assert!(!refused(&whole));
        // The build step asks of nobody to understand what is not known here.
        let mut asking = whole.clone();
        asking[19] = 0x80;
        assert!(refused(&asking));
        let mut filled = whole.clone();
        filled[71] = 1;
        assert!(refused(&filled));
        assert!(refused(&whole[..whole.len() - 1]));
        assert!(refused(&[whole.as_slice(), &[0; 8]].concat()));
    }

    /// A reader that takes the first of two tables, or another size of records, reads something else than this one.
    #[test]
    fn every_bit_of_the_list_of_tables_counts() {
        for word in 0..8 {
            for bit in 0..32 {
                let mut lines = [POSTS, NUMBERS];
                lines[word / 4][word % 4] ^= 1 << bit;
                assert!(refused(&blob(lines)), "word {word}, bit {bit}");
            }
        }
        for lines in [
            [POSTS, [0x103, 8, 64, 1]],
            [[0x103, 8, 48, u32::MAX], NUMBERS],
            [[0x103, 8, u32::MAX, 2], NUMBERS],
            [POSTS, [0x001, 0, 64, u32::MAX]],
        ] {
            assert!(refused(&blob(lines)));
        }
    }
}
