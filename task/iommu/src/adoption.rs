//! Taking over what an earlier life of this server left: streams, mappings, holds, pins.

use abi::TaskId;
use iommu_api::PAGE;

use crate::hardware::{Hardware, Held, System};
use crate::ownership::State;
use crate::server::{Pin, Server};
use crate::space::{Kind, Run};

/// Kinds of [`Held`].
const HOLD: u64 = 1;
const PIN: u64 = 2;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// All holds and pins. What is lifted meanwhile does not disturb it.
    fn enumerate(&mut self) -> impl Iterator<Item = Held> + '_ {
        let mut cursor = Some(0);
        core::iter::from_fn(move || {
            let held = self.system.enumerate(cursor?);
            cursor = (held.next != 0).then_some(held.next);
            (held.kind != 0).then_some(held)
        })
    }

    /// The hold for a device.
    pub(crate) fn hold_of(&mut self, device: usize) -> Option<Held> {
        self.enumerate()
            .find(|held| held.kind == HOLD && held.device as usize == device)
    }

    /// The id of the next life of `owner` if it is dead and still held for a device.
    pub(crate) fn next_life(&mut self, device: usize, owner: usize) -> Option<TaskId> {
        self.enumerate()
            .find(|held| {
                held.kind == HOLD
                    && held.dead
                    && held.device as usize == device
                    && held.task.index() == owner
            })
            .map(|held| held.task)
    }

    /// Takes over what an earlier life left; `running` says whether it left an SMMU on.
    ///
    /// A held device whose streams translate stays as it is, claimed by the living task under a new handle
    /// that it gets by claiming again; one with direct regions that nobody is held for goes on standing. One that
    /// was being claimed, released or is cut off is closed: its task may claim it if nothing is mapped, else it
    /// has to release it. Those of dead tasks are contained, all others closed.
    pub(crate) fn adopt(&mut self, running: bool) {
        for index in 0..self.devices.len() {
            let used = self.was_in_use(index);
            let open = used && self.hold_of(index).is_some();
            let standing = self.stood(index, used);
            if let Some(device) = self.devices.get_mut(index) {
                device.open = open;
                device.standing = standing;
                device.used_before = running;
            }
        }
        for index in 0..self.devices.len() {
            // Only now is it known which shared streams have to stay.
            let stray = self
                .devices
                .get(index)
                .is_some_and(|device| !device.open && !device.standing);
            if running && stray {
                let _ = self.system.bus_master(index as u32, false);
                if self.close(index, false).is_err() {
                    self.note_broken(index);
                }
            }
        }
        for index in 0..self.devices.len() {
            let Some(held) = self.hold_of(index) else {
                continue;
            };
            let mapped = self.count_mapped(index);
            if let Some(device) = self.devices.get_mut(index) {
                device.begin_claim(held.task);
                device.mapped = mapped;
                device.revoked = !device.open;
            }
            self.adopt_pins(index);
        }
        for index in 0..self.devices.len() {
            let Some(held) = self.hold_of(index) else {
                continue;
            };
            if held.dead {
                self.contain(index, held.task);
            } else {
                self.forgo_unused(index, held.task.index());
            }
        }
        if running {
            self.withhold_strays();
        }
    }

    /// Free devices with direct regions that an earlier life had closed stay so until they are claimed, unless
    /// something that shares streams or a reset with one is not over: then until that is.
    fn withhold_strays(&mut self) {
        for index in 0..self.devices.len() {
            let closed = self.devices.get(index).is_some_and(|device| {
                device.may_stand && !device.standing && device.state == State::Free
            });
            let over = !self.stays_cut_off(index);
            if let Some(device) = self.devices.get_mut(index)
                && closed
            {
                device.withheld = over;
            }
        }
    }

    /// Whether a device's streams translate. A shared stream alone may be another's.
    fn streams_translate(&mut self, index: usize) -> bool {
        let plan = self.plan;
        let Some(entry) = plan.devices.get(index) else {
            return false;
        };
        let (Some((_, domain)), Some(word)) = (plan.domain_of(entry), plan.open_word(entry)) else {
            return false;
        };
        let Some(smmu) = self.smmus.get_mut(domain.smmu as usize) else {
            return false;
        };
        smmu.running.is_some()
            && plan
                .streams_of(entry)
                .iter()
                .all(|stream| smmu.hardware.load(stream.entry) == word)
    }

    /// Whether a device's streams translate and it may use them.
    fn was_in_use(&mut self, index: usize) -> bool {
        let usable = self
            .devices
            .get(index)
            .is_some_and(|device| device.unusable.is_none() || device.may_stand);
        let on = self
            .system
            .pci_describe(index as u32)
            .is_ok_and(|found| found.bus_master);
        usable && on && self.streams_translate(index)
    }

    /// Whether a device that may stand does: it is in use, or was but for a restart of the PCI task. Whatever
    /// cuts a device off closes its streams; those that a claimant shares say nothing.
    fn stood(&mut self, index: usize, used: bool) -> bool {
        let Some(device) = self.devices.get(index).filter(|device| device.may_stand) else {
            return false;
        };
        let domain = device.entry.domain;
        if used {
            return true;
        }
        let claimed = (0..self.devices.len()).any(|other| {
            let sharer = self.devices.get(other);
            sharer.is_some_and(|sharer| sharer.entry.domain == domain)
                && self.hold_of(other).is_some()
        });
        !claimed && self.streams_translate(index)
    }

    /// A claim of a living task by which nothing can be reached ends, as if it had never been granted.
    fn forgo_unused(&mut self, index: usize, owner: usize) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        // What reaches pools without a request has to be made quiet first, by its release.
        let reaches = self.plan.reaches_pools(device.entry);
        if device.open || device.mapped != 0 || device.pins != 0 || reaches {
            return;
        }
        device.state = State::Free;
        device.revoked = false;
        let _ = self.system.lift(owner, index as u32);
    }

    fn count_mapped(&mut self, index: usize) -> u64 {
        let Some(parts) = self.parts(index) else {
            return 0;
        };
        let member = parts.device.member;
        let mut pages = 0;
        for kind in [Kind::Pages, Kind::Blocks] {
            let part = parts.space.part(kind);
            let mut from = 0;
            while let Some(run) = part.next_of(parts.hardware, from, member) {
                part.found_used(run);
                pages += run.count * part.entry_pages();
                from = run.first + run.count;
            }
        }
        pages
    }

    /// Finds the entries of each pin of a device, so that it is lifted when they are unmapped.
    ///
    /// A pin that nothing is mapped for is lifted: its request was never completed, or its unmapping was
    /// confirmed by the invalidation of everything. If entries that lead to pinned memory cannot all be
    /// told apart (the same pages pinned several times, in overlapping pieces), no pin of the device is
    /// lifted before all of it is unmapped.
    fn adopt_pins(&mut self, index: usize) {
        // Those that a row of entries fits exactly first: what is left is less ambiguous.
        for exact in [true, false] {
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                let held = self.system.enumerate(at);
                cursor = (held.next != 0).then_some(held.next);
                let known = self.pins.iter().any(|pin| pin.slot == held.slot);
                if held.kind != PIN || held.device as usize != index || known {
                    continue;
                }
                let run = self.run_of(index, held.pa, held.len, exact);
                if run.is_none() && exact {
                    continue;
                }
                let pin = Pin {
                    device: index,
                    run: run.unwrap_or(Run::NONE),
                    slot: held.slot,
                };
                // Kept for good if there are more than this server ever makes.
                if self.pins.push(pin).is_ok()
                    && let Some(device) = self.devices.get_mut(index)
                {
                    device.pins += 1;
                }
            }
        }
        if self.explains_all(index) {
            self.unpin_unused(index);
        } else {
            for pin in self.pins.iter_mut().filter(|pin| pin.device == index) {
                pin.run = Run::NONE;
            }
        }
    }

    /// The entries, of no other pin, that lead to `len` bytes from `pa`: all of them in a row, or the most
    /// there are; if `exact`, only all, and if the entries beside them do not go on in the same way.
    fn run_of(&mut self, index: usize, pa: u64, len: u64, exact: bool) -> Option<Run> {
        let mut best: Option<Run> = None;
        let mut from = 0;
        while let Some((run, output)) = self.next_unexplained(index, from) {
            from = run.first + run.count;
            let end = output + run.count * PAGE;
            if output == pa && end == pa + len {
                return Some(run);
            }
            let (first, last) = (output.max(pa), end.min(pa + len));
            let within = Run {
                first: run.first + first.saturating_sub(output) / PAGE,
                count: last.saturating_sub(first) / PAGE,
            };
            if !exact && within.count > best.map_or(0, |best| best.count) {
                best = Some(within);
            }
        }
        best
    }

    /// The next run of entries from `from` on, made for a device and of none of its pins, that lead to
    /// consecutive pages; and the first of these.
    fn next_unexplained(&mut self, index: usize, from: u64) -> Option<(Run, u64)> {
        let parts = self.parts(index)?;
        let (part, member) = (&parts.space.pages, parts.device.member);
        let mut found: Option<(Run, u64)> = None;
        for first in from..part.len() {
            let own = Run { first, count: 1 };
            let mut pins = parts.pins.iter();
            let output = part
                .output(parts.hardware, first, member)
                .filter(|_| !pins.any(|pin| pin.device == index && pin.run.contains(own)));
            match (&mut found, output) {
                (None, None) => {}
                (None, Some(output)) => found = Some((own, output)),
                (Some((run, start)), Some(output)) if *start + run.count * PAGE == output => {
                    run.count += 1;
                }
                (Some(_), _) => break,
            }
        }
        found
    }

    /// Whether every entry of a device that leads to memory pinned for it belongs to one of its pins.
    fn explains_all(&mut self, index: usize) -> bool {
        if !self.pins.iter().any(|pin| pin.device == index) {
            return true;
        }
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let held = self.system.enumerate(at);
            cursor = (held.next != 0).then_some(held.next);
            let other = held.kind != PIN || held.device as usize != index;
            if !other && self.run_of(index, held.pa, held.len, false).is_some() {
                return false;
            }
        }
        true
    }

    fn unpin_unused(&mut self, index: usize) {
        let system = &mut self.system;
        let mut lifted = 0;
        self.pins.retain(|pin| {
            let unused = pin.device == index && pin.run == Run::NONE;
            if unused {
                let _ = system.unpin(pin.slot);
                lifted += 1;
            }
            !unused
        });
        if let Some(device) = self.devices.get_mut(index) {
            device.pins = device.pins.saturating_sub(lifted);
        }
    }
}
