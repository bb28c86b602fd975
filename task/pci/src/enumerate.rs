//! At boot: silence, then from the root down find, compare, set.

use pci_api::Mismatch;
use plan::pci::{FunctionEntry, FunctionFlags};

use userlib::delay::DelayNs;

use crate::address::Address;
use crate::config::{Clock, ConfigSpace, Function, Presence, Record};
use crate::fabric::{Fabric, has, on_pci};
use crate::progress::{Progress, RESET_DEADLINE};
use crate::registers::{
    COMMAND, COMMAND_MASTER, HEADER_LAYOUT, HEADER_TYPE, LAYOUT_BRIDGE, VENDOR_ABSENT, VENDOR_RETRY,
};
use crate::report::{Difference, Found, Observer};
use crate::{bridge, compare, messages, power, program, silence};

/// Longest time that a planned function is waited for at the first start. A device may take a second after
/// power-on, and asks to be tried again or says nothing until then (PCI Express Base 4.0, 6.6.1).
const POWER_ON: u64 = RESET_DEADLINE;
/// Milliseconds between two looks at a function that does not answer yet.
const LOOK_MS: u32 = 1;

impl Fabric<'_> {
    /// Starts a life of this task: enumerates, and keeps the record for the next one.
    pub fn start<H: ConfigSpace + Record + Clock, O: Observer>(
        &mut self,
        hardware: &H,
        observer: &mut O,
    ) {
        self.recall(hardware);
        self.enumerate(hardware, observer);
        self.complete(hardware);
    }

    /// Brings the machine into the planned state. Afterwards every function that is as planned decodes its
    /// BARs, nothing else decodes anything, and no bus mastering is on but that of functions which were taken over
    /// from an earlier life, and of the bridges above them.
    pub fn enumerate<C: ConfigSpace + Clock, O: Observer>(&mut self, space: &C, observer: &mut O) {
        for index in 0..self.plan.len() {
            self.take_over(space, index);
        }
        silence::silence(space, self.host, |bus| self.spared(bus));
        let deadline = space.now().saturating_add(POWER_ON);
        for bus in self.buses() {
            if self.is_root(bus) {
                self.survey(space, observer, bus);
            }
        }
        for index in 0..self.plan.len() {
            self.meet(space, observer, index, deadline);
        }
        self.survey_strays(space, observer);
        self.spread();
        if self.is_refused() {
            self.stop_all();
        }
        // Each round but the last blocks at least one more function, and what forwarded for it may be off then.
        while !self.write_commands(space, observer) {
            self.spread();
        }
        self.quiet_blocked(space);
    }

    /// Sets the command register of everything that is ready; false if one does not keep it.
    fn write_commands<C: ConfigSpace, O: Observer>(&mut self, space: &C, observer: &mut O) -> bool {
        let mut kept = true;
        for index in 0..self.plan.len() {
            let settled = self.is_ready(index) && !self.is_returning(index);
            if settled && !self.write_command(space, index) {
                self.differs(observer, index, &compare::Finding::plain(Mismatch::Command));
                kept = false;
            }
        }
        kept
    }

    fn is_returning(&self, index: usize) -> bool {
        let state = self.states.get(index);
        state.is_some_and(|state| state.progress.is_running())
    }

    /// Turns everything off: by the plan's policy one difference refuses the whole boot.
    fn stop_all(&mut self) {
        for state in self.states.iter_mut() {
            state.master = false;
        }
    }

    /// Turns off everything on a bus that has just become visible but what is spared, and finds what is not declared.
    fn survey<C: ConfigSpace + Clock, O: Observer>(
        &mut self,
        space: &C,
        observer: &mut O,
        bus: u8,
    ) {
        let spared = self.spared(bus);
        let mut woken = false;
        for devfn in (0..=255).filter(|devfn| !spared.contains(*devfn)) {
            let address = Address::on_bus(bus, devfn);
            let function = Function::new(space, address);
            let planned = self.planned_at(address);
            let identity = match (function.presence(), planned) {
                (Presence::There(vendor, device), _) => (vendor, device),
                (Presence::Later, None) => (VENDOR_RETRY, VENDOR_ABSENT),
                (Presence::Later, Some(_)) | (Presence::Nobody, _) => continue,
            };
            let off = self.turn_off(&function, planned);
            match planned {
                Some(index) if !off => {
                    self.differs(observer, index, &compare::Finding::plain(Mismatch::Command));
                }
                Some(_) => woken |= power::turn_on(&function),
                None => self.undeclared(observer, address, identity),
            }
        }
        if woken {
            space.delay().delay_ms(power::RECOVERY_MS);
        }
    }

    /// Finds what answers on buses that no bridge of the plan leads to: a root bus that nobody declared, or
    /// that has another number than planned.
    fn survey_strays<C: ConfigSpace + Clock, O: Observer>(&mut self, space: &C, observer: &mut O) {
        for bus in self.buses() {
            if !self.is_root(bus) && !self.leads_to(bus) && silence::answers(space, bus) {
                self.survey(space, observer, bus);
            }
        }
    }

    /// Whether an open bridge forwards to a bus.
    fn leads_to(&self, bus: u8) -> bool {
        let mut bridges = self.plan.iter().zip(&self.states);
        bridges.any(|(entry, state)| {
            let [_, secondary, subordinate, _] = entry.buses;
            state.visible && (secondary..=subordinate).contains(&bus)
        })
    }

    fn undeclared<O: Observer>(
        &mut self,
        observer: &mut O,
        address: Address,
        identity: (u16, u16),
    ) {
        self.undeclared += 1;
        self.mismatches += 1;
        self.block_around(address);
        observer.differs(&Difference {
            address,
            entry: None,
            mismatch: Mismatch::Undeclared,
            bar: None,
            planned: 0,
            found: compare::identity_number(identity),
        });
    }

    /// Command register 0 (the host bridge's own function keeps what it decodes), and a bridge forwards
    /// nothing: what is behind an undeclared one is never made visible. False if bus mastering stays on.
    fn turn_off<C: ConfigSpace>(&self, function: &Function<'_, C>, planned: Option<usize>) -> bool {
        let is_host = planned
            .and_then(|index| self.plan.get(index))
            .is_some_and(|entry| has(entry, FunctionFlags::HOST_BRIDGE));
        let keep = if is_host {
            function.read16(COMMAND) & !COMMAND_MASTER
        } else {
            0
        };
        function.write16(COMMAND, keep);
        if function.read8(HEADER_TYPE) & HEADER_LAYOUT == LAYOUT_BRIDGE {
            bridge::close(function);
        }
        function.read16(COMMAND) & COMMAND_MASTER == 0
    }

    pub(crate) fn differs<O: Observer>(
        &mut self,
        observer: &mut O,
        index: usize,
        finding: &compare::Finding,
    ) {
        let Some(entry) = self.plan.get(index) else {
            return;
        };
        self.mismatches += 1;
        self.block(index, finding.mismatch);
        observer.differs(&Difference {
            address: Self::address(entry),
            entry: Some(entry),
            mismatch: finding.mismatch,
            bar: finding.bar,
            planned: finding.planned,
            found: finding.found,
        });
    }

    /// Looks for one planned function, unless what is above it rules that out.
    fn meet<C: ConfigSpace + Clock, O: Observer>(
        &mut self,
        space: &C,
        observer: &mut O,
        index: usize,
        deadline: u64,
    ) {
        let Some(entry) = self.plan.get(index).filter(|entry| on_pci(entry)) else {
            return;
        };
        if let Some(parent) = self.parent(index).and_then(|at| self.states.get(at)) {
            if parent.absent {
                self.mark_absent(index);
                return;
            }
            if !parent.visible {
                self.block(index, Mismatch::Group);
                return;
            }
        }
        if self.states.get(index).is_some_and(|state| state.kept) {
            self.survey_below(space, observer, entry);
            return;
        }
        if self.is_awaited(space, index) {
            self.await_return(index, space.now());
            return;
        }
        match self.await_identity(space, entry, deadline) {
            Some(identity) if self.is_alternative(index, identity) => self.mark_absent(index),
            Some(identity) => self.check(space, observer, index, entry, identity),
            None if has(entry, FunctionFlags::OPTIONAL) => self.mark_absent(index),
            None => self.differs(observer, index, &compare::missing(entry)),
        }
    }

    /// Surveys what is below a bridge. Also behind a bridge that is blocked everything has to be
    /// turned off.
    fn survey_below<C: ConfigSpace + Clock, O: Observer>(
        &mut self,
        space: &C,
        observer: &mut O,
        entry: &FunctionEntry,
    ) {
        if has(entry, FunctionFlags::BRIDGE) {
            let [_, secondary, ..] = entry.buses;
            self.survey(space, observer, secondary);
        }
    }

    /// Ids of what answers in the place of a planned function; at the first start not before it had time to.
    fn await_identity<C: ConfigSpace + Clock>(
        &self,
        space: &C,
        entry: &FunctionEntry,
        deadline: u64,
    ) -> Option<(u16, u16)> {
        let function = Function::new(space, Self::address(entry));
        loop {
            // Judged by a look that begins after the deadline, however long this task did not run.
            let last = self.resumed || space.now() >= deadline;
            match function.presence() {
                Presence::There(vendor, device) => return Some((vendor, device)),
                Presence::Nobody if has(entry, FunctionFlags::OPTIONAL) => return None,
                Presence::Nobody | Presence::Later if last => return None,
                Presence::Nobody | Presence::Later => space.delay().delay_ms(LOOK_MS),
            }
        }
    }

    /// A function that an earlier life was resetting, or which vanished: others go on while it is waited for.
    fn await_return(&mut self, index: usize, now: u64) {
        let is_bridge = self
            .plan
            .get(index)
            .is_some_and(|entry| has(entry, FunctionFlags::BRIDGE));
        if let Some(state) = self.states.get_mut(index) {
            // What is behind it is waited for as well.
            state.visible = is_bridge;
            state.progress = Progress::returning(now, state.before.resetting);
        }
    }

    /// Compares a function that answers with the plan and sets it; a bridge's bus becomes visible by that.
    /// A function of another identity or layout is not touched further: its registers mean something else.
    fn check<C: ConfigSpace + Clock, O: Observer>(
        &mut self,
        space: &C,
        observer: &mut O,
        index: usize,
        entry: &FunctionEntry,
        identity: (u16, u16),
    ) {
        let function = Function::new(space, Self::address(entry));
        if let Some(state) = self.states.get_mut(index) {
            (state.vendor_id, state.device_id) = identity;
        }
        if let Some(finding) = compare::identity(entry, identity) {
            self.differs(observer, index, &finding);
            return;
        }
        let (vendor_id, device_id) = identity;
        observer.found(&Found {
            entry,
            vendor_id,
            device_id,
        });
        let header = function.read8(HEADER_TYPE);
        if let Some(finding) = compare::multifunction(entry, header) {
            self.differs(observer, index, &finding);
        }
        if let Some(finding) = compare::layout(entry, header) {
            self.differs(observer, index, &finding);
            return;
        }
        self.check_capabilities(observer, index, entry, &function);
        compare::bars(entry, &function, |finding| {
            self.differs(observer, index, &finding);
        });
        let programmed = program::function(&function, entry);
        if let Err(mismatch) = programmed {
            self.differs(observer, index, &compare::Finding::plain(mismatch));
        }
        if has(entry, FunctionFlags::BRIDGE) && programmed != Err(Mismatch::BridgeRegisters) {
            if let Some(state) = self.states.get_mut(index) {
                state.visible = true;
            }
            self.survey_below(space, observer, entry);
        }
    }

    /// Checks the ordinary capabilities of a function.
    fn check_capabilities<C: ConfigSpace, O: Observer>(
        &mut self,
        observer: &mut O,
        index: usize,
        entry: &FunctionEntry,
        function: &Function<'_, C>,
    ) {
        let (Ok(express), Ok(is_on)) =
            (crate::capability::express(function), power::is_on(function))
        else {
            let broken = compare::Finding::plain(Mismatch::Capabilities);
            self.differs(observer, index, &broken);
            return;
        };
        if let Some(state) = self.states.get_mut(index) {
            state.express = express.unwrap_or(0);
        }
        let power = (!is_on).then_some(compare::Finding::plain(Mismatch::Power));
        let findings = [
            compare::port_type(entry, function, express),
            compare::recipe(entry, function, express),
            messages::compare(entry, function),
            power,
        ];
        for finding in findings.iter().flatten() {
            self.differs(observer, index, finding);
        }
    }

    fn mark_absent(&mut self, index: usize) {
        if let Some(state) = self.states.get_mut(index) {
            state.absent = true;
        }
    }

    /// Command register 0 for what is blocked: a difference met late may have blocked a function that
    /// was decoding already.
    fn quiet_blocked<C: ConfigSpace>(&self, space: &C) {
        for (entry, state) in self.plan.iter().zip(&self.states) {
            let has_command = on_pci(entry) && !has(entry, FunctionFlags::HOST_BRIDGE);
            // In the place of an absent alternative another one may be at work.
            if state.reason.is_some() && !state.absent && has_command {
                Function::new(space, Self::address(entry)).write16(COMMAND, 0);
            }
        }
    }
}
