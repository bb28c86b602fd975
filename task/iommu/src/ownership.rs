//! Who holds which device: a state machine without hardware.

use abi::TaskId;
use iommu_api::{Error, Handle, Operation};
use plan::iommu::DeviceEntry;

use crate::events::FaultLog;
use crate::indices::{DeviceIndex, DeviceSet, TaskIndex};
use crate::refusals::{NotQuiet, Refusals, Why};

/// Why a device is being made quiet, and so what follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The task waits for its claim.
    Claim(TaskId),
    /// The task waits for the refusal of its claim: opening the device failed when it could already reach pools.
    Refusal(TaskId, Error),
    /// The task waits for the end of its release.
    Release(TaskId),
    /// The task died; its next life, which is held down until then, has this id.
    Death(TaskId),
}

impl Purpose {
    /// The only life that can touch the device's registers while it is made quiet for this: it waits for the
    /// server, or has not begun.
    pub const fn life(self) -> TaskId {
        match self {
            Self::Claim(life)
            | Self::Refusal(life, _)
            | Self::Release(life)
            | Self::Death(life) => life,
        }
    }
}

/// State of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nobody has it; its stream aborts unless it stands.
    Free,
    /// It is being made quiet.
    Quiescing(Purpose),
    /// A life of its owner has it.
    Claimed(TaskId),
    /// It could not be made quiet after this task had it: the task stays held.
    Stuck(TaskIndex),
}

/// What is known of a device whose streams are closed.
///
/// That nothing is under way is one thing: then memory that it could reach may be given back. What somebody made
/// it begin since is another: behind closed streams that lands nowhere, but it may begin again, or still be going
/// on, when the streams are opened for somebody else. A task has its device's registers all its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quiet {
    /// Something that began while its streams were open may be under way.
    Unknown,
    /// It was made quiet since its streams were closed.
    Drained,
    /// It was, and nobody but this life could touch its registers since.
    Known(TaskId),
    /// This life released it with nothing mapped: by its own word nothing is under way, and
    /// whatever is lands nowhere but in what that same life maps later.
    ByWord(TaskId),
}

/// Whether a device that was cut off is being made quiet for the sake of those that share its streams, whoever
/// has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settling {
    /// No.
    No,
    /// Yes.
    Running,
    /// It could not be.
    Failed,
}

/// The result of the last sequenced request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// Its operation.
    pub operation: u16,
    /// The code of the reply.
    pub code: u32,
    /// Payload of the reply.
    pub value: u64,
    /// Bytes of the reply.
    pub len: usize,
}

impl Recorded {
    /// That of no request.
    const NOTHING: Self = Self {
        operation: 0,
        code: 0,
        value: 0,
        len: 0,
    };

    /// What became of a request.
    #[inline(always)]
    pub(crate) fn new(operation: Operation, result: Result<Option<u64>, Error>) -> Self {
        let (code, value, len) = match result {
            Ok(Some(value)) => (0, value, 8),
            Ok(None) => (0, 0, 0),
            Err(error) => (error as u32, 0, 0),
        };
        Self {
            operation: operation as u16,
            code,
            value,
            len,
        }
    }
    /// Of a request that did not come as far as being recorded.
    #[cold]
    pub(crate) fn refusal(error: Error) -> Self {
        Self {
            code: error as u32,
            ..Self::NOTHING
        }
    }
}

/// What the plan would say of a device that it does not have.
static NO_ENTRY: DeviceEntry = DeviceEntry {
    name: plan::Name::EMPTY,
    domain: plan::NONE,
    owner: plan::NONE,
    streams: 0,
    stream_count: 0,
    group: plan::NONE,
    reset_unit: plan::NONE,
    pins: 0,
    standing: 0,
    non_pci: 0,
    watched: 0,
    auditors: plan::TaskList { first: 0, count: 0 },
};

