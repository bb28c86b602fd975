//! Memory and registers on the host.

use core::cell::RefCell;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use userlib::memory::Memory;
use userlib::registers::Registers;

/// Bytes that driver and fake device both reach.
#[derive(Clone, Debug)]
pub struct HostMemory(Rc<RefCell<Vec<u8>>>);

impl HostMemory {
    /// Zeroes.
    pub fn new(len: usize) -> Self {
        Self(Rc::new(RefCell::new(vec![0; len])))
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        assert!(offset.is_multiple_of(N), "unaligned access at {offset:#x}");
        self.0.borrow().get(offset..offset + N)?.try_into().ok()
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(
            offset.is_multiple_of(bytes.len()),
            "unaligned access at {offset:#x}"
        );
        if let Some(to) = self.0.borrow_mut().get_mut(offset..offset + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }
}

macro_rules! accessors {
    ($trait:ident, $outside:expr, $($extra:item)*) => {
        impl $trait for HostMemory {
            fn read8(&self, offset: usize) -> u8 {
                self.read(offset).map_or($outside as u8, u8::from_le_bytes)
            }
            fn read16(&self, offset: usize) -> u16 {
                self.read(offset).map_or($outside as u16, u16::from_le_bytes)
            }
            fn read32(&self, offset: usize) -> u32 {
                self.read(offset).map_or($outside as u32, u32::from_le_bytes)
            }
            fn read64(&self, offset: usize) -> u64 {
                self.read(offset).map_or($outside, u64::from_le_bytes)
            }
            fn write8(&self, offset: usize, value: u8) {
                self.write(offset, &value.to_le_bytes());
            }
            fn write16(&self, offset: usize, value: u16) {
                self.write(offset, &value.to_le_bytes());
            }
            fn write32(&self, offset: usize, value: u32) {
                self.write(offset, &value.to_le_bytes());
            }
            fn write64(&self, offset: usize, value: u64) {
                self.write(offset, &value.to_le_bytes());
            }
            $($extra)*
        }
    };
}

accessors!(
    Memory,
    0u64,
    fn len(&self) -> usize {
        self.0.borrow().len()
    }
);
accessors!(Registers, u64::MAX,);
