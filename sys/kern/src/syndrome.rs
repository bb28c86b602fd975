//! The meaning of `ESR_EL1` for an exception (Arm DDI 0487, D24.2).

use abi::FaultKind;

/// Which address belongs to a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address {
    /// `FAR_EL1`.
    Fault,
    /// The instruction's.
    Instruction,
    /// None: the processor does not know it, and `FAR_EL1` holds that of an earlier fault, which may be
    /// another task's.
    Unknown,
}

const INSTRUCTION_ABORT: u64 = 0x20;
const PC_ALIGNMENT: u64 = 0x22;
const DATA_ABORT: u64 = 0x24;
const SP_ALIGNMENT: u64 = 0x26;

/// The exception class, `EC`.
const fn class(syndrome: u64) -> u64 {
    syndrome >> 26 & 0x3f
}

/// Whether it is a system call.
pub const fn is_system_call(syndrome: u64) -> bool {
    const SVC: u64 = 0x15;
    class(syndrome) == SVC
}

/// Kind of a task's synchronous fault, and where to find its address. An access that the task's tables do not permit, which
/// most faults are, is told first.
#[inline(always)]
pub const fn fault(syndrome: u64) -> (FaultKind, Address) {
    if class(syndrome) == DATA_ABORT && is_of_tables(syndrome) {
        (FaultKind::MemoryAccess, Address::Fault)
    } else {
        any_fault(syndrome)
    }
}

/// Whether the status of an abort is one of the tables walked: address size, translation, access flag or permission.
const fn is_of_tables(syndrome: u64) -> bool {
    syndrome & 0x30 == 0
}

#[inline(never)]
const fn any_fault(syndrome: u64) -> (FaultKind, Address) {
    match class(syndrome) {
        INSTRUCTION_ABORT => abort(syndrome, FaultKind::InstructionFetch),
        DATA_ABORT => abort(syndrome, FaultKind::MemoryAccess),
        PC_ALIGNMENT => (FaultKind::Alignment, Address::Fault),
        SP_ALIGNMENT => (FaultKind::Alignment, Address::Instruction),
        _ => (FaultKind::IllegalInstruction, Address::Instruction),
    }
}

const fn abort(syndrome: u64, kind: FaultKind) -> (FaultKind, Address) {
    /// `FnV`: `FAR_EL1` is not valid; defined for [`EXTERNAL`] alone.
    const NO_ADDRESS: u64 = 1 << 10;
    const EXTERNAL: u64 = 0x10;
    const ALIGNMENT: u64 = 0x21;
    match syndrome & 0x3f {
        EXTERNAL if syndrome & NO_ADDRESS != 0 => (FaultKind::BusError, Address::Unknown),
        // External aborts on the access and on a table walk for it; the same for parity and ECC errors.
        EXTERNAL | 0x13..=0x18 | 0x1b..=0x1f => (FaultKind::BusError, Address::Fault),
        ALIGNMENT => (FaultKind::Alignment, Address::Fault),
        _ => (kind, Address::Fault),
    }
}

/// The effect of an asynchronous error, from bad to worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Nothing: the hardware corrected it.
    Corrected,
    /// An access failed, and nothing else is damaged as far as the processor knows.
    Contained,
    /// An access failed, and nothing else is damaged, but the task that the error interrupted cannot go on: a
    /// state is lost, or the task needs what is damaged.
    Stopped,
    /// Anything may be damaged, the kernel's own state included.
    Uncontained,
}

/// Severity by the syndrome of an SError. A processor without FEAT_RAS, or with a syndrome of its own, does
/// not tell: its errors are failed accesses.
pub const fn severity(syndrome: u64) -> Severity {
    /// `IDS`: the syndrome is the implementation's own.
    const OWN: u64 = 1 << 24;
    const ASYNCHRONOUS: u64 = 0x11;
    if syndrome & OWN != 0 || syndrome & 0x3f != ASYNCHRONOUS {
        return Severity::Contained;
    }
    // AET.
    match syndrome >> 10 & 7 {
        0 => Severity::Uncontained,
        // Unrecoverable (UEU), and recoverable by a repair (UER). A restartable one (UEO) lets everything go on.
        1 | 3 => Severity::Stopped,
        6 => Severity::Corrected,
        _ => Severity::Contained,
    }
}

/// The worse of two errors by their syndromes, where there are any; the first if they are equally bad.
pub fn worse(first: Option<u64>, second: Option<u64>) -> Option<u64> {
    match (first, second) {
        (Some(one), Some(other)) if severity(other) > severity(one) => second,
        (None, _) => second,
        _ => first,
    }
}

