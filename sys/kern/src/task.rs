//! One task as the kernel keeps it.

use abi::{Fault, FaultKind, LEASES_MAX, TaskId};
use plan::kernel::{LifeEvent, ListenerEntry, PostEntry, RegionEntry};

use crate::fast;
use crate::task_set::TaskSet;

/// Saved registers. The entry code of the machine stores and loads them at these places.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Frame {
    /// `x0` to `x30`.
    pub x: [u64; 31],
    /// `SP_EL0`.
    pub sp: u64,
    /// Next instruction.
    pub pc: u64,
    /// `SPSR_EL1`; 0 is EL0 with interrupts enabled.
    pub pstate: u64,
}

impl Frame {
    /// All registers zero.
    pub const CLEAR: Self = Self {
        x: [0; 31],
        sp: 0,
        pc: 0,
        pstate: 0,
    };

    /// Register by number: `x0` to `x30`, then stack pointer, program counter and processor state; 0 beyond.
    pub(crate) fn word(&self, number: u64) -> u64 {
        match number {
            31 => self.sp,
            32 => self.pc,
            33 => self.pstate,
            _ => usize::try_from(number)
                .ok()
                .and_then(|number| self.x.get(number))
                .map_or(0, |word| *word),
        }
    }
    /// The registers of a payload, written out: they are to stay in registers on the way.
    #[inline(always)]
    pub(crate) fn payload(&self) -> [u64; 8] {
        let x = &self.x;
        [x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]]
    }
    /// Stores a payload.
    #[inline(always)]
    pub(crate) fn set_payload(&mut self, payload: [u64; 8]) {
        let [a, b, c, d, e, f, g, h] = payload;
        let x = &mut self.x;
        (x[0], x[1], x[2], x[3]) = (a, b, c, d);
        (x[4], x[5], x[6], x[7]) = (e, f, g, h);
    }
    /// Result register of a call without payload.
    #[inline(always)]
    pub(crate) fn set_result(&mut self, value: u64) {
        self.x[0] = value;
    }
}

/// What a task is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum State {
    /// Running, or ready to.
    Runnable = 0,
    /// In a receive that accepts any sender.
    Receiving = 1,
    /// In a receive that accepts only `partner`.
    ReceivingFrom = 2,
    /// Queued at `partner`, which has not received the message yet.
    Sending = 3,
    /// `partner` has the message and has not replied.
    AwaitingReply = 4,
    /// Down: never started, or dead.
    Down = 5,
}

/// A lease of the message that a task waits for the reply to, validated when it was sent.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct HeldLease {
    pub address: u64,
    pub physical: u64,
    /// The [`abi::Lease`] as the sender gave it.
    pub descriptor: u64,
    /// [`plan::kernel::RegionAttributes`] bits of the region it lies in.
    pub region: u64,
}

impl HeldLease {
    pub const NONE: Self = Self {
        address: 0,
        physical: 0,
        descriptor: 0,
        region: 0,
    };
}

