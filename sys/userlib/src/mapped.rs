//! The task's own mappings as safe objects: registers, pools, the plan page.
//!
//! Every object here lies in what the plan page maps for this task beyond its program and stack, or is the log ring, which
//! every task has: it is there for the task's whole life, and no reference points to it. A record that somebody else
//! made, or a range that the plan does not have, gives an empty object.

use plan::task::{DeviceEntry, MappingEntry, MappingFlags};

use crate::config;
use crate::memory::Memory;
use crate::registers::Registers;

/// A run of this task's address space that is reached by volatile access only.
#[derive(Clone, Copy, Debug)]
struct Run {
    va: u64,
    len: usize,
}

impl Run {
    /// The range, if this task's plan maps all of it; otherwise empty. The plan itself is asked, as any code can make a
    /// record.
    fn planned(va: u64, len: u64) -> Self {
        Self::within(config::table(), config::table(), va, len)
    }

    /// The range, if one mapping or one BAR of these tables has all of it; otherwise empty.
    fn within(mappings: &[MappingEntry], devices: &[DeviceEntry], va: u64, len: u64) -> Self {
        let inside = |start: u64, size: u64| {
            let offset = va.checked_sub(start);
            offset.is_some_and(|offset| offset <= size && len <= size - offset)
        };
        let has_bar = |device: &DeviceEntry| {
            let mut bars = device.bar_va.iter().zip(device.bar_len);
            bars.any(|(&start, size)| start != 0 && inside(start, size))
        };
        let found =
            mappings.iter().any(|entry| inside(entry.va, entry.len)) || devices.iter().any(has_bar);
        let len = if found { len as usize } else { 0 };
        Self { va, len }
    }

    /// Address of a `T` at `offset`, if it lies inside and is aligned.
    #[inline(always)]
    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        let address = self.va + offset as u64;
        (end <= self.len && address.is_multiple_of(align_of::<T>() as u64))
            .then_some(address as *mut T)
    }

    #[inline(always)]
    fn read<T: Copy>(&self, offset: usize, outside: T) -> T {
        match self.at::<T>(offset) {
            // SAFETY: `at` keeps the access inside a mapping of the plan and aligned; no reference to this
            // memory exists anywhere.
            Some(pointer) => unsafe { pointer.read_volatile() },
            None => outside,
        }
    }

    #[inline(always)]
    fn write<T: Copy>(&self, offset: usize, value: T) {
        if let Some(pointer) = self.at::<T>(offset) {
            // SAFETY: as for `read`; a mapping made into registers or a pool is writable.
            unsafe { pointer.write_volatile(value) };
        }
    }
}

/// Registers of a device, mapped into this task.
#[derive(Clone, Copy, Debug)]
pub struct MappedRegisters(Run);

impl MappedRegisters {
    /// The registers of a mapping of kind `Registers`, `PciConfiguration` or `SmmuTables`.
    pub fn of(mapping: &MappingEntry) -> Self {
        Self::planned(mapping.va, mapping.len)
    }

    /// BAR `number` of a device that this task drives; `None` where it has none.
    pub fn bar(device: &DeviceEntry, number: usize) -> Option<Self> {
        let va = *device.bar_va.get(number)?;
        let len = *device.bar_len.get(number)?;
        (va != 0).then(|| Self::planned(va, len))
    }

    /// The registers named by address in a server's own plan record (`plan::pci`, `plan::iommu`); empty where the plan
    /// maps nothing for this task.
    pub fn planned(va: u64, len: u64) -> Self {
        Self(Run::planned(va, len))
    }

    /// A part of the block; empty where it exceeds it.
    pub fn part(&self, offset: usize, len: usize) -> Self {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.0.len);
        Self(Run {
            va: self.0.va + offset as u64,
            len: if inside { len } else { 0 },
        })
    }

    /// `count` consecutive 64-bit words from `offset`, checked once; `None` if they are not wholly inside and
    /// aligned.
    #[inline(always)]
    pub fn words(&self, offset: usize, count: usize) -> Option<Words> {
        let len = count.checked_mul(size_of::<u64>())?;
        let inside = offset.checked_add(len)? <= self.0.len;
        let address = self.0.va + offset as u64;
        (inside && address.is_multiple_of(align_of::<u64>() as u64)).then_some(Words {
            first: address as *mut u64,
            count,
        })
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether the block is empty.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }
}

/// Consecutive words of a mapping, made by [`MappedRegisters::words`]; each is accessed once, in ascending
/// order.
#[derive(Debug)]
pub struct Words {
    first: *mut u64,
    count: usize,
}

/// Words accessed between two looks at the count.
const STRIDE: usize = 4;

impl Words {
    /// Writes to each word what `next` gives.
    #[inline(always)]
    pub fn fill(self, mut next: impl FnMut() -> u64) {
        for index in 0..self.count {
            self.write(index, next());
        }
    }

    /// Writes the first two words, if there are as many.
    #[inline(always)]
    pub fn store_pair(self, [first, second]: [u64; 2]) {
        if self.count >= 2 {
            self.write(0, first);
            self.write(1, second);
        }
    }

    /// Writes zero to each.
    #[inline(always)]
    pub fn clear(self) {
        let whole = self.count & !(STRIDE - 1);
        for index in (0..whole).step_by(STRIDE) {
            for word in index..index + STRIDE {
                self.write(word, 0);
            }
        }
        for index in whole..self.count {
            self.write(index, 0);
        }
    }

    /// Combines all words.
    #[inline(always)]
    pub fn fold<T>(self, start: T, mut step: impl FnMut(T, u64) -> T) -> T {
        let mut result = start;
        let whole = self.count & !(STRIDE - 1);
        for index in (0..whole).step_by(STRIDE) {
            for word in index..index + STRIDE {
                result = step(result, self.read(word));
            }
        }
        for index in whole..self.count {
            result = step(result, self.read(index));
        }
        result
    }

