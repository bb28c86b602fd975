//! The split virtqueue (virtio 2.7), driven from private state.
//!
//! Every chain has a fixed place: slot `s` owns the descriptors `s * links ..`, so there is no free list
//! in shared memory to corrupt, and a used element names a slot or it is a lie. Descriptors are only
//! ever written here, never read back.

use blk_server::SLOTS_MAX;
use blk_server::slots::Slots;
use userlib::memory::{Memory, acquire, publish};

use crate::layout::{AVAILABLE, DESCRIPTORS, QUEUE_MAX, USED};

/// The device broke the protocol. It is not used again without a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceFault {
    /// The used index advanced by more than what is in flight.
    UsedIndex,
    /// A used element names no chain that is in flight.
    UsedElement,
    /// More bytes written than the chain has room for.
    UsedLength,
}

impl DeviceFault {
    /// For a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsedIndex => "used index beyond what is in flight",
            Self::UsedElement => "used element that is not in flight",
            Self::UsedLength => "more bytes written than asked for",
        }
    }
}

/// One buffer of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffer {
    /// IOVA.
    pub address: u64,
    /// Bytes.
    pub len: u32,
    /// Whether the device writes it.
    pub writable: bool,
}

const NEXT: u64 = 1 << 32;
const WRITE: u64 = 2 << 32;

/// A used chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// The chain's slot, free again.
    pub slot: usize,
    /// Bytes the device says that it wrote, at most what the chain has room for.
    pub written: u32,
}

/// One split virtqueue over memory laid out as in [`crate::layout`].
#[derive(Debug)]
pub struct SplitQueue<M> {
    memory: M,
    size: u16,
    links: u16,
    slots: Slots,
    writable: [u32; SLOTS_MAX],
    available: u16,
    used: u16,
    announced: u16,
    /// What the device was told of the available ring.
    told: u16,
}

impl<M: Memory> SplitQueue<M> {
    /// A queue of `size` entries (a power of two, at most [`QUEUE_MAX`]) for chains of up to `links`
    /// descriptors. Clears the rings; the device must not be running. `None` if the arguments or the
    /// memory cannot be a queue.
    pub fn new(memory: M, size: u16, links: u16) -> Option<Self> {
        let fits = size.is_power_of_two() && size <= QUEUE_MAX;
        let slots = size.checked_div(links)?;
        if !fits || slots == 0 || memory.len() < crate::layout::POOL_LEN {
            return None;
        }
        for at in (DESCRIPTORS..crate::layout::POOL_LEN).step_by(8) {
            memory.write64(at, 0);
        }
        Some(Self {
            memory,
            size,
            links,
            slots: Slots::new(usize::from(slots)),
            writable: [0; SLOTS_MAX],
            available: 0,
            used: 0,
            announced: 0,
            told: 0,
        })
    }

    /// The memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The slots, of which those are taken that have a chain in flight.
    pub const fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Slots without a chain in flight.
    #[inline]
    pub const fn room(&self) -> usize {
        self.slots.room()
    }

    /// Whether no chain is in flight.
    pub const fn is_idle(&self) -> bool {
        self.slots.is_idle()
    }

    /// A slot without a chain in flight.
    #[inline]
    pub const fn free_slot(&self) -> Option<usize> {
        self.slots.free()
    }

    /// Puts a chain into a free slot, for the device to see when it is [announced](Self::announce); buffers beyond the
    /// slot's descriptors are a mistake of the driver and are left out.
    #[inline(always)]
    pub fn offer(&mut self, slot: usize, chain: &[Buffer]) {
        let first = slot as u16 * self.links;
        let last = chain.len().min(usize::from(self.links)).saturating_sub(1);
        let mut room = 0u32;
        for (link, buffer) in (0..).zip(chain.iter().take(last + 1)) {
            let at = DESCRIPTORS + 16 * usize::from(first + link);
            let mut word = u64::from(buffer.len);
            if buffer.writable {
                word |= WRITE;
                room = room.saturating_add(buffer.len);
            }
            if usize::from(link) < last {
                word |= NEXT | u64::from(first + link + 1) << 48;
            }
            self.memory.write64(at, buffer.address);
            self.memory.write64(at + 8, word);
        }
        if let Some(writable) = self.writable.get_mut(slot) {
            *writable = room;
        }
        self.slots.take(slot);
        let entry = usize::from(self.available & (self.size - 1));
        self.memory.write16(AVAILABLE + 4 + 2 * entry, first);
        self.available = self.available.wrapping_add(1);
    }

