//! A plan in the image: tables of records of one size (`docs/reference/image.md`).

/// The records of a plan, as bytes.
pub struct Blob<'a> {
    bytes: &'a [u8],
}

const MAGIC: u32 = u32::from_le_bytes(*b"PLAN");
const VERSION: u16 = 3;
const HEADER: usize = 16;
const SECTION: usize = 16;

/// One record.
#[derive(Clone, Copy)]
pub struct Record<'a>(&'a [u8]);

impl<'a> Blob<'a> {
    /// # Errors
    /// If the bytes do not begin with a plan of the version that is known here; `whose` is named.
    pub fn new(bytes: Option<&'a [u8]>, whose: &str) -> Result<Self, String> {
        let bytes = bytes.ok_or_else(|| format!("the plan of {whose} is not in the image"))?;
        let record = Record(bytes);
        if record.u32(0) != MAGIC || record.u32(4) as u16 != VERSION {
            return Err(format!("{whose} has no plan of version {VERSION}"));
        }
        Ok(Self { bytes })
    }

    /// The records of a kind, which have `size` bytes each; none if the plan has no such table.
    ///
    /// # Errors
    /// If they have another size, or lie outside.
    pub fn table(&self, kind: u32, size: usize) -> Result<Vec<Record<'a>>, String> {
        let sections = (Record(self.bytes).u32(4) >> 16) as usize;
        let section = (0..sections)
            .filter_map(|index| self.bytes.get(HEADER + index * SECTION..))
            .map(Record)
            .find(|section| section.u32(0) == kind);
        let Some(section) = section else {
            return Ok(Vec::new());
        };
        let (offset, count) = (section.u32(8) as usize, section.u32(12) as usize);
        let len = count
            .checked_mul(size)
            .filter(|_| section.u32(4) as usize == size);
        let records = len
            .and_then(|len| self.bytes.get(offset..)?.get(..len))
            .ok_or_else(|| format!("the records of kind {kind:#x} are not what this tool knows"))?;
        Ok(records.chunks_exact(size.max(1)).map(Record).collect())
    }
}

impl Record<'_> {
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

    /// The name in the record's first 24 bytes.
    pub fn name(self) -> String {
        let bytes = self.0.iter().take(24).take_while(|byte| **byte != 0);
        String::from_utf8_lossy(&bytes.copied().collect::<Vec<u8>>()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(stride: u32, count: u32) -> Vec<u8> {
        let mut bytes = b"PLAN\x03\x00\x01\x00".to_vec();
        bytes.extend(48u64.to_le_bytes());
        for word in [0x101, stride, 32, count] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes.extend(b"name\0\0\0\0\x07\0\0\0\0\0\0\0");
        bytes
    }

    #[test]
    fn records_are_found_by_their_kind() {
        let bytes = blob(16, 1);
        let blob = Blob::new(Some(&bytes), "t").unwrap();
        let records = blob.table(0x101, 16).unwrap();
        assert_eq!(
            (records.len(), records[0].name().as_str(), records[0].u64(8)),
            (1, "name", 7)
        );
        assert_eq!(
            (records[0].u32(8), records[0].u32(16), records[0].u64(12)),
            (7, 0, 0)
        );
        assert!(blob.table(0x102, 16).unwrap().is_empty());
        assert!(blob.table(0x101, 8).is_err());
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        assert!(Blob::new(None, "t").is_err());
        assert!(Blob::new(Some(b"PLAN"), "t").is_err());
        assert!(Blob::new(Some(&[0; 32]), "t").is_err());
        for count in [2, u32::MAX] {
            let bytes = blob(16, count);
            assert!(
                Blob::new(Some(&bytes), "t")
                    .unwrap()
                    .table(0x101, 16)
                    .is_err()
            );
        }
    }
}
