//! The image's bytes by physical address, and its header.

/// The image, as a loader puts it into memory.
pub struct Image<'a> {
    bytes: &'a [u8],
    pub header: Header,
}

/// The header that the first instructions read (`docs/reference/image.md`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Header {
    /// Physical address of the first byte.
    pub base: u64,
    pub console: u64,
    pub tcr: u64,
    pub mair: u64,
    /// Root of the identity tables of the first instructions.
    pub first_root: u64,
    pub kernel_root: u64,
    /// Bytes of the kernel's plan.
    pub plan_len: u64,
    pub el2: (u64, u64),
}

const MAGIC: &[u8] = b"PORTCULL";
const VERSION: u32 = 3;
/// Offsets in the image: the header lies behind the 64 bytes of Linux's.
mod at {
    pub const MAGIC: u64 = 64;
    pub const VERSION: u64 = 72;
    pub const BASE: u64 = 80;
    pub const CONSOLE: u64 = 88;
    pub const TCR: u64 = 96;
    pub const MAIR: u64 = 104;
    pub const FIRST_ROOT: u64 = 112;
    pub const EL2: u64 = 120;
    pub const EL2_LEN: u64 = 128;
    pub const CORE_COUNT: u64 = 184;
    pub const KERNEL_ROOT: u64 = 200;
    pub const PLAN_LEN: u64 = 208;
}

impl<'a> Image<'a> {
    /// # Errors
    /// If the bytes are no image of a version that is known here.
    pub fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let header = Header::default();
        let mut image = Self { bytes, header };
        let word = |offset| image.word(offset).ok_or("the image ends in its header");
        let (version, cores) = (word(at::VERSION)? as u32, word(at::CORE_COUNT)? as u32);
        if bytes
            .get(at::MAGIC as usize..)
            .is_none_or(|rest| !rest.starts_with(MAGIC))
        {
            return Err("this is no image of Portcullis".to_owned());
        }
        if version != VERSION || cores != 1 {
            return Err(format!(
                "the image's header has version {version} and {cores} cores; this tool knows version {VERSION} with one"
            ));
        }
        image.header = Header {
            base: word(at::BASE)?,
            console: word(at::CONSOLE)?,
            tcr: word(at::TCR)?,
            mair: word(at::MAIR)?,
            first_root: word(at::FIRST_ROOT)?,
            kernel_root: word(at::KERNEL_ROOT)?,
            plan_len: word(at::PLAN_LEN)?,
            el2: (word(at::EL2)?, word(at::EL2_LEN)?),
        };
        Ok(image)
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The little-endian word at a physical address, if it is in the file.
    pub fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Bytes from a physical address up, if the file has them all.
    pub fn bytes(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        let from = usize::try_from(address.checked_sub(self.header.base)?).ok()?;
        let end = from.checked_add(usize::try_from(len).ok()?)?;
        self.bytes.get(from..end)
    }

    /// A task's plan, as long as it says itself, if it is in the file.
    pub fn plan(&self, place: Option<u64>) -> Option<&'a [u8]> {
        let place = place?;
        let len = self.word(place.checked_add(8)?)?;
        self.bytes(place, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(Image::new(&[0; 64]).is_err());
        let mut bytes = vec![0; 256];
        let refused = |bytes: &[u8]| Image::new(bytes).err().unwrap_or_default();
        assert!(refused(&bytes).contains("no image"));
        bytes[64..72].copy_from_slice(MAGIC);
        assert!(refused(&bytes).contains("version 0 and 0 cores"));
        bytes[72] = 3;
        bytes[184] = 1;
        bytes[82] = 0x20;
        bytes[200] = 7;
        let image = Image::new(&bytes).unwrap();
        assert_eq!(
            (image.header.base, image.header.kernel_root),
            (0x20_0000, 7)
        );
        assert_eq!(image.word(0x20_0000 + 200), Some(7));
        for outside in [0, 0x20_0000 - 8, 0x20_0000 + 249, u64::MAX] {
            assert_eq!(image.word(outside), None);
        }
    }
}