/// The syndrome of an SError that a barrier put into `DISR_EL1`, if there is one.
pub const fn deferred(disr: u64) -> Option<u64> {
    const DEFERRED: u64 = 1 << 31;
    const SYNDROME: u64 = 0x1ff_ffff;
    /// Exception class of an SError, 32-bit instruction.
    const CLASS: u64 = 0x2f << 26 | 1 << 25;
    if disr & DEFERRED == 0 {
        return None;
    }
    Some(CLASS | disr & SYNDROME)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn exception(class: u64, status: u64) -> u64 {
        class << 26 | 1 << 25 | status
    }

    #[test]
    fn an_abort_is_told_by_its_status() {
        const FETCH: FaultKind = FaultKind::InstructionFetch;
        const ACCESS: FaultKind = FaultKind::MemoryAccess;
        for (class, own) in [(0x20, FETCH), (0x24, ACCESS)] {
            for status in 0..0x40 {
                let expected = match status {
                    // External aborts, and parity or ECC errors: on the access, on a walk of level -1 to 3.
                    0x10 | 0x13 | 0x14 | 0x15 | 0x16 | 0x17 => FaultKind::BusError,
                    0x18 | 0x1b | 0x1c | 0x1d | 0x1e | 0x1f => FaultKind::BusError,
                    0x21 => FaultKind::Alignment,
                    _ => own,
                };
                let found = fault(exception(class, status));
                assert_eq!(found, (expected, Address::Fault), "{class:#x} {status:#x}");
            }
        }
    }

    #[test]
    fn an_address_that_is_not_valid_is_not_taken() {
        let known = exception(0x24, 0x10);
        assert_eq!(fault(known), (FaultKind::BusError, Address::Fault));
        let unknown = known | 1 << 10;
        assert_eq!(fault(unknown), (FaultKind::BusError, Address::Unknown));
        // Bit 10 has no such meaning with other statuses.
        let translation = exception(0x24, 0x07) | 1 << 10;
        assert_eq!(
            fault(translation),
            (FaultKind::MemoryAccess, Address::Fault)
        );
    }

    #[test]
    fn other_exceptions_have_the_address_of_their_instruction() {
        let illegal = (FaultKind::IllegalInstruction, Address::Instruction);
        for class in [0x00, 0x01, 0x07, 0x0e, 0x18, 0x19, 0x2c, 0x3c] {
            assert_eq!(fault(exception(class, 0)), illegal, "{class:#x}");
        }
        let stack = (FaultKind::Alignment, Address::Instruction);
        assert_eq!(fault(exception(0x26, 0)), stack);
        let counter = (FaultKind::Alignment, Address::Fault);
        assert_eq!(fault(exception(0x22, 0)), counter);
        assert!(is_system_call(exception(0x15, 3)));
        assert!(!is_system_call(exception(0x24, 0)));
    }

    #[test]
    fn only_what_the_processor_says_is_worse_or_less_than_a_failed_access() {
        let error = |aet: u64| severity(exception(0x2f, aet << 10 | 0x11));
        assert_eq!(error(0), Severity::Uncontained);
        assert_eq!(error(6), Severity::Corrected);
        // Unrecoverable, recoverable.
        for aet in [1, 3] {
            assert_eq!(error(aet), Severity::Stopped);
        }
        // Restartable, and reserved values.
        for aet in [2, 4, 5, 7] {
            assert_eq!(error(aet), Severity::Contained);
        }
        // Uncategorized, and a syndrome of the implementation's own that looks uncontained.
        assert_eq!(severity(exception(0x2f, 0)), Severity::Contained);
        assert_eq!(
            severity(exception(0x2f, 1 << 24 | 0x11)),
            Severity::Contained
        );
    }

    #[test]
    fn of_two_errors_the_worse_counts() {
        let error = |aet: u64| exception(0x2f, aet << 10 | 0x11);
        // Corrected, restartable, recoverable, uncontained.
        let rising = [6, 2, 3, 0].map(error);
        for (at, one) in rising.iter().enumerate() {
            assert_eq!(worse(Some(*one), None), Some(*one));
            assert_eq!(worse(None, Some(*one)), Some(*one));
            for other in &rising[at..] {
                assert_eq!(worse(Some(*one), Some(*other)), Some(*other));
                assert_eq!(worse(Some(*other), Some(*one)), Some(*other));
            }
        }
        assert_eq!(worse(None, None), None);
        // Equally bad: the first.
        let (failed, restartable) = (exception(0x2f, 0), error(2));
        assert_eq!(worse(Some(failed), Some(restartable)), Some(failed));
        assert_eq!(worse(Some(restartable), Some(failed)), Some(restartable));
    }

    #[test]
    fn a_deferred_error_has_the_syndrome_of_a_taken_one() {
        assert_eq!(deferred(0x11), None);
        let taken = exception(0x2f, 6 << 10 | 0x11);
        assert_eq!(deferred(1 << 31 | 6 << 10 | 0x11), Some(taken));
    }
}
