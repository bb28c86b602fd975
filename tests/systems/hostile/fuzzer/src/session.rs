//! What the fuzzer knows of its device's claim.

use heapless::{Deque, Vec};
use iommu_api::{Claim, Error, Extent, Handle, Operation, PAGE, Window};
use userlib::protocol::Wire;

use crate::choice::Choice;
use crate::shot::Shot;

/// Mappings remembered; what is forgotten stays mapped until the next claim.
const MAPPED_MAX: usize = 32;
/// Handles of claims that are over.
const PAST_MAX: usize = 4;

/// One device, as its driver sees it.
#[derive(Debug)]
pub struct Session {
    /// Its number.
    pub device: u32,
    /// Pages of the fuzzer's pool.
    pub pool_pages: u32,
    /// The last claim; before the first, nonsense.
    pub handle: Handle,
    /// Number of the last request that the server counted.
    pub sequence: u64,
    /// Where to map.
    pub window: Window,
    past: Deque<Handle, PAST_MAX>,
    mapped: Vec<(u64, u32), MAPPED_MAX>,
}

impl Session {
    /// Nothing is claimed.
    pub const fn new(device: u32, pool_pages: u32) -> Self {
        Self {
            device,
            pool_pages,
            handle: Handle(0),
            sequence: 0,
            window: Window {
                iova_base: 1 << 32,
                pages: 512,
                block_base: 0,
                blocks: 0,
            },
            past: Deque::new(),
            mapped: Vec::new(),
        }
    }

    /// The right handle, or one of a claim that is over, or one that never was.
    pub fn any_handle(&self, choice: &mut Choice) -> Handle {
        match choice.below(24) {
            0 => {
                let skip = choice.below(self.past.len() as u64) as usize;
                self.past.iter().nth(skip).copied().unwrap_or(Handle(0))
            }
            1 => {
                let device = choice.below(16) as u16;
                Handle::new(device, self.handle.generation())
            }
            2 => {
                let near = choice.of([0, 1, u64::MAX]);
                let generation = self.handle.generation().wrapping_add(near);
                Handle::new(self.handle.slot() as u16, generation)
            }
            3 => Handle(choice.edge()),
            _ => self.handle,
        }
    }

    /// The right number, or the last again, or a wrong one.
    pub fn any_sequence(&self, choice: &mut Choice) -> u64 {
        match choice.below(24) {
            0 => self.sequence,
            1 => self.sequence.wrapping_add(2),
            2 => self.sequence.wrapping_sub(1),
            3 => choice.edge(),
            _ => self.sequence.wrapping_add(1),
        }
    }

    /// An address that is mapped, or at an edge of the window, or anywhere.
    pub fn any_iova(&self, choice: &mut Choice) -> u64 {
        let w = &self.window;
        let end = w.iova_base.wrapping_add(w.pages.wrapping_mul(PAGE));
        let block_end = w.block_base.wrapping_add(w.blocks.wrapping_mul(512 * PAGE));
        match choice.below(8) {
            0..=3 => self.any_mapped(choice).0,
            4 => choice.of([w.iova_base, end, w.block_base, block_end]),
            5 => {
                let edge = choice.of([w.iova_base, end, w.block_base, block_end]);
                edge.wrapping_sub(choice.of([1, PAGE, 512 * PAGE]))
            }
            6 => w.iova_base.wrapping_add(choice.below(w.pages) * PAGE),
            _ => choice.edge(),
        }
    }

    /// A run that was mapped, or the window's first page.
    pub fn any_mapped(&self, choice: &mut Choice) -> (u64, u32) {
        let which = choice.below(self.mapped.len() as u64) as usize;
        self.mapped
            .get(which)
            .copied()
            .unwrap_or((self.window.iova_base, 1))
    }

    /// Pages of the pool: mostly a few that exist.
    pub fn any_extent(&self, choice: &mut Choice) -> Extent {
        if choice.one_in(12) {
            return Extent {
                first: choice.edge() as u32,
                pages: choice.edge() as u32,
            };
        }
        let first = choice.below(u64::from(self.pool_pages)) as u32;
        let room = u64::from(self.pool_pages.saturating_sub(first));
        let pages = 1 + choice.below(room.min(4)) as u32;
        // Sometimes one beyond the end.
        Extent {
            first,
            pages: pages + u32::from(choice.one_in(32)),
        }
    }

    /// Follows what the server made of a message; `words` are its first words, `pages` what a map or
    /// unmap was about.
    pub fn learn(&mut self, shot: &Shot, words: [u64; 2], code: u32, reply: &[u64; 8]) {
        let [handle, sequence] = words;
        let Some(operation) = Operation::from_number(shot.operation) else {
            return;
        };
        if operation == Operation::Claim {
            if let (0, Some(claim)) = (code, Claim::from_words(reply)) {
                self.claimed(&claim);
            }
            return;
        }
        let next = self.sequence.wrapping_add(1);
        if handle != self.handle.0 || sequence != next || !counts(operation, code) {
            return;
        }
        self.sequence = next;
        if code != 0 {
            return;
        }
        match operation {
            Operation::Map | Operation::MapLease => {
                self.remember(reply[0], Extent::from_word(shot.payload[2]).pages);
            }
            Operation::MapList => self.remember(reply[0], 1),
            Operation::Unmap => self.mapped.retain(|run| run.0 != shot.payload[2]),
            Operation::UnmapList | Operation::Release => self.mapped.clear(),
            _ => {}
        }
    }

    fn claimed(&mut self, claim: &Claim) {
        if claim.handle != self.handle {
            if self.past.is_full() {
                self.past.pop_front();
            }
            // There is room now.
            let _ = self.past.push_back(self.handle);
            self.mapped.clear();
        }
        self.handle = claim.handle;
        self.sequence = claim.sequence;
        self.window = claim.window;
    }

    fn remember(&mut self, iova: u64, pages: u32) {
        if self.mapped.is_full() {
            self.mapped.clear();
        }
        // There is room now.
        let _ = self.mapped.push((iova, pages));
    }
}

/// Whether the server counted a request that it answered so. Where this is wrong, the next claim, which
/// returns the one that exists, tells the number.
fn counts(operation: Operation, code: u32) -> bool {
    let changes = !matches!(
        operation,
        Operation::Describe | Operation::Claim | Operation::NextFault | Operation::Status
    );
    changes
        && !matches!(
            Error::from_code(code),
            Some(Error::Malformed | Error::StaleHandle | Error::OutOfSequence)
        )
}
