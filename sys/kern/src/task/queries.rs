//! What others read of a task. Nothing is changed here.

use abi::{Fault, TaskId};
use plan::kernel::{LifeEvent, ListenerEntry, PostEntry, RegionEntry};

use super::{Frame, State, Task};
use crate::task_set::TaskSet;

/// For the machine's layer and for tests.
impl Task<'_> {
    /// Saved registers.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
    /// Saved registers, to play the task in a test.
    pub fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }
    /// Current id.
    #[inline(always)]
    pub fn id(&self) -> TaskId {
        self.id
    }
    /// What it is doing.
    #[inline(always)]
    pub fn state(&self) -> State {
        self.state
    }
    /// Value for `TTBR0_EL1` while it runs.
    pub fn ttbr0(&self) -> u64 {
        self.ttbr0
    }
}

/// Its life, and whom it waits for.
impl Task<'_> {
    #[inline(always)]
    pub(crate) fn is_up(&self) -> bool {
        self.state != State::Down
    }
    #[inline(always)]
    pub(crate) fn is_retired(&self) -> bool {
        self.retired
    }
    /// Whether a device may reach memory of it.
    #[inline(always)]
    pub(crate) fn is_held(&self) -> bool {
        self.holds != 0
    }
    /// What it died of last.
    pub(crate) fn fault(&self) -> &Fault {
        &self.fault
    }
    /// Whether it is in a receive that takes messages of this life.
    #[inline(always)]
    pub(crate) fn receives_from(&self, sender: TaskId) -> bool {
        match self.state {
            State::Receiving => true,
            State::ReceivingFrom => self.partner == sender,
            _ => false,
        }
    }
    /// Whether this life has a message of it and has not replied.
    #[inline(always)]
    pub(crate) fn awaits_reply_of(&self, server: TaskId) -> bool {
        self.state == State::AwaitingReply && self.partner == server
    }
    /// Where its message waits to be received, if it does.
    #[inline(always)]
    pub(crate) fn queued_at(&self) -> Option<TaskId> {
        (self.state == State::Sending).then_some(self.partner)
    }
    /// Whether it is in a call that this life has to end.
    #[inline(always)]
    pub(crate) fn calls(&self, server: TaskId) -> bool {
        self.partner == server && matches!(self.state, State::Sending | State::AwaitingReply)
    }
    /// Whether it is in a receive that takes messages of this life only.
    #[inline(always)]
    pub(crate) fn receives_only_from(&self, sender: TaskId) -> bool {
        self.partner == sender && self.state == State::ReceivingFrom
    }
    /// Tasks with messages for it that it has not received.
    #[inline(always)]
    pub(crate) fn senders(&self) -> TaskSet {
        self.senders
    }
    #[inline(always)]
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }
    #[inline(always)]
    pub(crate) fn run_limit(&self) -> u64 {
        self.run_limit
    }
}

/// What the plan says.
impl<'p> Task<'p> {
    #[inline(always)]
    pub(crate) fn regions(&self) -> &[RegionEntry] {
        self.regions.unwrap_or(&[])
    }
    #[inline(always)]
    pub(crate) fn posts(&self) -> &[PostEntry] {
        self.posts.unwrap_or(&[])
    }
    #[inline(always)]
    pub(crate) fn rights(&self) -> u32 {
        self.rights
    }
    /// Tasks to which it may send.
    #[inline(always)]
    pub(crate) fn send_to(&self) -> TaskSet {
        self.send_to
    }
    /// Tasks that may send to it.
    #[inline(always)]
    pub(crate) fn callers(&self) -> TaskSet {
        self.callers
    }
    /// Tasks of strictly higher priority.
    #[inline(always)]
    pub(crate) fn above(&self) -> TaskSet {
        self.above
    }
    /// Tasks of the same priority, this one included.
    #[inline(always)]
    pub(crate) fn equals(&self) -> TaskSet {
        self.equals
    }
    #[inline(always)]
    pub(crate) fn interrupts(&self) -> &[u16; 12] {
        &self.interrupts
    }
    #[inline(always)]
    pub(crate) fn has_interrupts(&self) -> bool {
        self.has_interrupts
    }
    /// Who hears of an event in its life, if anybody.
    #[inline(always)]
    pub(crate) fn listeners(&self, event: LifeEvent) -> Option<&'p [ListenerEntry]> {
        self.listeners.get(event as usize).copied().flatten()
    }
}

/// For tests.
#[cfg(test)]
impl Task<'_> {
    pub(crate) fn partner(&self) -> TaskId {
        self.partner
    }
    pub(crate) fn pending(&self) -> u64 {
        self.notifications
    }
    pub(crate) fn own_bits(&self) -> u64 {
        self.own_bits
    }
    pub(crate) fn used(&self) -> u64 {
        self.used
    }
    pub(crate) fn mask(&self) -> u64 {
        self.mask
    }
    pub(crate) fn wide_room(&self) -> u32 {
        self.wide_room
    }
    pub(crate) fn holds(&self) -> u32 {
        self.holds
    }
    pub(crate) fn at_least(&self) -> TaskSet {
        self.at_least
    }
    pub(crate) fn slow(&self) -> u64 {
        self.slow
    }
    /// The tasks above it that the fast path sees.
    pub(crate) fn fast_above(&self) -> TaskSet {
        self.fast_above
    }
    /// Address, length and place of the region in which a claim was found last.
    pub(crate) fn span(&self) -> (u64, u64, u64) {
        self.span.parts()
    }
    pub(crate) fn remember(&mut self, region: &RegionEntry) {
        self.span.remember(region);
    }
}