/// One device.
#[derive(Debug)]
pub struct Device<'p> {
    /// As planned.
    pub entry: &'p DeviceEntry,
    /// Its number.
    pub index: DeviceIndex,
    /// Who has it.
    pub state: State,
    /// Whether it can be trusted to do nothing.
    pub quiet: Quiet,
    /// The only life that can touch its registers from the beginning of the quiesce under way to its end, if there
    /// is one.
    pub sole_life: Option<TaskId>,
    /// The quiesce under way is no proof that nothing is: it may have begun before the streams were closed, and without
    /// bus mastering the device can have gone on through them after its reset. One more has to follow.
    pub began_early: bool,
    /// The PCI task has not taken the request to make it quiet yet: of what it says of an earlier one nothing follows.
    pub unasked: bool,
    /// It is being made quiet for others.
    pub settling: Settling,
    /// Why it cannot be claimed.
    pub unusable: Option<Why>,
    /// Why it could not be made quiet the last time that this was so.
    pub not_quiet: Option<NotQuiet>,
    /// Claims that its owner was refused.
    pub refusals: Refusals,
    /// Claims that everybody else was refused.
    pub refusals_of_others: Refusals,
    /// A life of the PCI task has said what was found of it.
    pub judged: bool,
    /// It is bus master, as the PCI task's life said that was up last.
    pub found_on: bool,
    /// Not there, as the plan allows: another alternative of its hotplug slot may have its StreamIDs.
    pub absent: bool,
    /// Its streams translate for a claimant.
    pub open: bool,
    /// They did, or may have, since this server's start.
    pub opened: bool,
    /// It has direct regions, and the PCI task found it as planned.
    pub may_stand: bool,
    /// It is bus master and its streams translate whether or not anybody has claimed it.
    pub standing: bool,
    /// It stays cut off until it is claimed: it faulted too often while nobody had it, could not be made
    /// quiet, or nobody knows why an earlier life of this server had closed it.
    pub withheld: bool,
    /// Cut off while claimed, after a storm or because its reset unit was reset: it has to be released.
    pub revoked: bool,
    /// An earlier life of this server may have opened it.
    pub used_before: bool,
    /// Whether it is open, or stands, was taken for granted at this server's start: the PCI task did not answer, and
    /// its streams may translate for another. The first answer decides.
    pub presumed: bool,
    /// Names the current or last claim.
    pub generation: u64,
    /// Claims so far.
    pub claims: u64,
    /// The life that claimed it last, and how often it did.
    pub claims_of: (TaskId, u64),
    /// Number of the last sequenced request.
    pub sequence: u64,
    /// Its result.
    pub recorded: Recorded,
    /// Its mark in the leaves of the domain: position in the alias set.
    pub member: u64,
    /// First of its owner's pools in the plan's table.
    pub pools: usize,
    /// What shares its streams.
    pub(crate) sharers: DeviceSet,
    /// Pages mapped for it.
    pub mapped: u64,
    /// Leases mapped for it.
    pub pins: u32,
    /// Its faults.
    pub faults: FaultLog,
    /// A storm was seen in this turn.
    pub storm: bool,
}

