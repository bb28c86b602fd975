//! Stores, loads and commands that a fault changes.

use super::World;
use super::is_parted;
use crate::layout::{PAGE_TABLES, TABLES, entry_of};
use crate::sabotage::{Edit, Kind, Sabotage, TLBI_ASID, TLBI_VA, store_halves};
use smmu_model::Check;

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
            change(&mut self.model, offset, offset / 8 % 8, value);
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
            self.sabotage.struck += 1;
            return store_halves(&mut self.model, offset, value);
        }
        self.model.store(TABLES + offset, value);
        if matches!(kind, Some(Kind::PartedUnpin))
            && leaves.contains(&offset)
            && is_parted(value, 3)
        {
            self.unpin_early();
        }
    }

    /// Whether an entry is that of a bypassing device whose owner lives, or has died.
    fn is_bypass(&self, offset: u64, lives: bool) -> bool {
        let mut holds = self.kernel.holds.iter();
        holds.any(|hold| {
            let device = hold.device as usize;
            let mut streams = self.layout.machine.streams_of(device).iter();
            self.layout.machine.bypasses(device)
                && self.kernel.is_current(hold.task) == lives
                && streams.any(|&stream| entry_of(stream) == offset)
        })
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
        let exchanging = self.intent.as_ref().is_some_and(|intent| {
            let (maps, unmaps) = (&intent.maps, &intent.unmaps);
            !maps.is_empty() && !unmaps.is_empty()
        });
        let of_pool = matches!(kind, Some(Kind::Command(_))) && self.unmaps_pool();
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
                exchanging,
                of_pool,
                flushing: self
                    .oracle
                    .is_lazy_now((first >> 48) as usize - usize::from(first >> 48 > 0)),
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

    pub(crate) fn load_word(&mut self, offset: u64) -> u64 {
        let value = self.model.load(TABLES + offset).unwrap_or(0);
        match self.sabotage.kind() {
            Some(Kind::Load(change)) => {
                let changed = change(&self.view(), offset, value);
                self.sabotage.struck += u64::from(changed != value);
                changed
            }
            Some(Kind::PartedUnseen)
                if self.sabotage.adopts() && offset >= PAGE_TABLES && is_parted(value, 3) =>
            {
                self.sabotage.struck += 1;
                0
            }
            _ => value,
        }
    }
}
