//! Seeded faults: what a server that breaks one rule would do, made of what the right one does.
//!
//! They sit between the core and the model: a store, a command, a barrier, a register or a call to the
//! system is dropped, changed or moved.

use iommu::hardware::Held;

use super::layout::{DEVICES, Layout, TABLES, bypasses, entry_of};
use super::world::World;
use crate::Memory;
use crate::finding::Check;

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
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Words of a command are changed.
    Command(fn(&mut Edit<'_>)),
    /// A word stored to a stream table entry, by its number in the entry, with the word before it.
    Entry(fn(&mut World, u64, u64, u64)),
    /// A leaf that is stored.
    Leaf(fn(u64, u64) -> u64),
    /// Leaves are stored in two halves.
    Halves,
    /// A 32-bit register write; `None` drops it.
    Write(fn(&World, usize, u32) -> Option<u32>),
    /// A 64-bit register write.
    Write64(fn(usize, u64) -> u64),
    /// All domains of the plan have one ASID.
    OneAsid,
    /// A 32-bit register read.
    Read(fn(&World, usize, u32) -> u32),
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
    EarlyStand,
    /// Devices with direct regions stay off after they were cut off.
    NeverStands,
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
    Load(fn(&World, u64, u64) -> u64),
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
    /// A successor reads another value from a 32-bit register, until it first writes one.
    FreshRead(fn(&World, usize, u32) -> u32),
    /// A successor lifts the pins of what is in no table before it has invalidated anything.
    FreshUnpin,
    /// A successor takes every device for one that was turned on.
    FoundOn,
    /// A successor lifts no hold when it starts.
    StartingNoLift,
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
}

/// Opcode of a prefetch, which may do nothing.
const PREFETCH: [u64; 2] = [0x01, 0];
const CR0: usize = 0x20;
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
    before: u64,
    opening: bool,
    /// The server is not in its first life.
    succeeded: bool,
    /// This life is starting.
    starting: bool,
    /// This life has written no register yet.
    fresh: bool,
    /// The device that was turned off last, while it was on.
    turned_off: Option<u32>,
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

    fn kind(&self) -> Option<Kind> {
        self.mutant.map(|mutant| mutant.kind)
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

    const fn adopts(&self) -> bool {
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

    /// Whether resets do nothing.
    #[must_use]
    pub fn skips_reset(&self) -> bool {
        matches!(self.kind(), Some(Kind::NoReset))
    }
}

impl World {
    /// A store of the server to table memory.
    pub(crate) fn store_word(&mut self, offset: u64, value: u64) {
        let kind = self.sabotage.kind();
        let (queue, bytes) = self.layout.command_queue();
        if (queue..queue + bytes).contains(&offset) {
            self.store_command(offset, value, kind);
            return;
        }
        if (0x1_0000..0x1_1000).contains(&offset) && self.model.control() & 1 != 0 {
            self.model.findings.note(Check::Illegal, || {
                "a CD changes while it may be live".into()
            });
        }
        let entries = (0x4000..0x1_0000).contains(&offset);
        if entries && offset.is_multiple_of(64) {
            self.sabotage.opening = value >> 1 & 7 == 0b101;
        }
        let closes = entries && offset.is_multiple_of(64) && value >> 1 & 7 == 0;
        if matches!(kind, Some(Kind::NoCloseByHeir)) && self.sabotage.succeeded && closes {
            self.sabotage.struck += 1;
            return;
        }
        let stays = match kind {
            Some(Kind::DeadBypass) => self.is_bypass(offset, false),
            Some(Kind::LivingBypass) => self.is_bypass(offset, true),
            _ => false,
        };
        if closes && stays {
            self.sabotage.struck += 1;
            return;
        }
        if let Some(Kind::Entry(change)) = kind
            && entries
        {
            self.sabotage.struck += 1;
            change(self, offset, offset / 8 % 8, value);
            return;
        }
        let leaves = self.layout.smmu.tables_len.min(0x1_8000)..self.layout.smmu.tables_len;
        if let Some(Kind::Leaf(change)) = kind
            && leaves.contains(&offset)
        {
            let before = self.model.memory.latest(TABLES + offset).unwrap_or(0);
            let changed = change(value, before);
            self.sabotage.struck += u64::from(changed != value);
            self.model.store(TABLES + offset, changed);
            return;
        }
        if matches!(kind, Some(Kind::Halves)) && leaves.contains(&offset) {
            return self.store_halves(offset, value);
        }
        self.model.store(TABLES + offset, value);
    }

    /// A release makes a device quiet that reaches something without a request; `true` to skip it.
    pub(crate) fn skips_unasked(&self, device: u32) -> bool {
        let mut holds = self.kernel.holds.iter();
        matches!(self.sabotage.kind(), Some(Kind::UnaskedQuiet))
            && self.sabotage.turned_off == Some(device)
            && self.oracle.unasked(device as usize).is_some()
            && holds.any(|hold| hold.device == device && self.kernel.is_current(hold.task))
    }

    /// Whether an entry is that of a bypassing device whose owner lives, or has died.
    fn is_bypass(&self, offset: u64, lives: bool) -> bool {
        let mut holds = self.kernel.holds.iter();
        holds.any(|hold| {
            let device = hold.device as usize;
            let mut streams = DEVICES[device].streams.iter();
            bypasses(device)
                && self.kernel.is_current(hold.task) == lives
                && streams.any(|&stream| entry_of(stream) == offset)
        })
    }

    /// A store in two halves, the lower one first.
    pub(crate) fn store_halves(&mut self, offset: u64, value: u64) {
        let before = self.model.memory.latest(TABLES + offset).unwrap_or(0);
        let low = u64::from(u32::MAX);
        self.sabotage.struck += 1;
        self.model
            .store(TABLES + offset, before & !low | value & low);
        self.model.store(TABLES + offset, value);
    }

    /// A quiesce was started: a device with direct regions is opened before it ends.
    pub(crate) fn stand_early(&mut self, device: u32) {
        let early = matches!(self.sabotage.kind(), Some(Kind::EarlyStand));
        let Some(planned) = DEVICES
            .get(device as usize)
            .filter(|planned| planned.standing && early)
        else {
            return;
        };
        let context = self.layout.domains[planned.domain as usize].context;
        for &stream in planned.streams {
            self.sabotage.struck += 1;
            let word = smmu::stream::stage1_word(TABLES + context);
            self.model.store(TABLES + entry_of(stream), word);
        }
        self.model.publish();
    }

    fn store_command(&mut self, offset: u64, value: u64, kind: Option<Kind>) {
        self.model.store(TABLES + offset, value);
        if offset % 16 != 8 {
            return;
        }
        let low = offset - 8;
        let first = self.model.memory.latest(TABLES + low).unwrap_or(0);
        let mut words = [first, value];
        let opcode = first & 0xff;
        if let Some(Kind::Command(change)) = kind {
            let Sabotage {
                before, opening, ..
            } = self.sabotage;
            change(&mut Edit {
                words: &mut words,
                before,
                opening,
                on: self.model.control() & 1 != 0,
                starting: self.sabotage.adopts(),
            });
            if words != [first, value] {
                self.sabotage.struck += 1;
                self.model.store(TABLES + low, words[0]);
                self.model.store(TABLES + offset, words[1]);
            }
        }
        if matches!(kind, Some(Kind::EarlyUnpin)) && matches!(opcode, TLBI_VA | TLBI_ASID) {
            self.unpin_early();
        }
        let first = self.sabotage.fresh && self.sabotage.adopts();
        if matches!(kind, Some(Kind::FreshUnpin)) && first {
            self.unpin_early();
        }
        self.sabotage.before = opcode;
    }

    /// Pins whose pages are no longer in any table are lifted before the SMMU has forgotten them.
    fn unpin_early(&mut self) {
        for slot in 0..self.kernel.pins.len() as u32 {
            let Some(pin) = self.kernel.pinned(slot) else {
                continue;
            };
            let mapped = (0x1_8000..self.layout.smmu.tables_len)
                .step_by(8)
                .any(|offset| {
                    let leaf = self.model.memory.latest(TABLES + offset).unwrap_or(0);
                    leaf & 1 == 1 && leaf & 0xffff_ffff_f000 == pin.pa
                });
            if !mapped {
                self.sabotage.struck += 1;
                self.check_unpin(slot);
            }
        }
    }

    pub(crate) fn barrier(&mut self) {
        if matches!(self.sabotage.kind(), Some(Kind::NoPublish)) {
            self.sabotage.struck += 1;
        } else {
            self.model.publish();
        }
    }

    pub(crate) fn acquire_barrier(&mut self) {
        if matches!(self.sabotage.kind(), Some(Kind::NoAcquire)) {
            self.sabotage.struck += 1;
        } else {
            self.model.acquire();
        }
    }

    pub(crate) fn load_word(&mut self, offset: u64) -> u64 {
        let value = self.model.load(TABLES + offset).unwrap_or(0);
        match self.sabotage.kind() {
            Some(Kind::Load(change)) => {
                let changed = change(self, offset, value);
                self.sabotage.struck += u64::from(changed != value);
                changed
            }
            _ => value,
        }
    }

    pub(crate) fn write_register(&mut self, register: usize, value: u32) {
        self.sabotage.fresh = false;
        if let Some(Kind::Unchecked(change)) = self.sabotage.kind()
            && register == CR0
            && value & !self.model.control() & 1 == 1
        {
            self.sabotage.struck += 1;
            change(&self.layout, &mut self.model.memory);
        }
        let written = match self.sabotage.kind() {
            Some(Kind::Write(change)) => change(self, register, value),
            _ => Some(value),
        };
        self.sabotage.struck += u64::from(written != Some(value));
        if let Some(written) = written {
            self.model.write32(register, written);
        }
        if register == 0x98 && matches!(self.sabotage.kind(), Some(Kind::EditSubmitted)) {
            self.sabotage.struck += 1;
            let (queue, bytes) = self.layout.command_queue();
            let slot = u64::from(value.wrapping_sub(1)) * 16 % bytes;
            self.model.store(TABLES + queue + slot, PREFETCH[0]);
            self.model.publish();
        }
    }

    pub(crate) fn write_register64(&mut self, register: usize, value: u64) {
        let written = match self.sabotage.kind() {
            Some(Kind::Write64(change)) => change(register, value),
            _ => value,
        };
        self.sabotage.struck += u64::from(written != value);
        self.model.write64(register, written);
    }

    pub(crate) fn read_register(&mut self, register: usize, value: u32) -> u32 {
        match self.sabotage.kind() {
            Some(Kind::Read(change)) => {
                let changed = change(self, register, value);
                self.sabotage.struck += u64::from(changed != value);
                changed
            }
            Some(Kind::FreshRead(change)) if self.sabotage.adopts() && self.sabotage.fresh => {
                let changed = change(self, register, value);
                self.sabotage.struck += u64::from(changed != value);
                changed
            }
            _ => value,
        }
    }

    pub(crate) fn enumerated(&mut self, mut held: Held) -> Held {
        if let Some(Kind::Adopted(change)) = self.sabotage.kind()
            && self.sabotage.succeeded
        {
            let before = held;
            change(&mut held);
            self.sabotage.struck += u64::from(before != held);
        }
        held
    }

    pub(crate) fn set_bus_master(&mut self, device: u32, on: bool) -> bool {
        self.check_started(device, on);
        let stands = DEVICES
            .get(device as usize)
            .is_some_and(|planned| planned.standing);
        match self.sabotage.kind() {
            Some(Kind::NeverStands) if on && stands && self.lines > 0 => {
                let mut holds = self.kernel.holds.iter();
                let claimed =
                    holds.any(|hold| hold.device == device && self.kernel.is_current(hold.task));
                if !claimed {
                    self.sabotage.struck += 1;
                    return true;
                }
            }
            Some(Kind::NoBusMasterOff) if !on => {
                self.sabotage.struck += 1;
                return true;
            }
            Some(Kind::EarlyLift) if !on => {
                self.sabotage.struck += 1;
                self.check_lift(device as usize);
            }
            Some(Kind::UnpinAtOff) if !on => {
                for slot in 0..self.kernel.pins.len() as u32 {
                    if self
                        .kernel
                        .pinned(slot)
                        .is_some_and(|pin| pin.device == device)
                    {
                        self.sabotage.struck += 1;
                        self.check_unpin(slot);
                    }
                }
            }
            _ => {}
        }
        if on {
            self.check_start(device as usize);
        }
        if !on {
            let was_on = self.fabric.is_bus_master(device as usize);
            self.sabotage.turned_off = was_on.then_some(device);
            self.model
                .ambient
                .retain(|ambient| ambient.device != device);
        }
        self.fabric.bus_master(device, on)
    }
}
