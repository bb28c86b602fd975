//! Pools of this task, and the order of what it and a device write there.

use plan::task::{MappingEntry, MappingFlags};

use super::Memory;
use crate::run::{Run, accessors};

/// A pool of this task, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct PoolMemory(Run, Snooping);

/// Whether every device that can reach a pool sees the caches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Snooping {
    Every,
    NotEvery,
}

impl PoolMemory {
    /// The pool of a mapping.
    pub fn of(mapping: &MappingEntry) -> Self {
        let flags = MappingFlags::from_bits_truncate(mapping.flags);
        let run = Run::planned(mapping.va, mapping.len);
        let snooping = if flags.contains(MappingFlags::NON_COHERENT) {
            Snooping::NotEvery
        } else {
            Snooping::Every
        };
        Self(run, snooping)
    }

    /// The calling task's log ring, whose data has `capacity` bytes.
    #[cfg(target_os = "none")]
    pub(crate) fn log_ring(capacity: u32) -> Self {
        let run = Run {
            va: abi::layout::TASK_LOG_RING,
            len: abi::log::HEADER_BYTES + capacity as usize,
        };
        Self(run, Snooping::Every)
    }

    /// A part of it; empty where it exceeds the whole.
    pub fn part(&self, offset: usize, len: usize) -> Self {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.0.len);
        let run = Run {
            va: self.0.va + offset as u64,
            len: if inside { len } else { 0 },
        };
        Self(run, self.1)
    }

    /// Address of `offset` in this task, for a lease or a borrow of pool memory.
    pub fn address(&self, offset: usize) -> u64 {
        self.0.va + offset as u64
    }

    /// Whether every device that the plan lets reach this memory sees the caches.
    pub fn is_coherent(&self) -> bool {
        self.1 == Snooping::Every
    }

    /// Hands bytes over between the calling task and a device that may not see the caches. It is called before the
    /// device is told to read or write the bytes, and again before the task reads what the device wrote. Their cache
    /// lines are cleaned and invalidated, an instruction each; nothing where [`PoolMemory::is_coherent`]. What the
    /// device writes must not share a line with what this task writes meanwhile: lines have up to 2 KiB
    /// (`CTR_EL0.CWG`).
    #[inline(always)]
    pub fn hand_over(&self, offset: usize, len: usize) {
        if !self.is_coherent() {
            clean_invalidate(self.0, offset, len);
        }
    }
}

accessors!(Memory for PoolMemory, outside 0u64,
    fn len(&self) -> usize {
        self.0.len
    }
);

/// Makes all earlier writes visible to devices before any later register write.
#[inline(always)]
pub fn publish() {
    barrier();
}

/// Makes all earlier writes to Normal memory and to registers visible, before any later write, to what observes the Outer
/// Shareable domain: processors, and an SMMU that reads its tables as Inner Shareable or without caches, which counts as
/// Outer Shareable (Arm ARM B2.7.1, B2.11). Earlier reads are not waited for.
#[inline(always)]
pub fn publish_stores() {
    barrier_of_stores();
}

/// Keeps later reads of device-written memory behind the register or index read that announced it.
#[inline(always)]
pub fn acquire() {
    barrier();
}

#[cfg(target_os = "none")]
#[inline(always)]
fn barrier() {
    // SAFETY: a barrier has no effect but order. Full system: devices are outside the inner domain.
    unsafe { core::arch::asm!("dsb sy", options(nostack, preserves_flags)) };
}

#[cfg(target_os = "none")]
#[inline(always)]
fn barrier_of_stores() {
    // SAFETY: a barrier has no effect but order.
    unsafe { core::arch::asm!("dsb oshst", options(nostack, preserves_flags)) };
}

#[cfg(not(target_os = "none"))]
fn barrier_of_stores() {
    barrier();
}

#[cfg(not(target_os = "none"))]
fn barrier() {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

#[cfg(target_os = "none")]
pub(crate) fn clean_invalidate(run: Run, offset: usize, len: usize) {
    /// Smallest line of any implementation; a larger one is only cleaned more than once.
    const LINE: u64 = 16;
    let Some(end) = offset.checked_add(len) else {
        return;
    };
    if end > run.len {
        return;
    }
    let mut at = (run.va + offset as u64) / LINE * LINE;
    while at < run.va + end as u64 {
        // SAFETY: the line lies in a pool of this task; clean and invalidate to the point of coherency
        // loses no data.
        unsafe { core::arch::asm!("dc civac, {}", in(reg) at, options(nostack, preserves_flags)) };
        at += LINE;
    }
    barrier();
}

#[cfg(not(target_os = "none"))]
pub(crate) fn clean_invalidate(_: Run, _: usize, _: usize) {}
