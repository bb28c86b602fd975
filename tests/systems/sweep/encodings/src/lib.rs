//! Which instructions are tried at EL0, and how each has to end.
//!
//! What EL0 may do is a short list: the rest of the space of system instructions has to fault, whatever the
//! processor has, since the kernel leaves closed what the architecture lets it close.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use userlib::provoke::every_instruction::{
    EXCEPTIONS, EXTENSIONS, IMMEDIATES, PLAIN, SYSTEM, TEXTS,
};

/// Asks the judge where to go on. Payload: address of the table. Reply: first slot; seed; one in how many is
/// tried; slot to write with all ones instead, or [`NO_SLOT`]; 1 if the bystander is to run first.
pub const NEXT: u16 = 1;
/// A slot returned although it has to fault. Payload: the slot.
pub const LIVED: u16 = 2;
/// Everything from the first slot up was tried, and returned. Payload: how many.
pub const DONE: u16 = 3;
/// The slot to write was written. The reply comes when the bystander has looked.
pub const WROTE: u16 = 4;
/// The bystander's word. Payload: rounds so far; what is wrong (0 nothing, see [`Wrong`]); the value read.
/// Reply: slot to read, or [`NO_SLOT`].
pub const LOOKED: u16 = 5;

/// No slot is meant.
pub const NO_SLOT: u64 = u64::MAX;

/// What a bystander can notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Wrong {
    /// A general register changed.
    Register = 1,
    /// Its memory changed.
    Memory = 2,
    /// The counter went back, or its frequency is another.
    Counter = 3,
    /// Its timer came too early or far too late.
    Timer = 4,
    /// `TPIDR_EL0` is not zero.
    ThreadRegister = 5,
}

/// How an instruction has to end at EL0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It returns on every processor.
    Returns,
    /// It is its task's fault on every processor.
    Faults,
    /// It returns where the processor has it, and else is the task's fault.
    Either,
    /// It is an undefined system call.
    UndefinedCall,
}

/// A system instruction by its fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields {
    /// `L`: from a register.
    pub read: bool,
    /// Bits 20 to 19.
    pub op0: u32,
    /// Bits 18 to 16.
    pub op1: u32,
    /// Bits 15 to 12.
    pub crn: u32,
    /// Bits 11 to 8.
    pub crm: u32,
    /// Bits 7 to 5.
    pub op2: u32,
}

impl Fields {
    /// Of the number that bits 21 to 5 of the instruction make.
    #[must_use]
    pub const fn of(number: u32) -> Self {
        Self {
            read: number >> 16 & 1 == 1,
            op0: number >> 14 & 3,
            op1: number >> 11 & 7,
            crn: number >> 7 & 0xf,
            crm: number >> 3 & 0xf,
            op2: number & 7,
        }
    }

    /// Slot of the move from (`read`) or to the register of EL0 with these fields.
    #[must_use]
    pub const fn register_of_el0(read: bool, crn: u32, crm: u32, op2: u32) -> usize {
        ((read as u32) << 16 | 3 << 14 | 3 << 11 | crn << 7 | crm << 3 | op2) as usize
    }

    const fn system(self) -> End {
        match (self.op0, self.op1) {
            (3, 3) if self.read => self.read_of_el0(),
            (3, 3) => self.write_of_el0(),
            (1, 3) if !self.read && self.crn == 7 => self.cache(),
            // MDCCSR_EL0: two flags of the debugger's channel. It faults, but QEMU before 8.0 has it as a constant.
            (2, 3) if self.read && self.crn == 0 && self.crm == 1 && self.op2 == 0 => End::Either,
            // WFET, WFIT: as WFE and WFI, and the time may be over.
            (0, 3) if !self.read && self.crn == 1 && self.crm == 0 && self.op2 < 2 => End::Either,
            // Transactions: TSTART, TTEST.
            (0, 3) if self.read && self.crn == 3 && self.crm < 2 && self.op2 == 3 => End::Either,
            _ => End::Faults,
        }
    }

