//! What must hold, between requests and at the moments when something is given back.

use abi::TaskId;

use super::World;
use crate::layout;
use crate::oracle::Oracle;
use smmu_model::{Check, Findings};

impl World {
    /// What landed since the last look is checked against what is granted now.
    pub fn check_landed(&mut self) {
        let landed = self.model.take_landed();
        self.oracle.landed(&landed, &mut self.model.findings);
    }

    /// What goes to pages that wait for a flush ends before that, if a SYNC does not wait for it. A device is done with a
    /// page when that is unmapped, its driver has promised; one that is not could go on for as long as it likes, and
    /// only a reset would end it.
    pub(crate) fn finish_parted(&mut self) {
        let oracle = &self.oracle;
        self.model
            .finish_outliving(|flight| oracle.goes_to_parted(flight));
        self.check_landed();
    }

    /// Everything that a stream could reach is checked against what is granted now, and bus mastering
    /// against who holds the device.
    pub fn audit(&mut self) {
        let mut findings = std::mem::take(&mut self.model.findings);
        let (fabric, machine) = (&self.fabric, self.layout.machine);
        let started = |stream: u32| {
            let mut devices = machine.devices.iter().enumerate();
            devices.any(|(device, planned)| {
                planned.streams.contains(&stream) && fabric.is_bus_master(device)
            })
        };
        self.oracle.audit(&self.model, started, &mut findings);
        for (device, planned) in machine.devices.iter().enumerate() {
            let held = self
                .kernel
                .holds
                .iter()
                .any(|hold| hold.device as usize == device);
            // Without the PCI task nobody can turn it off.
            let on = self.fabric.is_bus_master(device) && self.knows_pci();
            if !held && !planned.always_open && on {
                findings.note(Check::Containment, || {
                    format!("device {device} is bus master, and nobody has it")
                });
            }
        }
        self.model.findings = findings;
    }

    /// A device was turned off with something mapped: only a reset says that nothing is under way.
    pub(crate) fn check_turned_off(&mut self, device: u32) {
        let number = device as usize;
        let used = !self.oracle.grants(number).is_empty() || self.oracle.unasked(number).is_some();
        if used {
            self.fabric.set_user(device, Some(TaskId::KERNEL));
        }
    }

    /// A device is turned on only if nothing of anybody else can be under way in it.
    pub(crate) fn check_started(&mut self, device: u32) {
        let mut holds = self.kernel.holds.iter();
        let holder = holds
            .find(|hold| hold.device == device)
            .map(|hold| hold.task);
        let user = self.fabric.user(device);
        if holder.is_none() {
            // It is always open: whoever has its registers may use it, claimed or not.
            self.fabric.set_user(device, user.or(Some(TaskId::KERNEL)));
            return;
        }
        // One that was turned off with something mapped may go on for the same claim: its hold was never lifted.
        let goes_on = user == Some(TaskId::KERNEL) && self.exposed[device as usize];
        if user.is_some() && user != holder && !goes_on {
            self.model.findings.note(Check::Containment, || {
                format!(
                    "device {device} is turned on for {holder:x?}, not reset since {user:x?} had it"
                )
            });
        }
        self.fabric.set_user(device, holder);
        self.expose(device as usize);
    }

    /// G9: what is turned on is what the plan says.
    pub(crate) fn check_found(&mut self, device: usize) {
        if !self.fabric.is_as_planned(device) {
            self.model.findings.note(Check::Containment, || {
                format!("device {device} is turned on, and is not as planned")
            });
        }
    }

    /// The server was told of deaths: the devices of the dead are cut off by now.
    pub fn check_cut_off(&mut self) {
        let mut findings = std::mem::take(&mut self.model.findings);
        for hold in &self.kernel.holds {
            if !self.kernel.is_current(hold.task) {
                let device = hold.device as usize;
                // What an SMMU that has stopped keeps in its caches nobody can take from it.
                if !self.model.has_stopped() {
                    self.oracle.cut_off(&self.model, device, &mut findings);
                }
                if self.fabric.is_bus_master(device) && self.knows_pci() {
                    findings.note(Check::Containment, || {
                        format!("device {device} of a dead task is bus master")
                    });
                }
            }
        }
        self.model.findings = findings;
    }

