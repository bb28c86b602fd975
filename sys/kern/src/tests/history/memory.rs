//! Pools of all tasks, byte by byte.

use std::vec::Vec;

use abi::{Code, LeaseAttributes};

use super::model::{Heard, Model, Named};
use crate::tests::world::{COUNT, POOL, POOL_LEN, World};

/// A range of a task's pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// Offset.
    pub at: u64,
    pub len: u64,
}

/// Where histories write: messages, replies and buffers in the first, and the beginnings of the pages that are
/// lent to be pinned.
pub const WINDOWS: [Place; 3] = [
    Place { at: 0, len: 256 },
    Place {
        at: 0x1000,
        len: 128,
    },
    Place {
        at: 0x2000,
        len: 128,
    },
];

#[derive(Debug)]
pub struct Pools(Vec<Vec<u8>>);

impl Pools {
    /// As they are after the start.
    pub fn of(world: &mut World) -> Self {
        let pool = |task| world.memory(task, POOL, POOL_LEN).to_vec();
        Self((0..COUNT).map(pool).collect())
    }

    fn range(at: u64, len: u64) -> core::ops::Range<usize> {
        at as usize..(at + len) as usize
    }

    pub fn copy(&mut self, from: usize, source: u64, to: usize, target: u64, len: u64) {
        let bytes = self.0[from][Self::range(source, len)].to_vec();
        self.0[to][Self::range(target, len)].copy_from_slice(&bytes);
    }

    /// A task writes to its own memory.
    pub fn write(&mut self, task: usize, at: u64, bytes: &[u8]) {
        self.0[task][Self::range(at, bytes.len() as u64)].copy_from_slice(bytes);
    }

    /// What a task's pool has to contain in a window.
    pub fn window(&self, task: usize, window: Place) -> &[u8] {
        &self.0[task][Self::range(window.at, window.len)]
    }
}

impl Model {
    /// A borrow of `len` bytes at `offset` of a lease, from or to the borrower's pool; true if bytes were copied.
    pub fn borrow(
        &mut self,
        task: usize,
        lender: Named,
        number: usize,
        offset: u64,
        local: Place,
        access: LeaseAttributes,
    ) -> bool {
        let lease = self.lent(task, lender, number).and_then(|(at, lease)| {
            let fits = offset <= lease.len() && local.len <= lease.len() - offset;
            let granted = lease.attributes().contains(access);
            if fits && granted {
                Ok(at + offset)
            } else {
                Err(Code::LEASE_BOUNDS)
            }
        });
        let code = lease.err().unwrap_or(Code::OK);
        self.hears(task, Heard::Code(code));
        let Ok(remote) = lease else { return false };
        if access == LeaseAttributes::READ {
            self.pools
                .copy(lender.task, remote, task, local.at, local.len);
        } else {
            self.pools
                .copy(task, local.at, lender.task, remote, local.len);
        }
        local.len != 0
    }
}
