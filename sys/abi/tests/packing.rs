//! Descriptors give back what was packed, and nothing overlaps.

use abi::privileged::{Held, HeldKind};
use abi::{Lease, LeaseAttributes, ReplyDescriptor, SendDescriptor, TaskId};

#[test]
fn send_descriptor() {
    let d = SendDescriptor::new(0xabcd, 4096, 64, 2);
    assert_eq!(
        (d.operation(), d.len(), d.reply_capacity(), d.leases()),
        (0xabcd, 4096, 64, 2)
    );
    assert_eq!(d.0 & SendDescriptor::RESERVED, 0);
    assert_eq!(SendDescriptor::new(u16::MAX, 0, 0, 0).len(), 0);
}

#[test]
fn reply_descriptor() {
    let d = ReplyDescriptor::new(0xdead_beef, 4096);
    assert_eq!((d.code(), d.len()), (0xdead_beef, 4096));
    assert_eq!(d.0 & ReplyDescriptor::RESERVED, 0);
}

#[test]
fn lease() {
    let lease = Lease::new(u32::MAX, LeaseAttributes::WRITE);
    assert_eq!(
        (lease.len(), lease.attributes()),
        (0xffff_ffff, LeaseAttributes::WRITE)
    );
    assert_eq!(lease.0 & Lease::RESERVED, 0);
}

#[test]
fn task_id() {
    let id = TaskId::new(63, (1 << 48) - 1);
    assert_eq!(
        (id.index(), id.core(), id.generation()),
        (63, 0, (1 << 48) - 1)
    );
    let other = TaskId(id.0 | 5 << 8);
    assert_eq!(
        (other.index(), other.core(), other.generation()),
        (63, 5, id.generation())
    );
    assert_eq!((id.number(), other.number()), (63, 0x53f));
    assert_eq!(TaskId::new(63, 7).next_life(), TaskId::new(63, 8));
    assert_eq!(TaskId::new(7, 0).0, 7);
}

#[test]
fn notification_bits_do_not_overlap() {
    use abi::notification::*;
    let all = [POSTABLE, INTERRUPTS, PEER, HELD_DEATH, FAULT, TIMER];
    assert_eq!(all.iter().fold(0u32, |sum, bits| sum | bits), u32::MAX);
    assert_eq!(all.iter().map(|bits| bits.count_ones()).sum::<u32>(), 32);
}

#[test]
fn held() {
    let hold = Held {
        next: 5,
        kind: HeldKind::Hold,
        task: TaskId::new(63, 7),
        device: u32::MAX,
        dead: true,
        ..Held::END
    };
    let pin = Held {
        kind: HeldKind::Pin,
        slot: u32::MAX,
        pa: 0x1000,
        len: 1 << 40,
        dead: false,
        access: LeaseAttributes::READ,
        ..hold
    };
    let both = Held {
        dead: true,
        access: LeaseAttributes::all(),
        ..pin
    };
    for (held, words) in [
        (Held::END, [0; 7]),
        (hold, [5, 1, hold.task.0, 0xffff_ffff, 1, 0, 0]),
        (pin, [5, 2, pin.task.0, u64::MAX, 2, 0x1000, 1 << 40]),
        (both, [5, 2, pin.task.0, u64::MAX, 7, 0x1000, 1 << 40]),
    ] {
        assert_eq!(held.to_words(), words);
        assert_eq!(Held::from_words(words), held);
    }
}