    /// The devices of the living that are to be cut off with those of the dead, which the server has not been told of.
    pub fn mates_of_dead(&self) -> Vec<usize> {
        let machine = self.layout.machine;
        let holds = || self.kernel.holds.iter();
        let dead: Vec<usize> = holds()
            .filter(|hold| !self.kernel.is_current(hold.task))
            .map(|hold| hold.device as usize)
            .filter(|&device| self.is_open(device))
            .collect();
        let living = holds().filter(|hold| self.kernel.is_current(hold.task));
        living
            .map(|hold| hold.device as usize)
            .filter(|&device| {
                dead.iter()
                    .any(|&at| machine.contained_together(at, device))
            })
            .collect()
    }

    /// The server was told of deaths: what is contained with the devices of the dead is cut off by now, whoever has it.
    pub fn check_units_cut_off(&mut self, mates: &[usize]) {
        for &device in mates {
            let on = self.fabric.is_bus_master(device) && self.knows_pci();
            // What an SMMU that has stopped keeps nobody can take from it.
            if on || self.is_open(device) && !self.model.has_stopped() {
                self.model.findings.note(Check::Containment, || {
                    format!("device {device} goes on, and what is contained with it is not")
                });
            }
        }
    }

    /// The successor has started: a living task is held only for what it has to use or to release.
    pub fn check_holds(&mut self, was_in_use: impl Fn(usize) -> bool) {
        for hold in &self.kernel.holds {
            let device = hold.device as usize;
            let mut pins = self.kernel.pins.iter().flatten();
            let kept = was_in_use(device)
                || !self.kernel.is_current(hold.task)
                || !self.oracle.grants(device).is_empty()
                || self.oracle.unasked(device).is_some()
                || pins.any(|pin| pin.number() == hold.device as usize);
            if !kept {
                self.model
                    .findings
                    .note(Check::Leak, || format!("{hold:x?} is for nothing"));
            }
        }
    }

    /// A device was turned on: if a dead task had it, it was made quiet, and of what was mapped for
    /// it nothing is left.
    pub(crate) fn check_start(&mut self, device: usize, quiet: bool) {
        let mut left = self.oracle.clone();
        left.clear(device);
        let mut holds = self.kernel.holds.iter();
        let dead =
            holds.any(|hold| hold.device as usize == device && !self.kernel.is_current(hold.task));
        if !dead {
            return;
        }
        let mut findings = std::mem::take(&mut self.model.findings);
        if !quiet {
            findings.note(Check::Containment, || {
                format!("device {device} of a dead task goes on before it was quiet")
            });
        }
        left.audit(&self.model, |_| false, &mut findings);
        self.model.findings = findings;
    }

    /// Devices with direct regions are open while nobody that shares their streams is held, or waits for a reset that
    /// takes them too.
    pub fn check_always_open(&mut self) {
        let machine = self.layout.machine;
        for (device, planned) in machine.devices.iter().enumerate() {
            let mut holds = self.kernel.holds.iter();
            let held = holds.any(|hold| {
                let other = hold.device as usize;
                let unit = machine.devices[other].reset_unit == planned.reset_unit;
                machine.share(other, device) || unit && !self.fabric.is_bus_master(other)
            });
            let off = self.fabric.is_busy(device) || !self.fabric.is_as_planned(device);
            // A claim that could not make it quiet leaves it cut off until one succeeds.
            let off = off || self.fabric.was_refused(device);
            if !planned.always_open || held || off {
                continue;
            }
            let closed = planned
                .streams
                .iter()
                .any(|stream| self.model.reachable(*stream).runs.is_empty());
            if closed || !self.fabric.is_bus_master(device) {
                self.model.findings.note(Check::Containment, || {
                    format!("device {device} is cut off, and nobody had it")
                });
            }
        }
    }

    /// A device is called not quiet, or its task held for good: not without a reason in it, in what shares its streams or
    /// in what is reset with it. That the PCI task did not answer is none.
    pub fn check_not_quiet(&mut self, device: usize) {
        let machine = self.layout.machine;
        let unit = |device: usize| machine.device(device).map(|d| d.reset_unit);
        let together = |other: usize| {
            other == device || machine.share(other, device) || unit(other) == unit(device)
        };
        let mut others = 0..machine.devices.len();
        let excused = others.any(|other| together(other) && self.fabric.was_refused(other));
        if !excused && !self.fabric.retired && !self.model.has_stopped() {
            self.model.findings.note(Check::Liveness, || {
                format!("device {device} is not quiet, and nothing has failed")
            });
        }
    }

