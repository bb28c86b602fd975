//! Runs of the task's own address space that are reached by volatile access: registers, pools.
//!
//! Every run lies in what the plan page maps for this task beyond its program and stack, or is the log ring, which
//! every task has: it is there for the task's whole life, and no reference points to it. A record that somebody else
//! made, or a range that the plan does not have, gives an empty one.

use plan::task::{DeviceEntry, MappingEntry};

use crate::config;

/// A run of this task's address space that is reached by volatile access only.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub va: u64,
    pub len: usize,
}

impl Run {
    /// The range, if this task's plan maps all of it; otherwise empty. The plan itself is asked, as any code can make a
    /// record.
    pub fn planned(va: u64, len: u64) -> Self {
        Self::within(config::table(), config::table(), va, len)
    }

    /// The range, if one mapping or one BAR of these tables has all of it; otherwise empty.
    fn within<'a>(
        mappings: impl IntoIterator<Item = &'a MappingEntry>,
        devices: impl IntoIterator<Item = &'a DeviceEntry>,
        va: u64,
        len: u64,
    ) -> Self {
        let inside = |start: u64, size: u64| {
            let offset = va.checked_sub(start);
            offset.is_some_and(|offset| offset <= size && len <= size - offset)
        };
        let has_bar = |device: &DeviceEntry| {
            let mut bars = device.bar_va.iter().zip(device.bar_len);
            bars.any(|(&start, size)| start != 0 && inside(start, size))
        };
        let mut mappings = mappings.into_iter();
        let found =
            mappings.any(|entry| inside(entry.va, entry.len)) || devices.into_iter().any(has_bar);
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
    pub fn read<T: Copy>(&self, offset: usize, outside: T) -> T {
        match self.at::<T>(offset) {
            // SAFETY: `at` keeps the access inside a mapping of the plan and aligned; no reference to this
            // memory exists anywhere.
            Some(pointer) => unsafe { pointer.read_volatile() },
            None => outside,
        }
    }

    #[inline(always)]
    pub fn write<T: Copy>(&self, offset: usize, value: T) {
        if let Some(pointer) = self.at::<T>(offset) {
            // SAFETY: as for `read`; a mapping made into registers or a pool is writable.
            unsafe { pointer.write_volatile(value) };
        }
    }
}

/// Writes the accesses of a trait. Both traits have the same ones, with another answer for what lies outside.
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

pub(crate) use accessors;

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
            vectors: 0,
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
