//! The life of a device: who has it, whether it can reach memory, and what is known of its accesses.
//!
//! Nothing else in this server writes these fields; each change is one of the methods below, named for what happened.
//! The table has every combination there is. `is_legal` is the table as code, every change is checked against it in
//! tests, and `tests/life.rs` reads the table itself. A device is made quiet for what shares its streams only while its
//! quiet is unknown. A dagger marks what only exists within the work on one event.
//!
//! | state | streams | revoked | kept closed | for sharers | quiet |
//! |---|---|---|---|---|---|
//! | Free | closed | no | any | any | any |
//! | Free | always | no | no | no or failed | unknown or word |
//! | Free † | open or both | no | no | no | unknown |
//! | Claim | closed | no | any | no or failed | any |
//! | Refusal | closed | no | any | no or failed | unknown or made |
//! | Claimed | open or both | no | no | no | unknown |
//! | Claimed | closed | yes | no | any | unknown or made |
//! | Claimed † | closed | no | no | no | unknown |
//! | Claimed † | always | yes | no | no | unknown |
//! | Release | closed | no | no | no | unknown or made |
//! | Release | closed | yes | no | any | unknown or made |
//! | Death | closed | no | any | no or failed | any |
//! | Death | closed | yes | no | any | unknown or made |
//! | Death † | open or both | no | no | no | unknown |
//! | Death † | always | yes | no | no | unknown |
//! | Taken | closed | no | no | no | unknown or made |
//! | Taken | closed | yes | no | any | unknown or made |
//! | Taken † | open or both | no | no | no | unknown |
//! | Forever | closed | no | any | no or failed | any |
//! | Forever | closed | yes | no | any | unknown or made |
//!
//! * *Free † open*: found so at the start of this server; `inherit` follows. *Claimed † always* comes of it, and is
//!   closed next. *Claimed † closed* is released or revoked next, *Death †* and *Taken †* are cut off next.
//! * Claim, Refusal, Release, Death and Taken are `Quiescing`, Forever is `HeldForever`. *Made* is `Drained` or `Known`.
//!
//! ```text
//!                  await_claim           grant                      await_release
//!            Free ------------> Claim ------------------> Claimed ----------------> Release
//!             ^ ^    refuse      | |                        ^ |                        |
//!             | '----------------' | await_refusal          | | end_by_word            | free
//!             |        free        v        grant, inherit  | v                        v
//!             '---------------- Refusal        from Free ---' Free                   Free
//!
//!            lose: from any but Free and Forever to Death, from Claimed to Taken; both end as Free
//!            hold_forever: from any, if it cannot be closed or made quiet
//! ```

mod found;
mod queries;
mod state;

use abi::TaskId;
use iommu_api::Error;
use plan::iommu::DeviceEntry;

use crate::indices::TaskIndex;

pub(crate) use state::Asked;
pub use state::{ForSharers, Purpose, Quiet, State};

/// The life of one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// Whether the device has no bus-master bit: it reaches memory whenever its streams are open,
    /// whichever device they were opened for.
    ungated: bool,
    /// A task beside its owner has its registers at any time.
    watched: bool,
    /// The plan gives it to a task.
    owned: bool,
    state: State,
    quiet: Quiet,
    /// The only life that can touch its registers from the beginning of the quiesce under way to its end, if there
    /// is one.
    sole_life: Option<TaskId>,
    /// The quiesce under way is no proof that nothing is: it may have begun before the streams were closed, and without
    /// bus mastering the device can have gone on through them after its reset. One more has to follow.
    began_early: bool,
    /// The PCI task has not taken the request to make it quiet yet: of what it says of an earlier one nothing follows.
    unasked: bool,
    for_sharers: ForSharers,
    /// Whether the device's streams translate for a claimant.
    open: bool,
    /// Whether the device's streams did translate, or may have, since this server's start.
    opened: bool,
    /// Whether the device has direct regions and the PCI task found it as planned.
    may_be_always_open: bool,
    /// Whether the device is bus master and its streams translate, claimed or not.
    always_open: bool,
    /// Whether the device stays closed until it is claimed. It faulted too often while it was
    /// unclaimed, could not be made quiet, or was closed by an earlier life of this server for a reason
    /// that is not known.
    kept_closed: bool,
    /// Cut off while claimed, after a storm or because its reset unit was reset: it has to be released.
    revoked: bool,
    /// An earlier life of this server may have opened it.
    used_before: bool,
    /// Whether it is open, or always open, was taken for granted at this server's start: the PCI task did not answer,
    /// and its streams may translate for another. The first answer decides.
    presumed: bool,
    /// Whether the device is bus master, by the word of the PCI task's last life.
    found_on: bool,
}