    const fn read_of_el0(self) -> End {
        match (self.crn, self.crm, self.op2) {
            // CTR, DCZID; NZCV; TPIDR, TPIDRRO; CNTFRQ, CNTVCT
            (0, 0, 1 | 7) | (4, 2, 0) | (13, 0, 2 | 3) | (14, 0, 0 | 2) => End::Returns,
            // RNDR, RNDRRS; DIT, SSBS, TCO; CNTVCTSS
            (2, 4, 0 | 1) | (4, 2, 5..=7) | (14, 0, 6) => End::Either,
            // PMUSERENR and AMUSERENR, which say what EL0 may do and cannot be hidden from it.
            (9, 14, 0) | (13, 2, 3) => End::Either,
            _ => End::Faults,
        }
    }

    const fn write_of_el0(self) -> End {
        match (self.crn, self.crm, self.op2) {
            // NZCV, TPIDR
            (4, 2, 0) | (13, 0, 2) => End::Returns,
            // DIT, SSBS, TCO
            (4, 2, 5..=7) => End::Either,
            _ => End::Faults,
        }
    }

    /// Maintenance of caches by address, with `x0` an address of the task's.
    const fn cache(self) -> End {
        match (self.crm, self.op2) {
            // DC ZVA; IC IVAU; DC CVAC, CVAU, CIVAC
            (4 | 5 | 10 | 11 | 14, 1) => End::Returns,
            // With tags, and to the points of persistence.
            (4, 3 | 4) | (12 | 13, 1) | (10 | 12 | 13 | 14, 3 | 5) => End::Either,
            _ => End::Faults,
        }
    }

    /// Without a register.
    const fn plain(self) -> End {
        match (self.op1, self.crn) {
            // Hints; WFE and WFI trap, but only where they would wait.
            (3, 2) => match (self.crm, self.op2) {
                (0, 2 | 3) => End::Either,
                _ => End::Returns,
            },
            (3, 1) if self.crm == 0 && self.op2 < 2 => End::Either,
            // Barriers.
            (3, 3) => End::Either,
            // CFINV, XAFLAG, AXFLAG
            (0, 4) if self.op2 < 3 => End::Either,
            // SSBS, DIT, TCO
            (3, 4) if matches!(self.op2, 1 | 2 | 4) => End::Either,
            _ => End::Faults,
        }
    }
}

/// The instruction in a slot, for messages; 0 for the extensions, which have a text.
#[must_use]
pub fn word(slot: usize) -> u32 {
    let number = slot as u32;
    if SYSTEM.contains(&slot) {
        0xd500_0000 | number << 5
    } else if PLAIN.contains(&slot) {
        0xd500_001f | (number - PLAIN.start as u32) << 5
    } else if EXCEPTIONS.contains(&slot) {
        let number = number - EXCEPTIONS.start as u32;
        let immediate = IMMEDIATES.get(number as usize / 256).copied().unwrap_or(0);
        0xd400_0000 | (number >> 5 & 7) << 21 | u32::from(immediate) << 5 | number & 31
    } else {
        0
    }
}

/// How the instruction in a slot has to end.
#[must_use]
pub fn end(slot: usize) -> End {
    if SYSTEM.contains(&slot) {
        Fields::of(slot as u32).system()
    } else if PLAIN.contains(&slot) {
        Fields::of((slot - PLAIN.start) as u32).plain()
    } else if EXCEPTIONS.contains(&slot) {
        let number = slot - EXCEPTIONS.start;
        // SVC is all zero but its last bit; its immediate 0 is `WhoAmI`.
        match (number % 256, number / 256) {
            (1, 0) => End::Returns,
            (1, _) => End::UndefinedCall,
            _ => End::Faults,
        }
    } else if TEXTS
        .get(slot - EXTENSIONS.start)
        .is_some_and(|of| !of.faults)
    {
        End::Either
    } else {
        End::Faults
    }
}

/// Whether a slot is tried: what may return always, and all registers of EL0, of the rest one in so many.
#[must_use]
pub fn is_tried(slot: usize, seed: u64, one_in: u64) -> bool {
    if EXCEPTIONS.contains(&slot) {
        let number = slot - EXCEPTIONS.start;
        // A system call that exists: not one of an instruction's dangers.
        let call = number % 256 == 1 && IMMEDIATES.get(number / 256) == Some(&1);
        return !call;
    }
    let fields = Fields::of(slot as u32);
    let of_el0 = SYSTEM.contains(&slot) && (fields.op0, fields.op1) == (3, 3);
    of_el0
        || slot >= EXTENSIONS.start
        || end(slot) != End::Faults
        || mixed(slot as u64 ^ seed << 32).is_multiple_of(one_in.max(1))
}

