//! Taking over what an earlier life of this server left: streams, mappings, holds, pins.

use pci_api::QuiesceState;

use crate::boot_refusal::Refusal;
use crate::estate::{Estate, Hold};
use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, TaskIndex};
use crate::life::{Purpose, State};
use crate::server::Server;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Takes over what an earlier life left on the SMMUs that it left on.
    ///
    /// A held device whose streams translate stays as it is, claimed by the living task under a new handle
    /// that it gets by claiming again; one with direct regions that nobody is held for stays open. One that
    /// was being claimed, released or is cut off is closed: its task may claim it if nothing is mapped, else it
    /// has to release it. Those of dead tasks are contained, all others closed. What is held for a device of an SMMU
    /// that could not be taken over stays held.
    ///
    /// All devices pass one step before any passes the next, since the steps look at other devices. What is given up
    /// comes first, so that nothing later relies on a lost SMMU. Tables are read before uses are judged, by what is mapped. All
    /// uses are known before a stream is closed, which another device may share. Claims are inherited, and pins
    /// found, before a device is contained: what its sharers have decides what has to be made quiet with it.
    pub(crate) fn adopt(&mut self) {
        let mut estate = self.read_estate();
        self.give_up_on_lost(&estate);
        // Before the tables are read: entries that lead to them are such as this server writes.
        self.adopt_pools(&estate);
        for domain in self.spaces.all() {
            self.survey(domain, &mut estate);
        }
        for index in self.devices.all() {
            self.find_in_use(index, &estate);
        }
        for index in self.devices.all() {
            // Only now is it known which shared streams have to stay.
            self.close_unclaimed(index);
        }
        for index in self.devices.all() {
            if let Some(hold) = estate.hold(index) {
                self.inherit(index, hold);
            }
        }
        self.adopt_pins(&estate);
        for index in self.devices.all() {
            match estate.hold(index) {
                Some(hold) if hold.dead => self.contain(index, Purpose::Death(hold.owner)),
                Some(hold) => self.keep_or_drop_claim(index, TaskIndex::of(hold.owner)),
                None => {}
            }
        }
        self.keep_unexplained_closed();
        self.lenders_died(|place| estate.is_lender_dead(place));
    }

    /// Takes over the registered pools of devices that somebody is held for; others stay held.
    fn adopt_pools(&mut self, estate: &Estate) {
        for (place, found) in estate.pools.iter().enumerate() {
            if let Some(found) = found
                && estate.hold(found.device).is_some()
                && self.is_adopted(found.device)
            {
                self.adopt_pool(place, *found);
            }
        }
    }

    /// A claim is only granted on an SMMU that runs. Where somebody is held for a device and its SMMU could not be
    /// taken over, nobody knows what the device still reaches: it stays cut off from the bus, and held is whatever
    /// is. That SMMU is not used any more.
    fn give_up_on_lost(&mut self, estate: &Estate) {
        for index in self.devices.all() {
            let (Some(hold), false) = (estate.hold(index), self.is_adopted(index)) else {
                continue;
            };
            self.devices
                .life_mut(index)
                .hold_forever(TaskIndex::of(hold.owner));
            self.list_held_forever(index);
            let smmu = self.smmu_of(index);
            if let Some(smmu) = smmu
                && !self.smmus[smmu].refused
            {
                self.refuse(smmu, Refusal::NotAsLeft);
            }
            for other in self.devices.all() {
                if other == index || smmu.is_some() && self.smmu_of(other) == smmu {
                    self.stop_for_good(other);
                }
            }
        }
    }

    /// An earlier life may have opened a device, and its SMMU cannot be told to close it.
    fn stop_for_good(&mut self, index: DeviceIndex) {
        if self.devices.life_mut(index).assume_used() {
            let _ = self.system.bus_master(index, false);
        }
    }

    /// Whether a device is in use by its claimant, or is always open.
    ///
    /// A held device whose streams translate may be in the midst of its claim or release, or share its streams with
    /// the one that is in use. Bus mastering tells. If that is off, as it is after a restart of the PCI task, what is mapped
    /// for it does, unless the streams may translate for another: a claim in the making has nothing mapped, and a
    /// release that had not come as far as being made quiet is asked for again. If the PCI task does not answer,
    /// nobody who may be innocent is cut off for that; see [`Self::judge_presumed`].
    fn find_in_use(&mut self, index: DeviceIndex, estate: &Estate) {
        if !self.is_adopted(index) {
            return;
        }
        let translates = self.translates(index) && !self.is_distrusted(index);
        let claimed = estate.hold(index).is_some();
        let mut sharers = self.devices.sharers(index);
        let others_claim = sharers.clone().any(|other| estate.hold(other).is_some());
        let others_always_open = sharers.any(|other| self.devices[other].entry().always_open == 1);
        let device = &self.devices[index];
        let (entry, mapped) = (device.entry(), self.devices.slot(index).mapped() > 0);
        let released = device.was_retracted();
        let shared = others_claim || others_always_open;
        let reaches = self.plan.reaches_pools(entry) && !shared;
        let (on, known) = match self.system.pci_describe(index) {
            Ok(found) => (found.bus_master, true),
            Err(_) => (!shared, false),
        };
        let quiet = known && !on && translates && self.is_made_quiet(index);
        let goes_on = mapped && !(known && shared) || reaches;
        let open = translates && claimed && !quiet && !released && (on || goes_on);
        let alone = !claimed && !others_claim;
        let may_be_on = on || !known;
        let always_open = entry.always_open == 1 && translates && (may_be_on || open || alone);
        let presumed = !known && shared;
        self.devices
            .life_mut(index)
            .found(open, always_open, presumed);
    }

    /// The PCI task answers for the first time since this server's start: what was taken for open without
    /// its word is, if it is bus master. If it is not, an earlier life had cut it off, or it lost its state; either way
    /// it is closed, and its claimant told, as if the answer had been there at the start, and what shares its streams goes
    /// on. Claims first: what is always open is cut off with them.
    pub(crate) fn judge_presumed(&mut self) {
        for claims in [true, false] {
            for index in self.devices.all() {
                let device = &self.devices[index];
                if !device.life().is_presumed()
                    || matches!(device.life().state(), State::Claimed(_)) != claims
                {
                    continue;
                }
                match self.still_master(index) {
                    Some(true) => self.devices.life_mut(index).confirm(),
                    Some(false) => self.withdraw(index),
                    None => {}
                }
            }
        }
    }

    /// Closes a device that was wrongly presumed to be in use.
    fn withdraw(&mut self, index: DeviceIndex) {
        let _ = self.end_always_open(index);
        self.mark_revoked(index);
        self.keep_closed_if_unexplained(index);
    }

    /// Whether the PCI task makes, or has made, a device quiet: its next life would know nothing of it.
    fn is_made_quiet(&mut self, index: DeviceIndex) -> bool {
        let result = self.system.quiesce_result(index);
        result.is_ok_and(|state| state != QuiesceState::Never)
    }

    fn close_unclaimed(&mut self, index: DeviceIndex) {
        let device = &self.devices[index];
        let stray = !device.life().is_open() && !device.life().is_always_open();
        if !stray || !self.is_adopted(index) {
            return;
        }
        let _ = self.system.bus_master(index, false);
        if self.close(index, false).is_err() {
            self.note_broken(index);
        }
    }

    /// A held task has the claim again, under a new handle.
    fn inherit(&mut self, index: DeviceIndex, hold: Hold) {
        if !self.is_adopted(index) {
            return;
        }
        self.devices.inherit(index, hold.owner);
    }

    /// Free devices with direct regions that an earlier life had closed stay so until they are claimed, unless
    /// something that shares streams or a reset with one is not over: then until that is.
    fn keep_unexplained_closed(&mut self) {
        for index in self.devices.all() {
            self.keep_closed_if_unexplained(index);
        }
    }

    fn keep_closed_if_unexplained(&mut self, index: DeviceIndex) {
        let device = &self.devices[index];
        let free = !device.life().is_always_open() && device.life().state() == State::Free;
        if device.entry().always_open == 1 && free && self.is_adopted(index) {
            let keep = !self.stays_cut_off(index);
            self.devices.life_mut(index).keep_closed(keep);
        }
    }

    /// A claim of a living task by which nothing can be reached ends, as if it had never been granted. The claimant of
    /// one that was cut off is told, as it may wait for its device.
    fn keep_or_drop_claim(&mut self, index: DeviceIndex, owner: TaskIndex) {
        let broken = self
            .behind(index)
            .is_none_or(|behind| behind.running.queue.is_broken());
        let device = &self.devices[index];
        if device.life().is_open() || !matches!(device.life().state(), State::Claimed(_)) {
            return;
        }
        // What reaches pools without a request has to be made quiet first, by its release. And nothing that could not
        // be confirmed to be closed is let go.
        let reaches = self.plan.reaches_pools(device.entry());
        if self.devices.slot(index).has_mappings() || reaches || broken {
            let always_open = device.life().is_always_open();
            self.system.post_fault(owner);
            if always_open {
                // It was cut off while claimed, and is not opened before that is over.
                let _ = self.end_always_open(index);
            }
            return;
        }
        self.devices.life_mut(index).free();
        self.give_back_pools(index);
        let _ = self.system.lift(owner, index);
    }
}
