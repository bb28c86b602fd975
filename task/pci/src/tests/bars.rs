//! BARs and windows one by one: what registers say of them, at the edges of what they can say.

use std::cell::RefCell;

use pci_api::Width;
use plan::pci::FunctionEntry;
use zerocopy::FromZeros;

use crate::address::Address;
use crate::bar::{decode, is_programmed, probe};
use crate::bridge::encode;
use crate::config::{ConfigSpace, Function};
use crate::registers::BAR;

/// A function that has registers and nothing behind them: what of each can be written.
struct Registers {
    words: RefCell<[u32; 16]>,
    writable: [u32; 16],
}

impl ConfigSpace for Registers {
    fn read(&self, _: Address, offset: u16, _: Width) -> u32 {
        self.words.borrow()[usize::from(offset / 4)]
    }
    fn write(&self, _: Address, offset: u16, _: Width, value: u32) {
        let at = usize::from(offset / 4);
        let word = &mut self.words.borrow_mut()[at];
        *word = *word & !self.writable[at] | value & self.writable[at];
    }
}

const FIRST: usize = BAR as usize / 4;
const AT: Address = Address(0x100);

/// With these bits fixed in BARs, and these to be written.
fn registers(bars: &[(usize, u32, u32)]) -> Registers {
    let (mut words, mut writable) = ([0; 16], [0; 16]);
    for &(index, fixed, free) in bars {
        (words[FIRST + index], writable[FIRST + index]) = (fixed, free);
    }
    Registers {
        words: RefCell::new(words),
        writable,
    }
}

#[test]
fn sizes_are_what_ones_leave() {
    for (shown, low, high, expected) in [
        (0, 0, None, (0, 0)),
        (4, 0, Some(0), (0, 0)),
        (0, 0xffff_f000, None, (0x1000, 0)),
        (8, 0xffff_fff8, None, (0x10, 8)),
        (0, 0x8000_0000, None, (1 << 31, 0)),
        (0xc, 0xffff_c00c, Some(u32::MAX), (0x4000, 0xc)),
        // So large that the lower half is 0.
        (4, 4, Some(0xffff_fffe), (1 << 33, 4)),
        (4, 0, Some(0xffff_fffe), (1 << 33, 4)),
        (4, 0, Some(0x8000_0000), (1 << 63, 4)),
        // I/O, all 32 bits there and the lower half only.
        (1, 0xffff_ffe1, None, (0x20, 1)),
        (1, 0x0000_ffe1, None, (0x20, 1)),
        (1, 0x0001_0001, None, (0xffff_0000, 1)),
    ] {
        assert_eq!(decode(shown, low, high), expected, "{low:#x} {high:?}");
    }
}

/// A last BAR that shows 64 bits has no register for the upper half.
#[test]
fn the_last_bar_is_not_wide() {
    for (bridge, last) in [(false, 5), (true, 1)] {
        let space = registers(&[(last, 4, 0xffff_f000), (last + 1, 0x1234_5678, u32::MAX)]);
        let probed = probe(&Function::new(&space, AT), bridge);
        assert_eq!(probed.len[last], 0x1000);
        assert_eq!(space.words.borrow()[FIRST + last + 1], 0x1234_5678);
        let space = registers(&[(last - 1, 4, 0xffff_f000), (last, 0, u32::MAX)]);
        let probed = probe(&Function::new(&space, AT), bridge);
        assert_eq!((probed.len[last - 1], probed.len[last]), (0x1000, 0));
    }
}

#[test]
fn what_is_programmed_is_so_in_every_register() {
    let mut entry = FunctionEntry::new_zeroed();
    entry.bar_len = [0x1000, 0, 0x4000, 0, 0x20, 0];
    entry.bar_kind = [0, 0, 0xc, 0, 1, 0];
    entry.bar_address = [0x1000_0000, 0, 0x12_3000_4000, 0, 0, 0];
    let right = [0x1000_0000, 0, 0x3000_400c, 0x12, 1, 0];
    let judge = |words: [u32; 6]| {
        let bars: std::vec::Vec<_> = words.iter().enumerate().map(|(n, w)| (n, *w, 0)).collect();
        is_programmed(&Function::new(&registers(&bars), AT), &entry, false)
    };
    assert!(judge(right));
    for index in 0..6 {
        let mut wrong = right;
        wrong[index] ^= 0x10_0000;
        assert!(!judge(wrong), "{index}");
    }
    // Kinds are compared where there is memory; what is left of I/O and of nothing is no address.
    for (index, is_right) in [
        (0, false),
        (1, true),
        (2, false),
        (3, false),
        (4, true),
        (5, true),
    ] {
        let mut other = right;
        other[index] ^= 2;
        assert_eq!(judge(other), is_right, "{index}");
    }
}

#[test]
fn a_window_that_ends_before_it_begins_is_closed() {
    let closed = (0xfff0, u32::MAX, 0);
    assert_eq!(encode([u64::MAX, 0]), closed);
    assert_eq!(encode([0x20_0000, 0x1f_ffff]), closed);
    let (base, limit) = (0x12_3450_0000, 0x12_345f_ffff);
    assert_eq!(encode([base, limit]), (0x3450_3450, 0x12, 0x12));
}

#[test]
fn slots_are_those_of_one_bus() {
    for bus in [0, 1, 7, 255] {
        let address = Address::on_bus(bus, 29 << 3 | 5);
        assert_eq!(
            (address.bus(), address.slot(), address.function()),
            (bus, 29, 5)
        );
    }
}
