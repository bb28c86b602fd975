//! Memory and registers that somebody else writes.

use std::cell::RefCell;
use std::rc::Rc;

use userlib::memory::Memory;
use userlib::registers::Registers;

use crate::input::Input;

/// Memory that driver and device both reach.
#[derive(Clone, Debug)]
pub struct Shared(Rc<RefCell<Vec<u8>>>);

impl Shared {
    /// Zeros.
    pub fn new(len: usize) -> Self {
        Self(Rc::new(RefCell::new(vec![0; len])))
    }

    fn read<const N: usize>(&self, offset: usize) -> [u8; N] {
        assert!(offset.is_multiple_of(N), "unaligned access at {offset:#x}");
        let memory = self.0.borrow();
        let bytes = memory.get(offset..).and_then(|from| from.first_chunk());
        bytes.copied().unwrap_or([0; N])
    }

    fn write<const N: usize>(&self, offset: usize, value: [u8; N]) {
        assert!(offset.is_multiple_of(N), "unaligned access at {offset:#x}");
        let mut memory = self.0.borrow_mut();
        if let Some(to) = memory.get_mut(offset..).and_then(|to| to.first_chunk_mut()) {
            *to = value;
        }
    }
}

/// Both traits are the same accesses to different things.
macro_rules! accesses {
    ($($read:ident $write:ident $value:ty),*) => {
        impl Memory for Shared {
            fn len(&self) -> usize {
                self.0.borrow().len()
            }
            $(fn $read(&self, offset: usize) -> $value {
                <$value>::from_le_bytes(self.read(offset))
            }
            fn $write(&self, offset: usize, value: $value) {
                self.write(offset, value.to_le_bytes());
            })*
        }

        impl Registers for Liar<'_> {
            $(fn $read(&self, offset: usize) -> $value {
                self.answer(offset) as $value
            }
            fn $write(&self, offset: usize, value: $value) {
                self.written.borrow_mut().push((offset, value as u64));
            })*
        }
    };
}
accesses!(read8 write8 u8, read16 write16 u16, read32 write32 u32, read64 write64 u64);

/// Registers that keep what was written, or say anything else.
pub struct Liar<'a> {
    input: Rc<RefCell<Input<'a>>>,
    written: RefCell<Vec<(usize, u64)>>,
}

impl<'a> Liar<'a> {
    /// Several blocks draw from one input.
    pub fn new(input: &Rc<RefCell<Input<'a>>>) -> Self {
        Self {
            input: input.clone(),
            written: RefCell::default(),
        }
    }

    fn answer(&self, offset: usize) -> u64 {
        let mut input = self.input.borrow_mut();
        if input.take::<u8>() & 1 == 1 {
            return input.take();
        }
        let written = self.written.borrow();
        let last = written.iter().rev().find(|(at, _)| *at == offset);
        last.map_or(0, |(_, value)| *value)
    }
}
