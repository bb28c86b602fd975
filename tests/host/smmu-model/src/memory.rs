//! The memory that processor and SMMU share: tables and queues.
//!
//! A store of the processor reaches the SMMU's view at any time, in any order with other words, but no
//! later than the next barrier. A store of the SMMU may stay unseen by the processor until it
//! orders its reads after that of the index which announced it.

use crate::Chooser;

/// Tables and queues, and how far each side's view of them has come.
#[derive(Clone, Debug)]
pub struct Memory {
    base: u64,
    words: Vec<u64>,
    /// Stores of the processor that no barrier has pushed out, in program order.
    pending: Vec<(usize, u64)>,
    /// Words the SMMU wrote, with what the processor may still read there.
    unseen: Vec<(usize, u64)>,
}

impl Memory {
    /// Zeroed memory of `bytes` bytes at physical address `base`.
    #[must_use]
    pub fn new(base: u64, bytes: usize) -> Self {
        Self {
            base,
            words: vec![0; bytes / 8],
            pending: Vec::new(),
            unseen: Vec::new(),
        }
    }

    /// Physical address of the first byte.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    fn index(&self, address: u64) -> Option<usize> {
        let offset = address.checked_sub(self.base)?;
        let index = usize::try_from(offset / 8).ok()?;
        (offset % 8 == 0 && index < self.words.len()).then_some(index)
    }

    /// Whether a word is in this memory.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.index(address).is_some()
    }

    /// A store before anything looked: visible to all.
    pub fn preset(&mut self, address: u64, value: u64) {
        if let Some(index) = self.index(address) {
            self.words[index] = value;
        }
    }

    /// A store of the processor. False if there is no memory.
    pub fn store(&mut self, address: u64, value: u64) -> bool {
        let Some(index) = self.index(address) else {
            return false;
        };
        self.unseen.retain(|&(unseen, _)| unseen != index);
        self.pending.push((index, value));
        true
    }

    /// A load of the processor: its own latest store, or what it sees of the SMMU's.
    pub fn load(&mut self, address: u64, chooser: &mut Chooser) -> Option<u64> {
        let index = self.index(address)?;
        if let Some(&(_, value)) = self.pending.iter().rev().find(|&&(at, _)| at == index) {
            return Some(value);
        }
        if let Some(&(_, old)) = self.unseen.iter().find(|&&(at, _)| at == index)
            && chooser.once_in(2)
        {
            return Some(old);
        }
        self.words.get(index).copied()
    }

    /// What the processor stored last, whatever is visible.
    #[must_use]
    pub fn latest(&self, address: u64) -> Option<u64> {
        let index = self.index(address)?;
        let pending = self.pending.iter().rev().find(|&&(at, _)| at == index);
        pending
            .map(|&(_, value)| value)
            .or_else(|| self.words.get(index).copied())
    }

    /// Every store of the processor so far becomes visible to the SMMU.
    pub fn publish(&mut self) {
        for (index, value) in self.pending.drain(..) {
            self.words[index] = value;
        }
    }

    /// Whether stores wait for a barrier.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Reads of the processor from now on see what the SMMU wrote so far.
    pub fn acquire(&mut self) {
        self.unseen.clear();
    }

    /// A read of the SMMU: any value the word may have by now. `None`: the interconnect aborts.
    pub fn fetch(&mut self, address: u64, chooser: &mut Chooser) -> Option<u64> {
        let index = self.index(address)?;
        let waiting = self.pending.iter().filter(|&&(at, _)| at == index).count();
        if waiting > 0 {
            let mut seen = chooser.below(waiting + 1);
            // What was seen once is not unseen again: stores to one word keep their order.
            let words = &mut self.words;
            self.pending.retain(|&(at, value)| {
                let taken = at == index && seen > 0;
                if taken {
                    seen -= 1;
                    words[index] = value;
                }
                !taken
            });
        }
        self.words.get(index).copied()
    }

    /// Every value that [`Memory::fetch`] could give, in order of age.
    pub fn candidates(&self, address: u64) -> impl Iterator<Item = u64> {
        let index = self.index(address);
        let visible = index.and_then(|index| self.words.get(index)).copied();
        let pending = self
            .pending
            .iter()
            .filter(move |&&(at, _)| Some(at) == index);
        visible.into_iter().chain(pending.map(|&(_, value)| value))
    }

    /// A store of the SMMU.
    pub fn deposit(&mut self, address: u64, value: u64) -> bool {
        let Some(index) = self.index(address) else {
            return false;
        };
        self.unseen.push((index, self.words[index]));
        self.words[index] = value;
        true
    }
}