impl Life {
    /// The life of a device that is unclaimed and not known to be quiet.
    pub(crate) const fn new(entry: &DeviceEntry) -> Self {
        Self {
            ungated: entry.non_pci == 1,
            watched: entry.watched == 1,
            owned: entry.owner != plan::NONE,
            state: State::Free,
            quiet: Quiet::Unknown,
            sole_life: None,
            began_early: false,
            unasked: false,
            for_sharers: ForSharers::No,
            open: false,
            opened: false,
            may_be_always_open: false,
            always_open: false,
            kept_closed: false,
            revoked: false,
            used_before: false,
            presumed: false,
            found_on: false,
        }
    }

    /// Whether this is a combination of the table above.
    pub fn is_legal(&self) -> bool {
        let closed = !self.reaches_memory();
        let (unknown, word) = match self.quiet {
            Quiet::Unknown => (true, false),
            Quiet::Drained | Quiet::Known(_) => (false, false),
            Quiet::ByWord(_) => (false, true),
        };
        let alone = self.for_sharers == ForSharers::No;
        let untouched = !self.revoked && !self.kept_closed && alone && unknown;
        let revoked = closed && self.revoked && !self.kept_closed && !word;
        let lost = self.always_open && self.revoked && !self.kept_closed && alone && unknown;
        let waiting = closed && !self.revoked && !self.is_for_sharers();
        let legal = match self.state {
            State::Free if self.open => untouched,
            State::Free if self.always_open => {
                !self.revoked && !self.kept_closed && !self.is_for_sharers() && (unknown || word)
            }
            State::Free => !self.revoked,
            State::Claimed(_) if self.open => untouched,
            State::Claimed(_) => revoked || lost || closed && untouched,
            State::Quiescing(Purpose::Claim(_)) => waiting,
            State::Quiescing(Purpose::Refusal(..)) => waiting && !word,
            State::Quiescing(Purpose::Taken(_)) if self.open => untouched,
            State::Quiescing(Purpose::Release(_) | Purpose::Taken(_)) => {
                revoked || closed && !self.revoked && !self.kept_closed && alone && !word
            }
            State::Quiescing(Purpose::Death(_)) if self.open => untouched,
            State::Quiescing(Purpose::Death(_)) => waiting || revoked || lost,
            State::HeldForever(_) => waiting || revoked,
        };
        legal && (alone || unknown)
    }

    /// Whether it may stay as it is until the next event.
    pub fn is_at_rest(&self) -> bool {
        let within_event = match self.state {
            State::Free => self.open,
            State::Claimed(_) => self.open == self.revoked || self.always_open && !self.open,
            State::Quiescing(_) => self.open || self.always_open,
            State::HeldForever(_) => false,
        };
        self.is_legal() && !within_event
    }

    /// In the words of the table.
    #[cfg(test)]
    pub(crate) fn in_words(&self) -> [&'static str; 6] {
        [
            match self.state {
                State::Free => "Free",
                State::Quiescing(Purpose::Claim(_)) => "Claim",
                State::Quiescing(Purpose::Refusal(..)) => "Refusal",
                State::Quiescing(Purpose::Release(_)) => "Release",
                State::Quiescing(Purpose::Death(_)) => "Death",
                State::Quiescing(Purpose::Taken(_)) => "Taken",
                State::Claimed(_) => "Claimed",
                State::HeldForever(_) => "Forever",
            },
            match (self.open, self.always_open) {
                (false, false) => "closed",
                (true, false) => "open",
                (false, true) => "always",
                (true, true) => "both",
            },
            if self.revoked { "yes" } else { "no" },
            if self.kept_closed { "yes" } else { "no" },
            match self.for_sharers {
                ForSharers::No => "no",
                ForSharers::Running => "running",
                ForSharers::Failed => "failed",
            },
            match self.quiet {
                Quiet::Unknown => "unknown",
                Quiet::Drained | Quiet::Known(_) => "made",
                Quiet::ByWord(_) => "word",
            },
        ]
    }

