//! One task as the kernel keeps it: what it does, whom it waits for, and what it has not heard yet.
//!
//! Nothing outside this file changes these; each change is one of the methods below, named for what happened. The fast
//! path makes some of them in assembly (`arch/fast_path.rs`, `arch/wake_path.rs`). The table has every combination in
//! which a task is between two entries into the kernel; `tests/lives.rs` reads it, and holds each step of the tests and
//! histories against it.
//!
//! | state | partner | processor | queued at | pending bits |
//! |---|---|---|---|---|
//! | Runnable | any | running or ready | nobody | any |
//! | Receiving | any | waiting | nobody | none or others |
//! | ReceivingFrom | up or itself | waiting | nobody | none or others |
//! | Sending | up | waiting | partner | any |
//! | AwaitingReply | up | waiting | nobody | any |
//! | Down | nobody or over or up | waiting | nobody | none |
//!
//! * *Partner*: whom it waited for last. *Nobody* if it never waited for anybody, *up* if that life goes on, *over* if it
//!   is over. Where the state does not speak of a partner it is stale, and nothing reads it.
//! * *Running or ready*: it is the running task, or in the kernel's set `ready`, or in `spent` if it has no time left;
//!   never in two of them, and nobody else is. Who waits in a receive works on its own account.
//! * *Queued at*: whose `senders` it is in.
//! * *Pending bits*: *wanted* if one is in the mask of its last receive, *others* if none of them is. A task that waits
//!   in a receive has no bit that it wants, or it would miss it.
//! * Who waits for a partner is one of its `callers`, or in the kernel's set `closed`: there its death looks for it.
//!
//! ```text
//!            begin                  receive, receive_from
//!     Down ---------> Runnable -----------------------------> Receiving, ReceivingFrom
//!                      ^  ^  |  ^                                         |
//!                      |  |  |  '-----------------------------------------'
//!                      |  |  |        take_over (a message), make_runnable (a bit, or the only sender died)
//!                      |  |  |
//!                      |  |  |  queue_at             await_reply
//!                      |  |  '-----------> Sending ----------------> AwaitingReply
//!                      |  |  \                |                       ^      |
//!                      |  |   '---------------|-----------------------'      |
//!                      |  |      await_reply, where the server waits         |
//!                      |  '-------------------'                              |
//!                      |   make_runnable (the server died)                   |
//!                      '-----------------------------------------------------'
//!                          make_runnable (a reply, or the server died)
//!
//!     go_down: from any but Down to Down
//! ```

mod call;
mod frame;
pub mod offsets;
mod planned;
mod queries;
mod slow;

use abi::{Fault, LEASES_MAX, TaskId, notification};
use plan::kernel::{LifeEvent, ListenerEntry, PostEntry, RegionEntry};

use crate::accounts::AccountIndex;
use crate::claim::Span;
use crate::task_set::{TaskIndex, TaskSet};

pub(crate) use call::HeldLease;
pub use frame::Frame;
pub(crate) use planned::ticks;
#[cfg(test)]
pub(crate) use slow::Slow;

/// The state of a task.
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

