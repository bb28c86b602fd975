//! Reading a function's configuration space. Everything in it is untrusted: lists may loop, offsets
//! may point anywhere.

/// A configuration space as dumped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    bytes: Vec<u8>,
}

/// Most entries of a capability list: 4 bytes each in the space they can be in.
const CAPABILITIES: usize = 48;
/// The most extended capabilities that fit, 8 bytes each.
const EXTENDED: usize = 480;

impl Config {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The bytes of configuration space.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True if the extended space was dumped.
    pub fn extended(&self) -> bool {
        self.bytes.len() > 256
    }

    /// The byte at `offset`; 0 beyond the end.
    pub fn byte(&self, offset: usize) -> u8 {
        self.bytes.get(offset).copied().unwrap_or(0)
    }

    /// The little-endian word at `offset`.
    pub fn word(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.byte(offset), self.byte(offset + 1)])
    }

    /// The little-endian double word at `offset`.
    pub fn double(&self, offset: usize) -> u32 {
        u32::from(self.word(offset)) | u32::from(self.word(offset + 2)) << 16
    }

    /// Memory space enable: the BARs and windows of a function that does not decode may hold anything.
    pub fn decodes_memory(&self) -> bool {
        const COMMAND: usize = 0x04;
        self.word(COMMAND) & 1 << 1 != 0
    }

    /// Offset of the capability `id`.
    ///
    /// # Errors
    /// If the list leaves the space it can be in, or loops.
    pub fn capability(&self, id: u8) -> Result<Option<usize>, String> {
        const STATUS: usize = 0x06;
        const POINTER: usize = 0x34;
        if self.word(STATUS) & 1 << 4 == 0 {
            return Ok(None);
        }
        let mut at = usize::from(self.byte(POINTER) & !3);
        for _ in 0..CAPABILITIES {
            if at == 0 {
                return Ok(None);
            }
            if at < 0x40 {
                return Err(format!(
                    "the capability list points to {at:#x}, into the header"
                ));
            }
            if self.byte(at) == id {
                return Ok(Some(at));
            }
            at = usize::from(self.byte(at + 1) & !3);
        }
        Err("the capability list does not end".into())
    }

    /// Offset of the extended capability `id`.
    ///
    /// # Errors
    /// If the list leaves the space it can be in, or loops.
    pub fn extended_capability(&self, id: u16) -> Result<Option<usize>, String> {
        if !self.extended() {
            return Ok(None);
        }
        let mut at = 0x100;
        for _ in 0..EXTENDED {
            let header = self.double(at);
            // An empty list is a header of zeros; where nothing answers it is one of ones.
            if header == 0 || header == u32::MAX {
                return Ok(None);
            }
            if header as u16 == id {
                return Ok(Some(at));
            }
            at = (header >> 20) as usize & !3;
            if at == 0 {
                return Ok(None);
            }
            if at < 0x100 {
                return Err(format!("the extended capability list points to {at:#x}"));
            }
        }
        Err("the extended capability list does not end".into())
    }
}