    /// Fails this crate's own tests on an illegal combination. A running server goes on: a PCI task that gives false answers
    /// must not be able to end it.
    fn check(&self) {
        #[cfg(test)]
        assert!(self.is_legal(), "{self:?}");
    }
}

/// Claims and their ends.
impl Life {
    /// A claim waits until the device is quiet.
    pub(crate) fn await_claim(&mut self, owner: TaskId) {
        self.state = State::Quiescing(Purpose::Claim(owner));
        // Who waited for it as a sharer waits for the claim now; the PCI task's answer is one for both.
        if self.is_for_sharers() {
            self.for_sharers = ForSharers::No;
        }
        self.check();
    }

    /// The device was opened for a claim.
    pub(crate) fn grant(&mut self, owner: TaskId) {
        self.become_claimed(owner);
        self.open = true;
        self.always_open = self.may_be_always_open;
        self.check();
    }

    fn become_claimed(&mut self, owner: TaskId) {
        self.state = State::Claimed(owner);
        self.quiet = Quiet::Unknown;
        self.for_sharers = ForSharers::No;
        self.revoked = false;
        self.kept_closed = false;
    }

    /// The claim's device could not be opened; its refusal waits until it is quiet.
    pub(crate) fn await_refusal(&mut self, owner: TaskId, error: Error) {
        self.state = State::Quiescing(Purpose::Refusal(owner, error));
        self.check();
    }

    /// A claim is refused after it waited. What is not known to be quiet stays closed.
    pub(crate) fn refuse(&mut self) {
        self.state = State::Free;
        self.kept_closed = !self.is_drained();
        self.check();
    }

    /// A release waits until the device is quiet. Its streams are closed.
    pub(crate) fn await_release(&mut self, owner: TaskId) {
        self.state = State::Quiescing(Purpose::Release(owner));
        self.check();
    }

    /// The claimant releases the device with nothing mapped: the claimant's word that it is quiet
    /// is enough.
    pub(crate) fn end_by_word(&mut self, owner: TaskId) {
        self.open = false;
        self.state = State::Free;
        self.quiet = Quiet::ByWord(owner);
        self.check();
    }

    /// Nothing of whoever had it can be reached any more.
    pub(crate) fn free(&mut self) {
        self.state = State::Free;
        self.revoked = false;
        self.check();
    }

    /// The device's owner died, or it is taken from its owner. If a quiesce is under way for one that died, and began
    /// when that life already waited for the server, it is as good for the next one.
    pub(crate) fn lose(&mut self, why: Purpose) {
        if let State::Quiescing(purpose) = self.state
            && self.sole_life.is_some()
            && self.sole_life == purpose.idle_life()
        {
            self.sole_life = why.idle_life();
        }
        self.state = State::Quiescing(why);
        self.check();
    }

    /// The device cannot be made quiet, or cannot be closed: all memory that it could reach stays
    /// held.
    pub(crate) fn hold_forever(&mut self, owner: TaskIndex) {
        self.state = State::HeldForever(owner);
        self.check();
    }

    /// Takes the use of it away: its claimant, whom this returns, has to release it. Nobody will release a free
    /// one, which went wild while it was always open: it stays closed until it is claimed.
    pub(crate) fn revoke(&mut self) -> Option<TaskIndex> {
        if self.is_free() {
            self.kept_closed = true;
        } else {
            self.revoked = true;
        }
        self.check();
        self.held_by()
    }
}

