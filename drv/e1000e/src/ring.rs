//! A ring of descriptors, driven from private state.
//!
//! A descriptor is written as a whole each time that a page is given, and of what the controller writes only the state of
//! the oldest one that it has is read, once. So whatever it writes to the others, and to their addresses, it tells itself.
//! Both rings have descriptors of the old form, which say the same at the same place (datasheet, 7.1.4 and 7.2.10.1).

use abi::TaskId;
use userlib::memory::{Memory, acquire, publish};
use userlib::registers::Registers;

use crate::registers::{HEAD, HIGH, LEN, TAIL};

/// Descriptors of a ring.
pub const ENTRIES: u16 = 128;
/// Bytes of a descriptor.
pub const DESCRIPTOR_LEN: usize = 16;
/// The controller is done with a descriptor.
const DONE: u32 = 1;

/// A page that the controller has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// The life of the client that gave it.
    pub client: TaskId,
    /// The address at which the controller sees the frame.
    pub iova: u64,
    /// Bytes of the frame to go, or room for one to come.
    pub length: u32,
    /// The client's tag.
    pub tag: u16,
    /// It was mapped for this frame, and is to be unmapped after it.
    pub mapped: bool,
}

impl Page {
    const NONE: Self = Self {
        client: TaskId::KERNEL,
        iova: 0,
        length: 0,
        tag: 0,
        mapped: false,
    };

    /// The IOVA of the whole page.
    #[inline(always)]
    pub const fn place(&self) -> u64 {
        self.iova / abi::layout::PAGE * abi::layout::PAGE
    }
}

/// What the controller says of a descriptor that it is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// The page.
    pub page: Page,
    /// Bytes of a frame that came: the controller's word.
    pub length: u16,
    /// Its state.
    pub state: u8,
    /// What was wrong with the frame.
    pub errors: u8,
}

/// One of the two rings.
#[derive(Debug)]
pub struct Ring {
    /// Offset of the descriptors in the pool.
    base: usize,
    /// The first of its registers.
    registers: usize,
    /// The oldest descriptor that the controller has.
    head: u16,
    /// The next one to be given.
    tail: u16,
    /// The tail that the controller was told.
    told: u16,
    pages: [Page; ENTRIES as usize],
}

const fn after(index: u16) -> u16 {
    (index + 1) % ENTRIES
}

impl Ring {
    /// A ring without pages.
    pub const fn new(base: usize, registers: usize) -> Self {
        Self {
            base,
            registers,
            head: 0,
            tail: 0,
            told: 0,
            pages: [Page::NONE; ENTRIES as usize],
        }
    }

    /// How many pages the controller has.
    #[inline(always)]
    pub const fn count(&self) -> usize {
        ((self.tail + ENTRIES - self.head) % ENTRIES) as usize
    }

    /// How many others fit.
    #[inline(always)]
    pub const fn room(&self) -> usize {
        ENTRIES as usize - 1 - self.count()
    }

    /// Gives a controller that was reset the ring, which has no pages. It sees it at `iova`.
    pub fn start(&mut self, registers: &impl Registers, memory: &impl Memory, iova: u64) {
        (self.head, self.tail, self.told) = (0, 0, 0);
        let len = usize::from(ENTRIES) * DESCRIPTOR_LEN;
        for offset in (self.base..self.base + len).step_by(8) {
            memory.write64(offset, 0);
        }
        let first = self.registers;
        registers.write32(first, iova as u32);
        registers.write32(first + HIGH, (iova >> 32) as u32);
        registers.write32(first + LEN, len as u32);
        registers.write32(first + HEAD, 0);
        registers.write32(first + TAIL, 0);
    }

    /// Puts a page in, for the controller to see when it is [told](Self::tell); false without room. `command` is the second
    /// word of the descriptor.
    #[inline(always)]
    pub fn put(&mut self, memory: &impl Memory, page: Page, command: u64) -> bool {
        if self.room() == 0 {
            return false;
        }
        let at = self.base + usize::from(self.tail) * DESCRIPTOR_LEN;
        memory.write64(at, page.iova);
        memory.write64(at + 8, command);
        if let Some(place) = self.pages.get_mut(usize::from(self.tail)) {
            *place = page;
        }
        self.tail = after(self.tail);
        true
    }

    /// Tells the controller of what was put in since the last time, if anything was.
    #[inline(always)]
    pub fn tell(&mut self, registers: &impl Registers) {
        if self.tail != self.told {
            self.told = self.tail;
            // The controller must not see the tail before the descriptors, and the frames that they name.
            publish();
            registers.write32(self.registers + TAIL, u32::from(self.tail));
        }
    }

    /// The oldest page, if the controller is done with it; it is not the controller's any more.
    #[inline(always)]
    pub fn ended(&mut self, memory: &impl Memory) -> Option<Ended> {
        if self.head == self.told {
            return None;
        }
        let at = self.base + usize::from(self.head) * DESCRIPTOR_LEN;
        let state = memory.read32(at + 12);
        if state & DONE == 0 {
            return None;
        }
        // The rest of the descriptor, and the frame, were written before its state; they must not be read before it.
        acquire();
        let length = memory.read32(at + 8) as u16;
        let page = self.take()?;
        Some(Ended {
            page,
            length,
            state: state as u8,
            errors: (state >> 8) as u8,
        })
    }

    /// The oldest page, of a controller that was reset and reaches none of them.
    pub fn take(&mut self) -> Option<Page> {
        if self.head == self.tail {
            return None;
        }
        let page = *self.pages.get(usize::from(self.head))?;
        if self.head == self.told {
            self.told = after(self.told);
        }
        self.head = after(self.head);
        Some(page)
    }
}
