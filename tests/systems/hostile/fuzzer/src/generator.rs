//! The stream of messages.

use abi::{LeaseAttributes, MESSAGE_MAX};
use blk_api::{Kind, Operation};
use queue_api::Request;
use zerocopy::IntoBytes;

use crate::choice::Choice;
use crate::session::Session;
use crate::shot::{LONG_WORDS, Lent, Shot};
use crate::{iommu, others};

/// Whose protocol a server speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// The IOMMU server's.
    Iommu,
    /// The PCI task's.
    Pci,
    /// A disk driver's.
    Disk,
    /// The supervisor's.
    Supervisor,
    /// One that the fuzzer knows nothing of: it gets noise.
    Unknown,
}

/// Makes one message after the other.
pub struct Generator {
    choice: Choice,
    session: Session,
    long: [u64; LONG_WORDS],
    pool_len: usize,
}

impl Generator {
    /// For a fuzzer that drives `device` and has a pool of `pool_len` bytes, whole pages.
    pub fn new(seed: u64, device: u32, pool_len: usize) -> Self {
        let pages = pool_len / abi::layout::PAGE as usize;
        Self {
            choice: Choice::new(seed),
            session: Session::new(device, pages as u32),
            long: [0; LONG_WORDS],
            pool_len,
        }
    }

    /// For choices that are not part of a message.
    pub fn choice(&mut self) -> &mut Choice {
        &mut self.choice
    }

    /// Where the device is to reach next: inside its window, at its edges, anywhere.
    pub fn transfer_address(&mut self) -> u64 {
        self.session.any_iova(&mut self.choice)
    }

    /// The next message to a server of this protocol.
    pub fn next(&mut self, protocol: Protocol) -> Shot {
        let mut shot = if self.choice.one_in(10) {
            self.noise()
        } else {
            self.near_valid(protocol)
        };
        if self.choice.one_in(4) {
            self.change(&mut shot);
        }
        // Another life of a server is never reached; a few are enough.
        if self.choice.one_in(200) {
            shot.life = self.choice.of([1, u64::MAX, 1 << 40]);
        }
        if protocol == Protocol::Disk {
            keep_from_writing(&mut shot);
        }
        shot
    }

    /// The whole of a message: its words beyond the registers are kept here.
    pub fn message(&self, shot: &Shot) -> &[u8] {
        self.long.as_bytes().get(..shot.len).unwrap_or_default()
    }

    /// Takes note of an answer.
    pub fn learn(&mut self, protocol: Protocol, shot: &Shot, code: u32, reply: &[u64; 8]) {
        if protocol == Protocol::Iommu && shot.life == 0 {
            let words = match shot.len {
                0..=64 => [shot.payload[0], shot.payload[1]],
                _ => [self.long[0], self.long[1]],
            };
            self.session.learn(shot, words, code, reply);
        }
    }

    fn near_valid(&mut self, protocol: Protocol) -> Shot {
        let choice = &mut self.choice;
        match protocol {
            Protocol::Iommu => iommu::near_valid(&self.session, choice, &mut self.long),
            Protocol::Pci => others::pci(self.session.device, choice),
            Protocol::Disk => others::disk(self.session.pool_pages, choice),
            Protocol::Supervisor => others::supervisor(choice),
            Protocol::Unknown => self.noise(),
        }
    }

    /// Anything that the kernel carries.
    fn noise(&mut self) -> Shot {
        let choice = &mut self.choice;
        let operation = match choice.below(3) {
            0 => choice.edge() as u16,
            _ => choice.below(14) as u16,
        };
        let payload = core::array::from_fn(|_| choice.edge());
        let len = self.any_len();
        let mut shot = Shot::new(operation, payload, len, self.any_len());
        if len > 64 {
            for word in self.long.iter_mut().take(len / 8 + 1) {
                *word = self.choice.edge();
            }
        }
        if self.choice.one_in(3) {
            shot = shot.lending(self.any_lease());
        }
        shot
    }

    /// Changes one thing.
    fn change(&mut self, shot: &mut Shot) {
        match self.choice.below(7) {
            0 => {
                let at = self.choice.below(8) as usize;
                if let Some(word) = shot.payload.get_mut(at) {
                    *word ^= 1 << self.choice.below(64);
                }
            }
            1 => {
                let at = self.choice.below(8) as usize;
                if let Some(word) = shot.payload.get_mut(at) {
                    *word = self.choice.edge();
                }
            }
            2 => shot.operation = self.choice.below(14) as u16,
            3 => shot.len = self.any_len(),
            4 => shot.reply_capacity = self.any_len(),
            5 => *shot = shot.lending(self.any_lease()),
            _ => {
                shot.leases = [self.any_lease(), self.any_lease()];
                shot.lease_count = self.choice.below(3) as usize;
            }
        }
    }