/// Streams.
impl Life {
    /// The device's streams are about to be opened: from now on it may begin something.
    pub(crate) fn opening(&mut self) {
        self.opened = true;
        self.quiet = Quiet::Unknown;
        self.check();
    }

    /// The device's streams are about to be closed. What it could do until now may be under way, whatever was known
    /// before: one that is always open goes on after its claimant's word.
    pub(crate) fn closed(&mut self) {
        if self.reaches_memory() {
            self.quiet = Quiet::Unknown;
        }
        self.open = false;
        self.always_open = false;
        self.presumed = false;
        self.check();
    }

    /// The PCI task found it as planned, or not: whether it may be always open.
    pub(crate) fn allow_always_open(&mut self, allowed: bool) {
        self.may_be_always_open = allowed;
    }

    /// The device is bus master, and its streams translate, from now on. Its owner has its registers, claimed
    /// or not.
    pub(crate) fn always_opened(&mut self) {
        self.always_open = true;
        self.quiet = Quiet::Unknown;
        self.check();
    }

    /// Whether it stays closed until it is claimed.
    pub(crate) fn keep_closed(&mut self, keep: bool) {
        self.kept_closed = keep;
        self.check();
    }
}

/// Becoming quiet.
impl Life {
    /// Nothing is known any more of what it has under way.
    pub(crate) fn forget_quiet(&mut self) {
        self.quiet = Quiet::Unknown;
    }

    /// The device's streams were open for another device that shares them. Without a bus-master bit it could use
    /// them, claimed or not: nothing is known of it any more, nor will be by what makes it quiet already, unless its
    /// claimant waits for that: he has it begin nothing. One that was cut off does not wait, nor does who watches it.
    pub(crate) fn shared_streams_were_open(&mut self) {
        if !self.ungated || self.open {
            return;
        }
        self.quiet = Quiet::Unknown;
        self.began_early |= self.is_for_sharers() || self.watched;
        self.check();
    }

    /// The PCI task was asked to make it quiet.
    pub(crate) fn asked(&mut self, how: Asked) {
        self.began_early = how == Asked::Joined && self.ungated;
        self.unasked = matches!(how, Asked::Unheard | Asked::Gone);
    }

    /// The device is made quiet for its own sake. Nobody knows who could touch its registers since a quiesce
    /// began that was joined.
    pub(crate) fn quiesces_for(&mut self, purpose: Purpose, how: Asked) {
        self.sole_life = match how {
            Asked::Joined => None,
            _ => purpose.idle_life(),
        };
    }

    /// The device is made quiet for devices that share its streams, or that failed. Of a free device nobody knows
    /// which life of its owner is up.
    pub(crate) fn quiesces_for_sharers(&mut self, how: Asked) {
        self.for_sharers = match how {
            Asked::Gone | Asked::Refused => ForSharers::Failed,
            Asked::Begun | Asked::Joined | Asked::Unheard => ForSharers::Running,
        };
        self.sole_life = match how {
            Asked::Begun | Asked::Unheard => self.claimant(),
            Asked::Joined | Asked::Gone | Asked::Refused => None,
        };
        self.check();
    }

    /// The reset of another one of its unit makes it quiet as well.
    pub(crate) fn covered(&mut self, owner: TaskId) {
        self.for_sharers = ForSharers::Running;
        self.sole_life = Some(owner);
        self.unasked = false;
        self.check();
    }

    /// The device has to be made quiet once more for devices that share its streams.
    pub(crate) fn once_more_for_sharers(&mut self) {
        self.for_sharers = ForSharers::No;
    }

    /// The device could not be made quiet for devices that share its streams.
    pub(crate) fn failed_for_sharers(&mut self) {
        self.for_sharers = ForSharers::Failed;
    }

    /// The device was made quiet.
    pub(crate) fn now_quiet(&mut self) {
        self.quiet = match (self.sole_life.take(), self.quiet) {
            (Some(life), _) => Quiet::Known(life),
            // Once more takes nothing away.
            (None, known @ Quiet::Known(_)) => known,
            (None, _) => Quiet::Drained,
        };
        self.for_sharers = ForSharers::No;
        self.check();
    }
}