/// One task. Fields are read and written by the machine's fast path as well, which finds them through
/// [`offsets`]: those down to `span`, which have to be within its reach, and some behind.
///
/// A power of two in size, so that the fast path finds a task by a shift.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(1024))]
pub struct Task<'p> {
    /// Whatever its registers hold is as good as anything else: all of the kernel writes them.
    pub(crate) frame: Frame,
    /// Address of the task to which it was last found to have the right to send, at first its own: rights never
    /// change, so a task that calls one other has them looked up once.
    last_target: u64,
    /// What keeps the fast path from carrying out a call of it, or a receive, at once: nothing (0), or as [`slow::Slow`]
    /// bits say.
    slow: u64,
    /// The account that it works on: that of the task whose message it took last, or its own since it received or
    /// replied again.
    account: AccountIndex,
    /// Name of the current life, or of the next one if the task is down.
    id: TaskId,
    state: State,
    partner: TaskId,
    /// While a reply is awaited: bytes that fit in registers and that the sender can take.
    reply_limit: u64,
    /// While a reply is awaited: bytes that the sender can take.
    reply_capacity: u64,
    lease_count: u32,
    /// While the reply to a wide send is awaited: the upper half of its descriptor but for leases, with which that of a wide
    /// reply is compared; else 0.
    wide_room: u32,
    /// Where the buffer for a reply is, if that can be longer than the registers hold; written by every send, and
    /// 0 where there is none.
    reply_physical: u64,
    /// Pending bits; the upper half stays 0.
    notifications: u64,
    /// Bits that end the receive this task is in, or ended its last one, and [`abi::TAKES_WIDE`] as that had it. What else is
    /// in the upper half nobody reads.
    mask: u64,
    /// The account of what it does of itself.
    own_account: AccountIndex,
    /// The last receive buffer that was found valid: regions never change, so a server that
    /// receives into one buffer has it checked once.
    receive_address: u64,
    receive_capacity: u64,
    /// `max-run` in ticks, 0 without limit.
    run_limit: u64,
    ttbr0: u64,
    /// Tasks of higher or equal priority, this one included.
    at_least: TaskSet,
    /// [`crate::fast::SLOW_LENGTHS`] and [`crate::fast::LENGTH_ADD`], which the fast path loads together.
    lengths: [u64; 2],
    /// The same of wide sends.
    wide_lengths: [u64; 2],
    /// Always 0: what the fast path clears registers from.
    zeros: [u64; 2],
    /// The target of the last post that was granted, and what is granted there: rights never change, so a
    /// task that posts to one other has them looked up once. No id while a fault is armed.
    post_to: u64,
    post_bits: u64,
    receive_physical: u64,
    /// The region, readable and writable, in which a claim was found last; at first the stack.
    span: Span,
    /// Source of a queued message longer than the registers hold, else 0.
    message_physical: u64,
    /// Descriptor of the message that is queued or awaits its reply.
    descriptor: u64,
    leases: [HeldLease; LEASES_MAX],
    /// Tasks queued to send to this one.
    senders: TaskSet,
    send_to: TaskSet,
    /// Tasks with the right to send to this one.
    callers: TaskSet,
    /// Tasks of strictly higher priority.
    above: TaskSet,
    /// The same as the fast path sees it: none if the task has device registers or a run limit.
    fast_above: TaskSet,
    /// Tasks of the same priority, this one included.
    equals: TaskSet,
    /// This one alone.
    itself: TaskSet,
    /// Of the pending bits those that the task set itself: taking them ends no run.
    own_bits: u64,
    /// When it became ready or was queued as a sender: first come, first served among equals.
    ticket: u64,
    /// Ticks it ran since it last blocked, up to its last dispatch.
    used: u64,
    /// When its timer is due, while it has one set.
    deadline: u64,
    /// System calls until an injected fault, 0 if none is armed.
    armed: u64,
    /// Holds on it, and pins of its leases.
    holds: u32,
    /// Stopped for good.
    retired: bool,
    fault: Fault,
    /// INTID of each bit from the first of [`abi::notification::INTERRUPTS`], 0 where there is none.
    interrupts: [u16; 12],
    /// Whether there is any.
    has_interrupts: bool,
    regions: Option<&'p [RegionEntry]>,
    posts: Option<&'p [PostEntry]>,
    /// Who hears of its life, by [`LifeEvent`]; none where it is nobody.
    listeners: [Option<&'p [ListenerEntry]>; LifeEvent::ALL.len()],
    rights: u32,
}

/// Life and death.
impl Task<'_> {
    /// A new life begins, with these registers; it is made runnable next.
    pub(crate) fn begin(&mut self, frame: Frame) {
        self.frame = frame;
        self.last_target = core::ptr::from_ref(self).addr() as u64;
        self.mask = 0;
        self.account = self.own_account;
        self.receive_address = 0;
        self.receive_capacity = 0;
        self.receive_physical = 0;
    }

    /// The life of the task is over: returns its id. The generation advances now, so that the id is good for nothing from here on.
    pub(crate) fn go_down(&mut self, fault: &Fault) -> TaskId {
        let over = self.id;
        self.id = over.next_life();
        self.state = State::Down;
        // Word by word: as a whole it is copied by a function call.
        self.fault.kind = fault.kind;
        self.fault.syscall = fault.syscall;
        self.fault.address = fault.address;
        self.fault.pc = fault.pc;
        self.fault.sp = fault.sp;
        self.fault.detail = fault.detail;
        self.forget_all();
        self.own_bits = 0;
        self.end_call();
        self.disarm();
        over
    }

    /// The task will not come back. False if that was known.
    pub(crate) fn retire(&mut self) -> bool {
        !core::mem::replace(&mut self.retired, true)
    }

    /// A device can reach memory of it for one more reason.
    pub(crate) fn add_hold(&mut self) {
        self.holds = self.holds.saturating_add(1);
    }

    /// A device can reach memory of it for one reason less.
    pub(crate) fn drop_hold(&mut self) {
        self.holds = self.holds.saturating_sub(1);
    }
}

