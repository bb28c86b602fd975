//! Seeded faults: what a server that breaks one rule would do, made of what the right one does.
//!
//! They sit between the core and the model: a store, a command, a barrier, a register or a call to the
//! system is dropped, changed or moved.

use super::intent::Intent;
use super::layout::{Layout, TABLES};
use super::troubles::Troubles;
use abi::TaskId;
use abi::privileged::Held;
use iommu::slot::Slot;
use iommu_api::Operation;
use smmu_model::Check;
use smmu_model::{Memory, Model};

/// A fault by name, with the row of `docs/reference/smmu-rules.md` that it breaks.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// Name, as in the table of rules.
    pub name: &'static str,
    /// Row.
    pub rule: &'static str,
    /// The checks that may be the first to find it: others would find something else.
    pub by: &'static [Check],
    /// What goes wrong.
    pub kind: Kind,
    /// The troubles of the histories that are to find it, by their seeds.
    pub troubles: fn(u64) -> Troubles,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Words of a command are changed.
    Command(fn(&mut Edit<'_>)),
    /// A word stored to a stream table entry, by its number in the entry, with the word before it.
    Entry(fn(&mut Model, u64, u64, u64)),
    /// A leaf that is stored.
    Leaf(fn(u64, u64) -> u64),
    /// Leaves are stored in two halves.
    Halves,
    /// A 32-bit register write; `None` drops it.
    Write(fn(&View<'_>, usize, u32) -> Option<u32>),
    /// A 64-bit register write.
    Write64(fn(usize, u64) -> u64),
    /// All domains of the plan have one ASID.
    OneAsid,
    /// A 32-bit register read.
    Read(fn(&View<'_>, usize, u32) -> u32),
    /// Barriers before register writes do nothing.
    NoPublish,
    /// Barriers after register reads do nothing.
    NoAcquire,
    /// A word of the image, from its offset and value.
    Image(fn(&Layout, &mut Memory)),
    /// The same behind the server's back, just before it turns the SMMU on: what it would not see without a check.
    Unchecked(fn(&Layout, &mut Memory)),
    /// Devices are not reset.
    NoReset,
    /// Bus mastering stays on.
    NoBusMasterOff,
    /// Devices with direct regions are open again while they are being made quiet.
    EarlyOpen,
    /// Devices with direct regions stay off after they were cut off.
    NeverOpened,
    /// A successor's stores that close a stream.
    NoCloseByHeir,
    /// Holds are lifted when bus mastering goes off.
    EarlyLift,
    /// Pins of a device are lifted when its bus mastering goes off.
    UnpinAtOff,
    /// Pins are lifted when the command that forgets their pages is queued.
    EarlyUnpin,
    /// A command is changed after its submission.
    EditSubmitted,
    /// A word loaded from table memory, by its offset.
    Load(fn(&View<'_>, u64, u64) -> u64),
    /// Devices are taken for quiet at once, without a reset.
    Quiet,
    /// The same, but not by the first life.
    AdoptedQuiet,
    /// The same, but only those that reach something without a request, when they are released.
    UnaskedQuiet,
    /// Streams that bypass are not closed when their device's owner has died.
    DeadBypass,
    /// Nor when their device is released.
    LivingBypass,
    /// What a successor learns of a hold or pin.
    Adopted(fn(&mut Held)),
    /// What any life learns of a hold or pin.
    Enumerated(fn(&mut Held)),
    /// The pin of a pool is lifted when the server learns that its lender is dead.
    DeadPoolUnpinned,
    /// A pool's pin has a page less than the server asked for.
    ShortPool,
    /// The plan that the server reads lends more pages than it should.
    LendsMore,
    /// A successor reads another value from a 32-bit register, until it first writes one.
    FreshRead(fn(&View<'_>, usize, u32) -> u32),
    /// A successor lifts the pins of what is in no table before it has invalidated anything.
    FreshUnpin,
    /// A successor takes every device for one that was turned on.
    FoundOn,
    /// A successor lifts no hold when it starts.
    StartingNoLift,
    /// Devices are taken for quiet that are cut off with one of their alias set.
    NoSharers,
    /// The same, but only those without bus mastering that nobody has.
    NoDoubt,
    /// A bus is reset whatever is in use on it.
    UnitIgnored,
    /// A quiesce that failed is taken for one that did not.
    FailedIsQuiet,
    /// A device that was not found as planned is given to its owner.
    FoundAnyway,
    /// With the hold of a lender end the pins of its memory.
    LiftUnpins,
    /// A device that was made quiet once is taken for quiet, whoever may have touched it since.
    KnownForEver,
    /// What the SMMU did while the server did not run is not seen.
    OldLook,
    /// A PCI task that does not answer is taken for one that has made quiet what it was asked about.
    SilentQuiet,
    /// The same, but only one that does not come back.
    RetiredQuiet,
    /// One that does not answer is taken for one that could not make it quiet.
    SilentFailed,
    /// One that does not come back is waited for.
    RetiredAwaited,
    /// One that does not answer is taken for one that has found every device off.
    SilentOff,
    /// What nobody is held for is taken to be off.
    LeftOn,
    /// What somebody is held for is taken to be on still.
    LossUnseen,
    /// A device with direct regions that was not found as planned is opened.
    OpenedAnyway,
    /// A successor that starts without the PCI task takes everybody for alive.
    DeadOverlooked,
    /// What an SMMU that has stopped does not give back any more is given back.
    StoppedLifts,
    /// Pins are lifted when their pages are unmapped in a lazy domain.
    PartedUnpin,
    /// A successor sees no entry that waits for a flush.
    PartedUnseen,
    /// Nobody is woken for a flush.
    NoTimer,
    /// A request is not looked at closely.
    Message(Mistake),
}

/// A request on its way to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Who asks.
    pub sender: TaskId,
    /// For what.
    pub operation: Operation,
    /// The message.
    pub words: Vec<u64>,
}

/// What a server that leaves out a comparison does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Mistake {
    /// It takes it for another one, of the claim that the handle names.
    Request(fn(&Slot, &mut Asked)),
    /// It answers another code.
    Answer(fn(Operation, u32) -> u32),
}

/// What a fault looks at.
pub struct View<'a> {
    /// The SMMU.
    pub model: &'a Model,
    /// The plan.
    pub layout: &'a Layout,
    /// What the request under way is to change.
    pub intent: Option<&'a Intent>,
    /// The server takes over what its predecessor left.
    pub starting: bool,
}

/// Stores a word of table memory in two halves, the lower one first.
pub fn store_halves(model: &mut Model, offset: u64, value: u64) {
    let before = model.memory.latest(TABLES + offset).unwrap_or(0);
    let low = u64::from(u32::MAX);
    model.store(TABLES + offset, before & !low | value & low);
    model.store(TABLES + offset, value);
}

/// A command on its way into the queue.
pub struct Edit<'a> {
    /// Its words.
    pub words: &'a mut [u64; 2],
    /// Opcode of the command before it.
    pub before: u64,
    /// The stream table entry stored last lets its stream translate.
    pub opening: bool,
    /// The SMMU translates.
    pub on: bool,
    /// A successor is starting.
    pub starting: bool,
    /// It goes with pages that take the places of others.
    pub exchanging: bool,
    /// It goes with the unmap of pages of a pool that is lent as a whole.
    pub of_pool: bool,
    /// Something in the domain of its ASID waits for a flush.
    pub flushing: bool,
}

/// Opcode of a prefetch, which may do nothing.
pub(crate) const PREFETCH: [u64; 2] = [0x01, 0];
pub(crate) const CR0: usize = 0x20;
pub(crate) const CFGI_STE: u64 = 0x03;
pub(crate) const CFGI_RANGE: u64 = 0x04;
pub(crate) const TLBI_ASID: u64 = 0x11;
pub(crate) const TLBI_VA: u64 = 0x12;
pub(crate) const TLBI_ALL: u64 = 0x30;
pub(crate) const SYNC: u64 = 0x46;

impl Edit<'_> {
    /// Its opcode.
    #[must_use]
    pub fn opcode(&self) -> u64 {
        self.words[0] & 0xff
    }
    /// Whether it goes with the opening of a stream.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.opening
    }
    /// Puts a command that guarantees nothing in its place.
    pub fn drop_if(&mut self, dropped: bool) {
        if dropped {
            *self.words = PREFETCH;
        }
    }
}

/// The fault in force, and what it has seen.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sabotage {
    mutant: Option<Mutant>,
    pub(crate) before: u64,
    pub(crate) opening: bool,
    /// The server is not in its first life.
    pub(crate) succeeded: bool,
    /// This life is starting.
    starting: bool,
    /// This life has written no register yet.
    pub(crate) fresh: bool,
    /// The device that was turned off last, while it was on.
    pub(crate) turned_off: Option<u32>,
    /// How often it struck.
    pub struck: u64,
}

impl Sabotage {
    /// With a fault.
    #[must_use]
    pub fn with(mutant: Mutant) -> Self {
        Self {
            mutant: Some(mutant),
            ..Self::default()
        }
    }

    pub(crate) fn kind(&self) -> Option<Kind> {
        self.mutant.map(|mutant| mutant.kind)
    }

    /// Whether anything is done wrong at all.
    #[must_use]
    pub fn has_mutant(&self) -> bool {
        self.mutant.is_some()
    }

    /// Whether the server is not in its first life.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        self.succeeded
    }

    /// The server died: what it does from now on is a successor's.
    pub fn succeed(&mut self) {
        self.succeeded = true;
    }

    /// A life of the server starts, or has started.
    pub fn start(&mut self, starting: bool) {
        self.starting = starting;
        self.fresh = starting;
    }

    /// Pages that the server takes to be lent beyond those of the plan.
    #[must_use]
    pub fn lends_beyond(&self) -> u64 {
        u64::from(matches!(self.kind(), Some(Kind::LendsMore)))
    }

    /// Whether devices are quiet without a reset.
    #[must_use]
    pub fn is_quiet_at_once(&self) -> bool {
        match self.kind() {
            Some(Kind::Quiet) => true,
            Some(Kind::AdoptedQuiet) => self.succeeded,
            _ => false,
        }
    }

    /// Whether a hold is not lifted now.
    pub fn keeps_hold(&mut self) -> bool {
        let keeps = matches!(self.kind(), Some(Kind::StartingNoLift)) && self.adopts();
        self.struck += u64::from(keeps);
        keeps
    }

    /// Whether a device is taken for one that was turned on.
    pub fn finds_on(&mut self) -> bool {
        let finds = matches!(self.kind(), Some(Kind::FoundOn)) && self.adopts();
        self.struck += u64::from(finds);
        finds
    }

    pub(crate) const fn adopts(&self) -> bool {
        self.succeeded && self.starting
    }

    /// Changes the image.
    pub fn image(&self, layout: &Layout, memory: &mut Memory) {
        if let Some(Kind::Image(change)) = self.kind() {
            change(layout, memory);
        }
    }

    /// Whether the plan gives all domains one ASID.
    #[must_use]
    pub fn shares_asids(&self) -> bool {
        matches!(self.kind(), Some(Kind::OneAsid))
    }

    /// Whether the SMMU does nothing while the server does not run: as if it had been looked at before.
    #[must_use]
    pub fn looks_once(&self) -> bool {
        matches!(self.kind(), Some(Kind::OldLook))
    }

    /// Whether resets do nothing.
    #[must_use]
    pub fn skips_reset(&self) -> bool {
        matches!(self.kind(), Some(Kind::NoReset))
    }
}