    /// Lets the device see all that was offered since the last time, if anything was; whether it must be told.
    #[inline]
    pub fn announce(&mut self) -> bool {
        if self.available == self.told {
            return false;
        }
        self.told = self.available;
        // The device must not see the index before the entries and the descriptors behind it.
        publish();
        self.memory.write16(AVAILABLE + 2, self.available);
        // Nor may the notification, or the read of the flag, pass the index.
        publish();
        self.wants_notification()
    }

    /// Whether the device asks to be notified of offers (virtio 2.7.10). A device that lies here only
    /// delays its own requests.
    #[inline]
    pub fn wants_notification(&self) -> bool {
        self.memory.read16(USED) & 1 == 0
    }

    /// The next chain that the device is done with.
    #[inline]
    pub fn finished(&mut self) -> Result<Option<Used>, DeviceFault> {
        if self.announced == self.used {
            let index = self.memory.read16(USED + 2);
            let more = u32::from(index.wrapping_sub(self.used));
            if more == 0 {
                return Ok(None);
            }
            if more > self.slots.count() {
                return Err(DeviceFault::UsedIndex);
            }
            self.announced = index;
            // Elements, statuses and data were written before the index; they must not be read before it.
            acquire();
        }
        let at = USED + 4 + 8 * usize::from(self.used & (self.size - 1));
        let id = self.memory.read32(at);
        let written = self.memory.read32(at + 4);
        let links = u32::from(self.links);
        let slot = id
            .checked_div(links)
            .map_or(SLOTS_MAX, |slot| slot as usize);
        if !id.is_multiple_of(links) || !self.slots.is_taken(slot) {
            return Err(DeviceFault::UsedElement);
        }
        if self.writable.get(slot).is_none_or(|&room| written > room) {
            return Err(DeviceFault::UsedLength);
        }
        self.slots.give(slot);
        self.used = self.used.wrapping_add(1);
        Ok(Some(Used { slot, written }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blk_server::testing::HostMemory;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn queue(size: u16) -> (SplitQueue<HostMemory>, HostMemory) {
        let memory = HostMemory::new(crate::layout::POOL_LEN);
        let queue = SplitQueue::new(memory.clone(), size, 3).expect("a queue");
        (queue, memory)
    }

    fn chain(tag: u64) -> [Buffer; 3] {
        [
            Buffer {
                address: 0x1000 + tag,
                len: 16,
                writable: false,
            },
            Buffer {
                address: 0x2000 + tag,
                len: 4096,
                writable: true,
            },
            Buffer {
                address: 0x3000 + tag,
                len: 1,
                writable: true,
            },
        ]
    }

    fn put_used(memory: &HostMemory, index: u16, size: u16, id: u32, len: u32) {
        let at = USED + 4 + 8 * usize::from(index % size);
        memory.write32(at, id);
        memory.write32(at + 4, len);
        memory.write16(USED + 2, index.wrapping_add(1));
    }

    #[test]
    fn impossible_queues_are_refused() {
        let memory = HostMemory::new(crate::layout::POOL_LEN);
        for (size, links) in [(0, 3), (3, 3), (512, 3), (256, 0), (2, 3)] {
            assert!(
                SplitQueue::new(memory.clone(), size, links).is_none(),
                "{size} {links}"
            );
        }
        assert!(SplitQueue::new(HostMemory::new(4096), 256, 3).is_none());
    }

    #[test]
    fn a_chain_is_laid_out_as_the_specification_says() {
        let (mut queue, memory) = queue(256);
        queue.offer(2, &chain(0));
        assert_eq!(memory.read16(AVAILABLE + 2), 0, "not announced yet");
        assert!(queue.announce());
        assert_eq!(memory.read16(AVAILABLE + 2), 1);
        assert_eq!(memory.read16(AVAILABLE + 4), 6);
        let descriptor = |i: usize| {
            let at = DESCRIPTORS + 16 * i;
            (
                memory.read64(at),
                memory.read32(at + 8),
                memory.read16(at + 12),
                memory.read16(at + 14),
            )
        };
        assert_eq!(descriptor(6), (0x1000, 16, 1, 7));
        assert_eq!(descriptor(7), (0x2000, 4096, 3, 8));
        assert_eq!(descriptor(8), (0x3000, 1, 2, 0));
    }

    #[test]
    fn no_slot_is_given_twice() {
        let (mut queue, _) = queue(8);
        assert_eq!(queue.slots().limit(), 2);
        for expected in 0..2 {
            let slot = queue.free_slot().expect("a slot");
            assert_eq!(slot, expected);
            queue.offer(slot, &chain(0));
        }
        assert_eq!(queue.free_slot(), None);
    }

    #[test]
    fn a_hostile_used_ring_is_found_out() {
        let cases = [
            (0u16, 2u16, 0u32, 1u32, DeviceFault::UsedIndex),
            (0, 0xffff, 0, 1, DeviceFault::UsedIndex),
            (0, 1, 1, 1, DeviceFault::UsedElement),
            (0, 1, 3, 1, DeviceFault::UsedElement),
            (0, 1, 0xffff_ffff, 1, DeviceFault::UsedElement),
            (0, 1, 0, 4098, DeviceFault::UsedLength),
        ];
        for (_, index, id, len, fault) in cases {
            let (mut queue, memory) = queue(256);
            queue.offer(0, &chain(0));
            memory.write32(USED + 4, id);
            memory.write32(USED + 8, len);
            memory.write16(USED + 2, index);
            assert_eq!(queue.finished(), Err(fault));
        }
    }

    #[test]
    fn a_chain_cannot_be_used_twice() {
        let (mut queue, memory) = queue(256);
        queue.offer(0, &chain(0));
        queue.offer(1, &chain(1));
        put_used(&memory, 0, 256, 0, 1);
        assert_eq!(
            queue.finished(),
            Ok(Some(Used {
                slot: 0,
                written: 1
            }))
        );
        put_used(&memory, 1, 256, 0, 1);
        assert_eq!(queue.finished(), Err(DeviceFault::UsedElement));
    }

    #[test]
    fn a_change_behind_the_index_is_not_followed() {
        let (mut queue, memory) = queue(256);
        queue.offer(0, &chain(0));
        put_used(&memory, 0, 256, 0, 4097);
        assert_eq!(
            queue.finished(),
            Ok(Some(Used {
                slot: 0,
                written: 4097
            }))
        );
        assert_eq!(queue.finished(), Ok(None));
        // Nothing is in flight any more, so any advance is a lie.
        memory.write16(USED + 2, 2);
        assert_eq!(queue.finished(), Err(DeviceFault::UsedIndex));
    }

    #[test]
    fn the_device_can_ask_for_silence() {
        let (queue, memory) = queue(256);
        assert!(queue.wants_notification());
        memory.write16(USED, 1);
        assert!(!queue.wants_notification());
    }

    proptest! {
        /// An honest device that finishes in any order gets every chain back exactly once, across
        /// many wraps of the ring's index.
        #[test]
        fn honest_devices_finish_everything(order in proptest::collection::vec(any::<u8>(), 1..2000)) {
            let (mut queue, memory) = queue(16);
            let mut flying: Vec<usize> = vec![];
            let mut index = 0u16;
            for choice in order {
                if let (true, Some(slot)) = (choice % 3 != 0, queue.free_slot()) {
                    prop_assert!(!flying.contains(&slot));
                    queue.offer(slot, &chain(u64::from(choice)));
                    flying.push(slot);
                } else if !flying.is_empty() {
                    let slot = flying.swap_remove(usize::from(choice) % flying.len());
                    put_used(&memory, index, 16, slot as u32 * 3, 1);
                    index = index.wrapping_add(1);
                    prop_assert_eq!(queue.finished(), Ok(Some(Used { slot, written: 1 })));
                }
                prop_assert_eq!(queue.finished(), Ok(None));
            }
        }

        /// Whatever the device writes, a slot comes back only while it is in flight, and at most once.
        #[test]
        fn hostile_devices_gain_nothing(
            offered in 1usize..40,
            writes in proptest::collection::vec((0usize..0x1000, any::<u32>()), 0..200),
        ) {
            let (mut queue, memory) = queue(256);
            let mut flying = 0u64;
            for _ in 0..offered {
                if let Some(slot) = queue.free_slot() {
                    queue.offer(slot, &chain(0));
                    flying |= 1 << slot;
                }
            }
            for (at, value) in writes {
                memory.write32(USED + at / 4 * 4, value);
                while let Ok(Some(used)) = queue.finished() {
                    prop_assert!(flying & 1 << used.slot != 0);
                    prop_assert!(used.written <= 4097);
                    flying &= !(1 << used.slot);
                }
            }
        }
    }
}