    /// Pins are kept for what is mapped, and no longer.
    pub fn check_pins(&mut self) {
        for pin in self.kernel.pins.iter().flatten() {
            let grants = self.oracle.grants(pin.number());
            let used = grants.iter().any(|grant| {
                grant.output < pin.pa + pin.len && pin.pa < grant.output + grant.bytes
            });
            let waits = self.oracle.waits_for_flush(pin.number(), pin.pa, pin.len);
            // That of a pool is kept while its lender and the claim live, or until the server is told that they do not.
            let lives = self.kernel.held_death || self.kernel.is_current(pin.lender);
            let mut holds = self.kernel.holds.iter();
            let held = holds.any(|hold| hold.device as usize == pin.number());
            let used = used || pin.is_of_pool() && lives && held;
            if !used && !waits {
                self.model
                    .findings
                    .note(Check::Leak, || format!("nothing is mapped of {pin:x?}"));
            }
        }
    }

    /// Memory is given back; `left` is what remains granted. What waits for a flush in it counts as well if `waits`.
    fn check_released(&mut self, left: &Oracle, (output, bytes): (u64, u64), waits: bool) {
        self.check_landed();
        let mut findings: Findings = std::mem::take(&mut self.model.findings);
        left.released(&self.model, (output, bytes), waits, &mut findings);
        self.model.findings = findings;
    }

    /// The holder of a device can use it from now on.
    pub(crate) fn expose(&mut self, device: usize) {
        if let Some(exposed) = self.exposed.get_mut(device) {
            *exposed = true;
        }
    }

    /// Something of a device's holder is given back: not if the SMMU, which has stopped, may still let the device
    /// reach it.
    fn check_confirmed(&mut self, device: usize) {
        let always_open = self.layout.machine.devices[device].always_open;
        let idle = self.oracle.grants(device).is_empty();
        if self.model.has_stopped() && self.exposed[device] && !(always_open && idle) {
            self.model.findings.note(Check::Release, || {
                format!("given back of device {device}, and the SMMU confirms nothing")
            });
        }
    }

    /// A hold ends: all that was granted of the device's owner has to be out of reach.
    pub(crate) fn check_lift(&mut self, device: usize) {
        self.check_confirmed(device);
        let mut left = self.oracle.clone();
        left.clear(device);
        let unasked = self.oracle.unasked(device);
        let grants = self.oracle.grants(device).to_vec();
        for grant in grants.into_iter().chain(unasked) {
            // What waits for a flush for another device is held for that one.
            self.check_released(&left, (grant.output, grant.bytes), true);
        }
    }

    /// A pin ends: with the request that unmaps it, or with everything of its device.
    pub(crate) fn check_unpin(&mut self, slot: u32) {
        let Some(pin) = self.kernel.pinned(slot) else {
            return;
        };
        let device = pin.number();
        let intent = self.intent.as_ref();
        // A refused map took it, and the same memory is pinned for what waits for a flush as well.
        let others = self.kernel.pins.iter().enumerate().any(|(other, pinned)| {
            other != slot as usize
                && pinned.is_some_and(|other| {
                    other.pa < pin.pa + pin.len && pin.pa < other.pa + other.len
                })
        });
        let waits = (0..self.layout.machine.devices.len())
            .any(|device| self.oracle.waits_for_flush(device, pin.pa, pin.len));
        let maps = intent.is_some_and(|intent| !intent.maps.is_empty() && intent.unmaps.is_empty());
        if maps && others && waits {
            return;
        }
        // Neither of a request to map that is refused, nor of a pool of which nothing is mapped any more: the unmap of its
        // last page was confirmed, or refused, or nothing was.
        let idle = pin.is_of_pool() && !self.uses_pool(device) && !waits;
        if !idle && intent.is_none_or(|intent| intent.maps.is_empty() && !intent.unmaps.is_empty())
        {
            self.check_confirmed(device);
        }
        let mut left = self.oracle.clone();
        match &self.intent {
            // A flush before the claim ends: the rest of it is still mapped.
            None if left.waits_for_flush(device, pin.pa, pin.len) => {}
            None => left.clear(device),
            Some(intent) => {
                let runs = intent.unmaps.iter();
                runs.for_each(|&(input, bytes)| left.revoke(device, input, bytes));
            }
        }
        // What waits there is held by the other pin.
        self.check_released(&left, (pin.pa, pin.len), others && waits);
    }

    /// A task runs again: nothing of its earlier life is within reach of a device.
    pub(crate) fn check_restart(&mut self, task: usize) {
        for &(_, _, pa, len) in layout::POOLS.iter().filter(|pool| pool.0 == task) {
            let left = self.oracle.clone();
            self.check_released(&left, (pa, len), false);
        }
    }
}