impl<'p> Device<'p> {
    /// In the place of a device that the plan does not have.
    pub(crate) const NOBODYS: Device<'static> = Device {
        entry: &NO_ENTRY,
        index: DeviceIndex::FIRST,
        state: State::Free,
        quiet: Quiet::Unknown,
        sole_life: None,
        began_early: false,
        unasked: false,
        settling: Settling::No,
        unusable: Some(Why::NoPci),
        not_quiet: None,
        refusals: Refusals::NONE,
        refusals_of_others: Refusals::NONE,
        judged: false,
        found_on: false,
        absent: false,
        open: false,
        opened: false,
        may_stand: false,
        standing: false,
        withheld: false,
        revoked: false,
        used_before: false,
        presumed: false,
        generation: 0,
        claims: 0,
        claims_of: (TaskId::KERNEL, 0),
        sequence: 0,
        recorded: Recorded::NOTHING,
        member: 0,
        pools: 0,
        sharers: DeviceSet::EMPTY,
        mapped: 0,
        pins: 0,
        faults: FaultLog::EMPTY,
        storm: false,
    };

    /// Nobody's, not known to be quiet. Generations start above `generation`.
    pub fn new(
        entry: &'p DeviceEntry,
        index: DeviceIndex,
        member: u64,
        pools: usize,
        generation: u64,
    ) -> Self {
        Self {
            entry,
            index,
            member,
            pools,
            generation,
            ..Self::NOBODYS
        }
    }

    /// The handle of the current claim.
    pub fn handle(&self) -> Handle {
        Handle::new(self.index.number() as u16, self.generation)
    }

    /// Whether `sender` may claim it.
    pub fn may_claim(&self, sender: TaskId) -> Result<(), Error> {
        if self.entry.owner as usize == sender.index() {
            Ok(())
        } else {
            Err(Error::NotOwner)
        }
    }

    /// Why it stays cut off.
    pub fn why_not_quiet(&self) -> Why {
        Why::NotQuiet(self.not_quiet.unwrap_or(NotQuiet::Unknown))
    }

    /// Whether `handle` is the current claim and `sender` has it.
    #[inline(always)]
    pub fn is_claimed_as(&self, handle: Handle, sender: TaskId) -> bool {
        self.state == State::Claimed(sender) && handle.generation() == self.generation
    }

    /// The result of the last request, if that is what is asked for again.
    #[cold]
    fn again(&self, operation: Operation, sequence: u64) -> Result<Recorded, Error> {
        let last = sequence == self.sequence && sequence != 0;
        if last && self.recorded.operation == operation as u16 {
            Ok(self.recorded)
        } else {
            Err(Error::OutOfSequence)
        }
    }

    /// Begins a sequenced request of the current claim; the recorded result if it is the last one again.
    #[inline(always)]
    pub(crate) fn begin(
        &mut self,
        operation: Operation,
        sequence: u64,
    ) -> Result<Option<Recorded>, Error> {
        if sequence == self.sequence.wrapping_add(1) {
            self.sequence = sequence;
            return Ok(None);
        }
        self.again(operation, sequence).map(Some)
    }

    /// Whether an access of a device whose streams are closed may be under way: it was open once, by its own claim
    /// or, without bus mastering, by another's, and nobody has made it quiet or given his word since.
    pub fn may_be_under_way(&self) -> bool {
        let ungated = self.entry.non_pci == 1;
        // What nobody owns, no life of this server has let be bus master.
        let used_before = self.used_before && self.entry.owner != plan::NONE;
        let used = self.opened || used_before || self.may_stand || ungated;
        used && !self.open && !self.standing && self.quiet == Quiet::Unknown
    }

    /// Whether the PCI task is making it quiet, or is to.
    pub fn is_awaited(&self) -> bool {
        self.unquiet_purpose().is_some() || self.settling == Settling::Running
    }

    /// Whether it may be bus master: the PCI task says so, or, of what it is not asked about, an earlier life of this
    /// server may have let it.
    pub fn may_be_on(&self) -> bool {
        self.found_on || self.used_before || self.may_stand || self.held_by().is_some()
    }

    /// Its streams are about to be closed. What it could do until now may be under way, whatever was known before: one
    /// that stands goes on after its owner's word.
    pub fn closed(&mut self) {
        if self.open || self.standing {
            self.quiet = Quiet::Unknown;
        }
        self.open = false;
        self.standing = false;
        self.presumed = false;
    }

    /// Whether it was made quiet since its streams were closed.
    pub fn is_drained(&self) -> bool {
        matches!(self.quiet, Quiet::Drained | Quiet::Known(_))
    }

    /// Whether it may be opened for `life` as it is: whatever could begin then was begun by that life. A task that
    /// watches it has its registers at any time.
    pub fn is_quiet_for(&self, life: TaskId) -> bool {
        let known = matches!(self.quiet, Quiet::Known(by) | Quiet::ByWord(by) if by == life);
        known && self.entry.watched == 0
    }

    /// What it is made quiet for, unless it is quiet enough for that.
    pub fn unquiet_purpose(&self) -> Option<Purpose> {
        let State::Quiescing(purpose) = self.state else {
            return None;
        };
        let quiet = match purpose {
            // Whatever was known of it before, its own quiesce is under way.
            Purpose::Claim(_) => false,
            Purpose::Death(next) => self.quiet == Quiet::Known(next),
            Purpose::Refusal(..) | Purpose::Release(_) => self.is_drained(),
        };
        (!quiet).then_some(purpose)
    }

    /// Its owner died. A quiesce that is under way for it began when that life already waited for the server.
    pub fn begin_containment(&mut self, next: TaskId) {
        if let State::Quiescing(purpose) = self.state
            && self.sole_life == Some(purpose.life())
        {
            self.sole_life = Some(next);
        }
        self.state = State::Quiescing(Purpose::Death(next));
    }

    /// It was made quiet.
    pub fn now_quiet(&mut self) {
        self.quiet = match (self.sole_life.take(), self.quiet) {
            (Some(life), _) => Quiet::Known(life),
            // Once more takes nothing away.
            (None, known @ Quiet::Known(_)) => known,
            (None, _) => Quiet::Drained,
        };
        self.settling = Settling::No;
    }

    /// A new claim by `owner`.
    pub fn begin_claim(&mut self, owner: TaskId) {
        self.state = State::Claimed(owner);
        self.quiet = Quiet::Unknown;
        self.settling = Settling::No;
        self.revoked = false;
        self.withheld = false;
        self.storm = false;
        self.generation += 1;
        self.claims += 1;
        self.claims_of = match self.claims_of {
            (life, times) if life == owner => (life, times + 1),
            _ => (owner, 1),
        };
        self.sequence = 0;
        self.recorded = Recorded::NOTHING;
        self.faults.begin_claim();
    }

    /// Whether the current claim is the first of its life: a task that claims and releases over and over
    /// is told of once.
    pub fn is_first_of_life(&self) -> bool {
        self.claims_of.1 == 1
    }

    /// The task whose memory the device may still reach.
    pub fn held_by(&self) -> Option<TaskIndex> {
        match self.state {
            State::Free => None,
            State::Claimed(owner) => Some(TaskIndex::of(owner)),
            State::Quiescing(purpose) => Some(TaskIndex::of(purpose.life())),
            State::Stuck(owner) => Some(owner),
        }
    }
}