/// One task. Fields are read and written by the machine's fast path as well, which finds them through
/// [`crate::offsets`]: those down to `span_physical`, which have to be within its reach, and some behind.
///
/// A power of two in size, so that the fast path finds a task by a shift.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(1024))]
pub struct Task<'p> {
    pub(crate) frame: Frame,
    /// What the fast path has to do before it carries out a receive: nothing (0), or as [`Slow`] bits say.
    pub(crate) slow: u64,
    /// Name of the current life, or of the next one if the task is down.
    pub(crate) id: TaskId,
    pub(crate) state: State,
    /// The peer that `state` speaks of; stale in the other states.
    pub(crate) partner: TaskId,
    /// While a reply is awaited: bytes that fit in registers and that the sender can take.
    pub(crate) reply_limit: u64,
    /// While a reply is awaited: bytes that the sender can take.
    pub(crate) reply_capacity: u64,
    pub(crate) lease_count: u64,
    /// Where the buffer for a reply is, if that can be longer than the registers hold; written by every send, and
    /// 0 where there is none.
    pub(crate) reply_physical: u64,
    /// Pending bits; the upper half stays 0.
    pub(crate) notifications: u64,
    /// Tasks queued to send to this one.
    pub(crate) senders: TaskSet,
    /// Bits that end the receive this task is in.
    pub(crate) mask: u64,
    /// The last receive buffer that was found valid: regions never change, so a server that
    /// receives into one buffer has it checked once.
    pub(crate) receive_address: u64,
    pub(crate) receive_capacity: u64,
    /// Rights to send as the fast path sees them: none while a fault is armed, or if the task has device
    /// registers.
    pub(crate) fast_send_to: TaskSet,
    /// `max-run` in ticks, 0 without limit.
    pub(crate) run_limit: u64,
    pub(crate) ttbr0: u64,
    /// Tasks of higher or equal priority, this one included.
    pub(crate) at_least: TaskSet,
    /// Message and reply lengths that the fast path leaves to the core: all while a fault is armed.
    pub(crate) slow_lengths: u64,
    /// [`fast::LENGTH_ADD`], for a load together with `slow_lengths`.
    pub(crate) length_add: u64,
    /// Always 0: what the fast path clears registers from.
    pub(crate) zeros: [u64; 2],
    /// The target of the last post that was granted, and what is granted there: rights never change, so a
    /// task that posts to one other has them looked up once. No id while a fault is armed.
    pub(crate) post_to: u64,
    pub(crate) post_bits: u64,
    pub(crate) receive_physical: u64,
    /// The region, readable and writable, in which a claim was found last; at first the stack. Never
    /// shorter than the longest message.
    pub(crate) span_address: u64,
    pub(crate) span_len: u64,
    pub(crate) span_physical: u64,
    pub(crate) span_attributes: u32,
    /// Source of a queued message longer than the registers hold, else 0.
    pub(crate) message_physical: u64,
    /// Descriptor of the message that is queued or awaits its reply.
    pub(crate) descriptor: u64,
    pub(crate) leases: [HeldLease; LEASES_MAX],
    pub(crate) send_to: TaskSet,
    /// Tasks with the right to send to this one.
    pub(crate) callers: TaskSet,
    /// Tasks of strictly higher priority.
    pub(crate) above: TaskSet,
    /// The same as the fast path sees it: none if the task has device registers.
    pub(crate) fast_above: TaskSet,
    /// Tasks of the same priority, this one included.
    pub(crate) equals: TaskSet,
    /// Of the pending bits those that the task set itself: taking them ends no run.
    pub(crate) own_bits: u64,
    /// When it became ready or was queued as a sender: first come, first served among equals.
    pub(crate) ticket: u64,
    /// Ticks it ran since it last blocked, up to its last dispatch.
    pub(crate) used: u64,
    pub(crate) deadline: u64,
    /// System calls until an injected fault, 0 if none is armed.
    pub(crate) armed: u64,
    /// Holds on it, and pins of its leases.
    pub(crate) holds: u32,
    /// Stopped for good.
    pub(crate) retired: bool,
    pub(crate) fault: Fault,
    /// INTID of each bit from the first of [`abi::notification::INTERRUPTS`], 0 where there is none.
    pub(crate) interrupts: [u16; 12],
    /// Whether there is any.
    pub(crate) has_interrupts: bool,
    pub(crate) regions: Option<&'p [RegionEntry]>,
    pub(crate) posts: Option<&'p [PostEntry]>,
    /// Who hears of its life, by [`LifeEvent`]; none where it is nobody.
    pub(crate) listeners: [Option<&'p [ListenerEntry]>; LifeEvent::ALL.len()],
    pub(crate) rights: u32,
}

bitflags::bitflags! {
    /// Why the fast path cannot do for a task what it does for most.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct Slow: u64 {
        /// A fault is armed: every call must pass the core, which counts.
        const ARMED = 1 << 0;
        /// It has device registers: its accesses must be complete before another task runs, so that an error
        /// of one is charged to it.
        const DEVICES = 1 << 1;
        /// The processor defers errors at a barrier, where they have to be looked for too.
        const DEFERRED_ERRORS = 1 << 2;
    }
}