    /// Reads a word; `index` is below the count, as all callers here ensure.
    #[inline(always)]
    fn read(&self, index: usize) -> u64 {
        debug_assert!(index < self.count);
        // SAFETY: `words` checked that `count` words lie in a mapping of the plan, aligned, and the index is
        // below it; no reference to this memory exists anywhere.
        unsafe { self.first.add(index).read_volatile() }
    }

    /// Writes a word; as [`Self::read`].
    #[inline(always)]
    fn write(&self, index: usize, value: u64) {
        debug_assert!(index < self.count);
        // SAFETY: as for `read`; a mapping made into registers is writable.
        unsafe { self.first.add(index).write_volatile(value) };
    }
}

/// Both traits are the same accesses with another answer for what lies outside.
macro_rules! accessors {
    ($trait:ident for $type:ty, outside $outside:expr, $($extra:item)*) => {
        impl $trait for $type {
            #[inline(always)]
            fn read8(&self, offset: usize) -> u8 {
                self.0.read(offset, $outside as u8)
            }
            #[inline(always)]
            fn read16(&self, offset: usize) -> u16 {
                self.0.read(offset, $outside as u16)
            }
            #[inline(always)]
            fn read32(&self, offset: usize) -> u32 {
                self.0.read(offset, $outside as u32)
            }
            #[inline(always)]
            fn read64(&self, offset: usize) -> u64 {
                self.0.read(offset, $outside)
            }
            #[inline(always)]
            fn write8(&self, offset: usize, value: u8) {
                self.0.write(offset, value);
            }
            #[inline(always)]
            fn write16(&self, offset: usize, value: u16) {
                self.0.write(offset, value);
            }
            #[inline(always)]
            fn write32(&self, offset: usize, value: u32) {
                self.0.write(offset, value);
            }
            #[inline(always)]
            fn write64(&self, offset: usize, value: u64) {
                self.0.write(offset, value);
            }
            $($extra)*
        }
    };
}

accessors!(Registers for MappedRegisters, outside u64::MAX,);

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

    /// This task's log ring, whose data has `capacity` bytes.
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

    /// The point at which bytes change hands between this task and a device that may not see the caches:
    /// before the device is told to read or write them, and again before this task reads what the device
    /// wrote. Their cache lines are cleaned and invalidated, an instruction each; nothing where
    /// [`PoolMemory::is_coherent`]. What the device writes must not share a line with what this task
    /// writes meanwhile: lines have up to 2 KiB (`CTR_EL0.CWG`).
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

#[cfg(not(target_os = "none"))]
fn barrier() {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

#[cfg(target_os = "none")]
fn clean_invalidate(run: Run, offset: usize, len: usize) {
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
fn clean_invalidate(_: Run, _: usize, _: usize) {}

/// The plan page, read-only and never changed while the system runs.
#[cfg(target_os = "none")]
pub(crate) fn plan_page() -> &'static [u8] {
    const BASE: *const u8 = abi::layout::TASK_PLAN_BASE as *const u8;
    // SAFETY: at least one page is mapped read-only at this address in every task, for ever.
    let first = unsafe { core::slice::from_raw_parts(BASE, abi::layout::PAGE as usize) };
    let len = plan::Blob::claimed_len(first).unwrap_or(0) as usize;
    // SAFETY: the build step maps the whole blob whose length it wrote there.
    unsafe { core::slice::from_raw_parts(BASE, len) }
}

#[cfg(not(target_os = "none"))]
pub(crate) fn plan_page() -> &'static [u8] {
    &[]
}

#[cfg(test)]
mod tests {
    use plan::task::{DeviceEntry, MappingEntry, MappingKind};
    use plan::{NONE, Name};

    use super::Run;

    fn mapping(va: u64, len: u64) -> MappingEntry {
        MappingEntry {
            name: Name::new("block"),
            va,
            len,
            kind: MappingKind::Registers as u32,
            task: NONE,
            flags: 0,
            reserved: 0,
        }
    }

    fn device(bar_va: [u64; 6], bar_len: [u64; 6]) -> DeviceEntry {
        DeviceEntry {
            name: Name::new("device"),
            device: 0,
            interrupt: 0,
            vendor_id: 0,
            device_id: 0,
            reserved: 0,
            bar_va,
            bar_len,
        }
    }

    #[test]
    fn only_what_the_plan_has_is_mapped() {
        let mappings = [mapping(0x1000, 0x1000), mapping(0x8000, 0x2000)];
        let devices = [device(
            [0, 0, 0x2_0000, 0, 0, 0],
            [0x4000, 0, 0x20, 0, 0, 0],
        )];
        let maps = |va, len| {
            let run = Run::within(&mappings, &devices, va, len);
            assert!(run.len == 0 || run.len as u64 == len && run.va == va);
            run.len != 0
        };
        let whole = [(0x1000, 0x1000), (0x8000, 0x2000), (0x2_0000, 0x20)];
        for (va, len) in whole {
            assert!(maps(va, len));
            assert!(maps(va + len - 1, 1) && maps(va + 8, len - 8));
            assert!(!maps(va, len + 1) && !maps(va - 1, len) && !maps(va + 1, len));
            assert!(!maps(va + len, 1) && !maps(va, u64::MAX) && !maps(u64::MAX, len));
        }
        // Neither a stack nor a program, nor a BAR that there is not, however long it says it is.
        for va in [0, 8, 0x3000, abi::layout::TASK_STACK_TOP - 8, u64::MAX - 7] {
            assert!(!maps(va, 8), "{va:#x}");
        }
        assert!(!maps(0, u64::MAX));
    }
}