/// SplitMix64's last step: every bit of the result depends on every bit of the number.
const fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Registers of EL0 that a write leaves something in, by the fields `CRn`, `CRm`, `op2`: what one task writes, no
/// other may read.
pub const WRITABLE: [(u32, u32, u32); 4] = [(13, 0, 2), (4, 2, 5), (4, 2, 6), (4, 2, 7)];

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_el0_may_do_is_a_short_list() {
        let writes: Vec<usize> = SYSTEM
            .filter(|&slot| {
                let fields = Fields::of(slot as u32);
                fields.op0 >= 2 && !fields.read && end(slot) != End::Faults
            })
            .collect();
        assert_eq!(writes.len(), 5);
        for (crn, crm, op2) in WRITABLE {
            assert!(writes.contains(&Fields::register_of_el0(false, crn, crm, op2)));
            let read = Fields::register_of_el0(true, crn, crm, op2);
            assert_ne!(end(read), End::Faults);
        }
        // The debugger's channel: DBGDTR_EL0, DBGDTRRX_EL0.
        for crm in [4, 5] {
            let slot = 1 << 16 | 2 << 14 | 3 << 11 | crm << 3;
            assert_eq!(end(slot), End::Faults);
        }
        assert!(
            SYSTEM
                .chain(PLAIN)
                .filter(|&slot| end(slot) != End::Faults)
                .count()
                < 400
        );
    }

    #[test]
    fn known_encodings() {
        let plain = |word: u32| end(PLAIN.start + (word >> 5 & 0x3fff) as usize);
        assert_eq!(plain(0xd503_201f), End::Returns, "nop");
        assert_eq!(plain(0xd503_205f), End::Either, "wfe");
        assert_eq!(plain(0xd503_207f), End::Either, "wfi");
        assert_eq!(plain(0xd503_3fdf), End::Either, "isb");
        assert_eq!(plain(0xd503_42df), End::Faults, "msr daifset, #2");
        assert_eq!(plain(0xd500_419f), End::Faults, "msr pan, #1");
        assert_eq!(
            word(EXCEPTIONS.start + 3 * 256 + 1),
            0xd41f_ffe1,
            "svc #0xffff"
        );
        assert_eq!(word(PLAIN.start + 0x1900), 0xd503_201f);
        let system = |word: u32| end((word >> 5 & 0x1_ffff) as usize);
        assert_eq!(system(0xd53b_e040), End::Returns, "mrs x0, cntvct_el0");
        assert_eq!(system(0xd53b_e020), End::Faults, "mrs x0, cntpct_el0");
        assert_eq!(system(0xd51b_d040), End::Returns, "msr tpidr_el0, x0");
        assert_eq!(system(0xd51b_d060), End::Faults, "msr tpidrro_el0, x0");
        assert_eq!(system(0xd50b_7420), End::Returns, "dc zva, x0");
        assert_eq!(system(0xd508_7620), End::Faults, "dc ivac, x0");
        assert_eq!(end(EXCEPTIONS.start + 1), End::Returns, "svc #0");
        assert_eq!(end(EXCEPTIONS.start + 2), End::Faults, "hvc #0");
        assert_eq!(end(EXCEPTIONS.start + 3 * 256 + 1), End::UndefinedCall);
    }

    #[test]
    fn a_tenth_is_a_tenth_and_all_is_all() {
        let tried = |seed, one_in| {
            let all = 0..EXTENSIONS.end;
            all.filter(move |&slot| is_tried(slot, seed, one_in))
        };
        let tenth = tried(1, 10).count();
        assert!((17_000..23_000).contains(&tenth), "{tenth}");
        assert_ne!(
            tried(1, 10).collect::<Vec<_>>(),
            tried(2, 10).collect::<Vec<_>>()
        );
        // But for the system call of the immediate 1.
        assert_eq!(tried(1, 1).count(), EXTENSIONS.end - 1);
    }
}