impl<'p> Task<'p> {
    /// Who hears of an event in its life, if anybody.
    #[inline(always)]
    pub(crate) fn listeners(&self, event: LifeEvent) -> Option<&'p [ListenerEntry]> {
        self.listeners.get(event as usize).copied().flatten()
    }

    /// A place in the table without a task in it; all bytes zero.
    pub(crate) const VACANT: Self = Self {
        frame: Frame::CLEAR,
        slow: 0,
        id: TaskId(0),
        state: State::Runnable,
        partner: TaskId(0),
        reply_limit: 0,
        reply_capacity: 0,
        lease_count: 0,
        reply_physical: 0,
        notifications: 0,
        senders: TaskSet::EMPTY,
        mask: 0,
        receive_address: 0,
        receive_capacity: 0,
        fast_send_to: TaskSet::EMPTY,
        run_limit: 0,
        ttbr0: 0,
        at_least: TaskSet::EMPTY,
        slow_lengths: 0,
        length_add: 0,
        zeros: [0; 2],
        post_to: 0,
        post_bits: 0,
        receive_physical: 0,
        span_address: 0,
        span_len: 0,
        span_physical: 0,
        span_attributes: 0,
        message_physical: 0,
        descriptor: 0,
        leases: [HeldLease::NONE; LEASES_MAX],
        send_to: TaskSet::EMPTY,
        callers: TaskSet::EMPTY,
        above: TaskSet::EMPTY,
        fast_above: TaskSet::EMPTY,
        equals: TaskSet::EMPTY,
        own_bits: 0,
        ticket: 0,
        used: 0,
        deadline: 0,
        armed: 0,
        holds: 0,
        retired: false,
        fault: Fault {
            kind: FaultKind::None,
            syscall: 0,
            address: 0,
            pc: 0,
            sp: 0,
            detail: 0,
        },
        interrupts: [0; 12],
        has_interrupts: false,
        regions: None,
        posts: None,
        listeners: [None; LifeEvent::ALL.len()],
        rights: 0,
    };

    /// Saved registers, for the machine's layer and for tests.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
    /// The same, to play the task in a test.
    pub fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }
    /// Current id.
    pub fn id(&self) -> TaskId {
        self.id
    }
    /// What it is doing.
    pub fn state(&self) -> State {
        self.state
    }
    /// Value for `TTBR0_EL1` while it runs.
    pub fn ttbr0(&self) -> u64 {
        self.ttbr0
    }
    #[inline(always)]
    pub(crate) fn regions(&self) -> &[RegionEntry] {
        self.regions.unwrap_or(&[])
    }
    #[inline(always)]
    pub(crate) fn is_up(&self) -> bool {
        !matches!(self.state, State::Down)
    }

    /// Arms (n > 0) or disarms an injected fault. While one is armed every call must pass the core,
    /// which counts, so what the fast path looks at is set to refuse.
    pub(crate) fn arm(&mut self, calls: u64) {
        self.armed = calls;
        self.post_to = u64::MAX;
        self.length_add = fast::LENGTH_ADD;
        if calls == 0 {
            self.slow &= !Slow::ARMED.bits();
            self.slow_lengths = fast::SLOW_LENGTHS;
        } else {
            self.slow |= Slow::ARMED.bits();
            self.slow_lengths = u64::MAX;
        }
        self.fast_send_to = if self.slow == 0 {
            self.send_to
        } else {
            TaskSet::EMPTY
        };
    }

    /// Disarms a fault that is armed.
    pub(crate) fn disarm(&mut self) {
        if self.slow & Slow::ARMED.bits() != 0 {
            self.arm(0);
        }
    }

    /// Whether it has device registers.
    pub fn has_devices(&self) -> bool {
        self.slow & Slow::DEVICES.bits() != 0
    }

    /// It has device registers.
    pub(crate) fn set_devices(&mut self, defers_errors: bool) {
        self.slow |= Slow::DEVICES.bits();
        if defers_errors {
            self.slow |= Slow::DEFERRED_ERRORS.bits();
        }
        self.fast_above = TaskSet::EMPTY;
    }
}
