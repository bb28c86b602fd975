//! Questions about a life; nothing is changed here.

use abi::TaskId;

use super::{ForSharers, Life, Purpose, Quiet, State};
use crate::indices::TaskIndex;

impl Life {
    /// Who has the device.
    #[inline(always)]
    pub const fn state(&self) -> State {
        self.state
    }
    /// Whether nobody has it.
    pub const fn is_free(&self) -> bool {
        matches!(self.state, State::Free)
    }
    /// The life that has claimed it.
    pub const fn claimant(&self) -> Option<TaskId> {
        match self.state {
            State::Claimed(owner) => Some(owner),
            _ => None,
        }
    }
    /// The task whose memory the device may still reach.
    pub const fn held_by(&self) -> Option<TaskIndex> {
        match self.state {
            State::Free => None,
            State::Claimed(owner) => Some(TaskIndex::of(owner)),
            State::Quiescing(purpose) => Some(TaskIndex::of(purpose.life())),
            State::HeldForever(owner) => Some(owner),
        }
    }
    /// Whether its streams translate for a claimant.
    pub const fn is_open(&self) -> bool {
        self.open
    }
    /// Whether it is bus master and its streams translate whether or not anybody has claimed it.
    pub const fn is_always_open(&self) -> bool {
        self.always_open
    }
    /// Whether its streams translate, for whatever reason.
    pub const fn reaches_memory(&self) -> bool {
        self.open || self.always_open
    }
    /// Whether it has direct regions, and the PCI task found it as planned.
    pub const fn may_be_always_open(&self) -> bool {
        self.may_be_always_open
    }
    /// Whether it is to be opened for good as soon as nothing keeps it closed.
    pub const fn waits_to_be_always_open(&self) -> bool {
        self.may_be_always_open
            && !self.always_open
            && !self.kept_closed
            && self.is_free()
            && !self.is_for_sharers()
    }
    /// Whether it was cut off while claimed and has to be released.
    #[inline(always)]
    pub const fn is_revoked(&self) -> bool {
        self.revoked
    }
    /// Whether it has been taken for open without the word of the PCI task.
    pub const fn is_presumed(&self) -> bool {
        self.presumed
    }
    /// Whether an earlier life of this server may have opened it.
    pub const fn was_used_before(&self) -> bool {
        self.used_before
    }
    /// The knowledge of the device's accesses.
    pub const fn quiet(&self) -> Quiet {
        self.quiet
    }
    /// Whether it is made quiet for what shares its streams.
    pub const fn for_sharers(&self) -> ForSharers {
        self.for_sharers
    }
    /// Whether it is being made quiet for what shares its streams.
    pub const fn is_for_sharers(&self) -> bool {
        matches!(self.for_sharers, ForSharers::Running)
    }
    /// Whether the PCI task has not heard yet that it is to be made quiet.
    pub const fn is_unasked(&self) -> bool {
        self.unasked
    }
    /// Whether the quiesce under way proves nothing.
    pub const fn began_early(&self) -> bool {
        self.began_early
    }

    /// Whether it has no bus-master bit: it reaches memory whenever its streams are open, by whomever.
    pub const fn is_ungated(&self) -> bool {
        self.ungated
    }

    /// Whether an access of a device whose streams are closed may be under way. That is so if the device was open
    /// once, by its own claim or, without bus mastering, by another's, and since then it was not made quiet and no
    /// owner has given its word.
    pub fn may_be_under_way(&self) -> bool {
        // No instance of this server lets a device without an owner be bus master.
        let used_before = self.used_before && self.owned;
        let used = self.opened || used_before || self.may_be_always_open || self.ungated;
        used && !self.reaches_memory() && self.quiet == Quiet::Unknown
    }

    /// Whether the PCI task is making it quiet, or is to.
    pub fn is_awaited(&self) -> bool {
        self.unquiet_purpose().is_some() || self.is_for_sharers()
    }

    /// Whether it may be bus master: the PCI task says so, or, of what it is not asked about, an earlier life of this
    /// server may have let it.
    pub const fn may_be_on(&self) -> bool {
        self.found_on || self.used_before || self.may_be_always_open || self.held_by().is_some()
    }

    /// Whether it was made quiet since its streams were closed.
    pub const fn is_drained(&self) -> bool {
        matches!(self.quiet, Quiet::Drained | Quiet::Known(_))
    }

    /// Whether it may be opened for `life` as it is: whatever could begin then was begun by that life. A task that
    /// watches it has its registers at any time.
    pub fn is_quiet_for(&self, life: TaskId) -> bool {
        let known = matches!(self.quiet, Quiet::Known(by) | Quiet::ByWord(by) if by == life);
        known && !self.watched
    }

    /// The purpose that the device is made quiet for, unless it is quiet enough for that.
    pub fn unquiet_purpose(&self) -> Option<Purpose> {
        let State::Quiescing(purpose) = self.state else {
            return None;
        };
        let quiet = match purpose {
            // Whatever was known of it before, its own quiesce is under way.
            Purpose::Claim(_) => false,
            Purpose::Death(next) => self.quiet == Quiet::Known(next),
            Purpose::Refusal(..) | Purpose::Release(_) | Purpose::Taken(_) => self.is_drained(),
        };
        (!quiet).then_some(purpose)
    }

    /// Whether it is quiet enough for what it was made quiet for, and waits for what shares its streams.
    pub fn waits_for_sharers(&self) -> bool {
        matches!(self.state, State::Quiescing(_)) && self.unquiet_purpose().is_none()
    }
}