    fn any_len(&mut self) -> usize {
        let choice = &mut self.choice;
        let len = match choice.below(8) {
            0..=3 => 8 * choice.below(9),
            4 => choice.below(65),
            5 => choice.of([65, 72, 4088, 4095, 4096]),
            _ => choice.below(MESSAGE_MAX as u64 + 1),
        };
        len as usize
    }

    /// Some of the pool, of any length and place, for anything.
    fn any_lease(&mut self) -> Lent {
        let offset = match self.choice.below(2) {
            0 => self.choice.below(self.pool_len as u64) as usize / 4096 * 4096,
            _ => self.choice.below(self.pool_len as u64) as usize,
        };
        let room = (self.pool_len - offset) as u64;
        let len = match self.choice.below(4) {
            0 => room,
            1 => self.choice.of([0, 1, 511, 512, 4095, 4096]).min(room),
            _ => self.choice.below(room + 1),
        };
        Lent {
            offset,
            len: len as usize,
            attributes: LeaseAttributes::from_bits_truncate(self.choice.below(4) as u32),
        }
    }
}

/// A write that the driver would carry out goes beyond the last sector instead: the driver does not know
/// one client from the other, and the disk's content is what the digest is about.
fn keep_from_writing(shot: &mut Shot) {
    if !carries_requests(shot) {
        return;
    }
    let (pairs, _) = shot.payload.as_chunks_mut::<2>();
    for pair in pairs {
        if Request::from_words(*pair).operation() == Kind::Write as u8 {
            pair[1] |= u64::MAX >> 12;
        }
    }
}

/// Whether a disk's driver takes what is in it for requests.
fn carries_requests(shot: &Shot) -> bool {
    [Operation::Run, Operation::Wait]
        .iter()
        .any(|operation| *operation as u16 == shot.operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;
    use userlib::protocol::Wire;

    const POOL: usize = 64 << 10;
    const ALL: [Protocol; 5] = [
        Protocol::Iommu,
        Protocol::Pci,
        Protocol::Disk,
        Protocol::Supervisor,
        Protocol::Unknown,
    ];

    #[test]
    fn the_same_seed_gives_the_same_messages() {
        let stream = |seed| -> Vec<Shot> {
            let mut generator = Generator::new(seed, 6, POOL);
            (0..1000).map(|i| generator.next(ALL[i % 5])).collect()
        };
        assert!(stream(1) == stream(1));
        assert!(stream(1) != stream(2));
    }

    #[test]
    fn every_message_is_legal_for_the_kernel() {
        let mut generator = Generator::new(3, 6, POOL);
        let mut requests = 0;
        for i in 0..200_000 {
            let protocol = ALL[i % 5];
            let shot = generator.next(protocol);
            assert!(shot.len <= MESSAGE_MAX && shot.reply_capacity <= MESSAGE_MAX);
            assert_eq!(generator.message(&shot).len(), shot.len);
            assert!(shot.lease_count <= 2);
            for lent in shot.leases {
                assert!(lent.offset + lent.len <= POOL);
            }
            if protocol == Protocol::Disk && carries_requests(&shot) {
                for pair in shot.payload.as_chunks::<2>().0 {
                    let request = Request::from_words(*pair);
                    let last = request.position() == (1 << 52) - 1;
                    assert!(request.operation() != Kind::Write as u8 || last);
                    requests += 1;
                }
            }
        }
        assert!(requests > 1000);
    }

    #[test]
    fn every_operation_is_sent_with_its_own_length() {
        let mut generator = Generator::new(4, 6, POOL);
        let mut seen = BTreeSet::new();
        for _ in 0..20_000 {
            let shot = generator.next(Protocol::Iommu);
            if shot.operation == iommu_api::Operation::Map as u16 && shot.len == iommu_api::Map::LEN
            {
                seen.insert(0);
            }
            seen.insert(shot.operation);
        }
        for operation in 0..=15 {
            assert!(seen.contains(&operation), "{operation}");
        }
    }

    #[test]
    fn a_claim_is_learned_and_used() {
        let mut generator = Generator::new(5, 6, POOL);
        let claim = iommu_api::Claim {
            handle: iommu_api::Handle::new(6, 9),
            sequence: 41,
            window: iommu_api::Window {
                iova_base: 1 << 32,
                pages: 512,
                block_base: 0,
                blocks: 0,
            },
        };
        let request = Shot::new(
            iommu_api::Operation::Claim as u16,
            [6, 0, 0, 0, 0, 0, 0, 0],
            8,
            48,
        );
        generator.learn(Protocol::Iommu, &request, 0, &claim.to_words());
        let good = (0..1000)
            .map(|_| generator.next(Protocol::Iommu))
            .filter(|shot| shot.payload[..2] == [claim.handle.0, 42])
            .count();
        assert!(good > 300, "{good}");
    }
}