/// Waiting, and its end.
impl Task<'_> {
    /// What it waited for came, or never will, or its life begins. Its run starts afresh.
    #[inline(always)]
    pub(crate) fn make_runnable(&mut self, ticket: u64) {
        self.state = State::Runnable;
        self.ticket = ticket;
        self.used = 0;
    }

    /// A message came, and it runs at once: it keeps its ticket, since nobody of its priority is ready that has time
    /// left as it has.
    #[inline(always)]
    pub(crate) fn take_over(&mut self) {
        self.state = State::Runnable;
        self.used = 0;
    }

    /// It makes a receive with this mask, whether it waits or not.
    #[inline(always)]
    pub(crate) fn keep_mask(&mut self, mask: u64) {
        self.mask = mask;
    }

    /// It waits for a message from anybody, or for a bit of the mask.
    #[inline(always)]
    pub(crate) fn receive(&mut self, mask: u64) {
        self.state = State::Receiving;
        self.mask = mask;
    }

    /// It waits for a message of one life only, or for a bit of the mask.
    #[inline(always)]
    pub(crate) fn receive_from(&mut self, sender: TaskId, mask: u64) {
        self.state = State::ReceivingFrom;
        self.partner = sender;
        self.mask = mask;
    }

    /// Its message waits for the server, among whose senders it is from now on.
    #[inline(always)]
    pub(crate) fn queue_at(&mut self, server: TaskId, ticket: u64) {
        self.state = State::Sending;
        self.partner = server;
        self.ticket = ticket;
    }

    /// The server has its message.
    #[inline(always)]
    pub(crate) fn await_reply(&mut self, server: TaskId) {
        self.state = State::AwaitingReply;
        self.partner = server;
    }

    /// A task waits with a message for this one.
    #[inline(always)]
    pub(crate) fn add_sender(&mut self, sender: TaskIndex) {
        self.senders.insert(sender);
        self.note_senders();
    }

    /// A task no longer waits with a message for this one.
    #[inline(always)]
    pub(crate) fn remove_sender(&mut self, sender: TaskIndex) {
        self.senders.remove(sender);
        self.note_senders();
    }

    /// No bits are pending any more, and nobody waits with a message for it.
    #[inline(always)]
    fn forget_all(&mut self) {
        (self.notifications, self.senders) = (0, TaskSet::EMPTY);
        self.note_nothing();
    }
}

/// Notifications.
impl Task<'_> {
    /// Bits are pending beside what is.
    #[inline(always)]
    fn add_pending(&mut self, bits: u64) {
        self.notifications |= bits;
        if bits != 0 {
            self.note_pending(true);
        }
    }

    /// Bits are not pending any more.
    #[inline(always)]
    fn clear_pending(&mut self, bits: u64) {
        self.notifications &= !bits;
        self.note_pending(self.notifications != 0);
    }

    /// Bits come. Returns those that end the receive it is in, which it has not pending any more; 0 if none does.
    #[inline(always)]
    pub(crate) fn notify(&mut self, bits: u64) -> u64 {
        if !matches!(self.state, State::Receiving | State::ReceivingFrom) {
            if self.state != State::Down {
                self.add_pending(bits);
            }
            return 0;
        }
        // None that it has pending is wanted, or it would not wait.
        let wanted = bits & self.mask;
        if wanted != bits {
            self.add_pending(bits & !wanted);
        }
        wanted
    }

    /// Bits come from the running task itself.
    #[inline(always)]
    pub(crate) fn notify_itself(&mut self, bits: u64) {
        self.own_bits |= bits & !self.notifications;
        self.add_pending(bits);
    }

    /// Another task posts these bits: they are not its own any more.
    #[inline(always)]
    pub(crate) fn disown(&mut self, bits: u64) {
        self.own_bits &= !bits;
    }

    /// It takes its pending bits of a mask. Returns them, and whether it owes any of them to somebody else.
    #[inline(always)]
    pub(crate) fn take_bits(&mut self, mask: u64) -> (u64, bool) {
        let taken = self.notifications & mask;
        if taken == 0 {
            return (0, false);
        }
        self.clear_pending(taken);
        // A deadline is the task's own too.
        let own = self.own_bits | u64::from(notification::TIMER);
        self.own_bits &= !taken;
        (taken, taken & !own != 0)
    }
}

/// Time.
impl Task<'_> {
    /// The account that it works on.
    #[inline(always)]
    pub(crate) fn account(&self) -> AccountIndex {
        self.account
    }

    /// The account of what it does of itself.
    #[inline(always)]
    pub(crate) fn own_account(&self) -> AccountIndex {
        self.own_account
    }

    /// It took a message: what it does now is done for the sender, and paid from the account that the sender works on.
    #[inline(always)]
    pub(crate) fn work_on(&mut self, account: AccountIndex) {
        self.account = account;
    }

    /// What it did for somebody is over.
    #[inline(always)]
    pub(crate) fn work_for_itself(&mut self) {
        self.account = self.own_account;
    }

    /// It comes behind those of its priority that wait for the processor as it does.
    pub(crate) fn come_last(&mut self, ticket: u64) {
        self.ticket = ticket;
    }

    /// Ticks that it may run until its limit.
    #[inline(always)]
    pub(crate) fn run_left(&self) -> u64 {
        self.run_limit.saturating_sub(self.used)
    }

    /// Whether these ticks more are too many for its limit.
    #[inline(always)]
    pub(crate) fn has_overrun(&self, ticks: u64) -> bool {
        self.used.saturating_add(ticks) >= self.run_limit
    }

    /// It ran for these ticks and goes off the processor, though it could run on.
    #[inline(always)]
    pub(crate) fn add_run(&mut self, ticks: u64) {
        self.used = self.used.saturating_add(ticks);
    }

    /// It passed a point at which it could have blocked.
    #[inline(always)]
    pub(crate) fn restart_run(&mut self) {
        self.used = 0;
    }

    /// When its timer is due, if it has one set.
    #[inline(always)]
    pub(crate) fn deadline(&self) -> u64 {
        self.deadline
    }

    /// The timer of the task is set.
    #[inline(always)]
    pub(crate) fn set_deadline(&mut self, deadline: u64) {
        self.deadline = deadline;
    }
}
