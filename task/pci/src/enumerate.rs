//! At boot: silence, then from the root down find, compare, set.

use pci_api::Mismatch;
use plan::pci::{FunctionEntry, FunctionFlags};

use crate::address::Address;
use crate::config::{ConfigSpace, Function};
use crate::fabric::{Fabric, has, on_pci};
use crate::registers::{COMMAND, COMMAND_MASTER, HEADER_LAYOUT, HEADER_TYPE, LAYOUT_BRIDGE};
use crate::report::{Difference, Found, Observer};
use crate::{bridge, compare, program, silence};

impl Fabric<'_> {
    /// Brings the machine into the planned state. Afterwards every function that is as planned decodes its
    /// BARs, nothing else decodes anything, and no bus mastering is on anywhere.
    pub fn enumerate<C: ConfigSpace, O: Observer>(&mut self, space: &C, observer: &mut O) {
        silence::silence(space, self.host);
        for bus in self.buses() {
            if self.is_root(bus) {
                self.survey(space, observer, bus);
            }
        }
        for index in 0..self.plan.len() {
            self.meet(space, observer, index);
        }
        self.survey_strays(space, observer);
        self.spread();
        for index in 0..self.plan.len() {
            if self.is_ready(index) && !self.write_command(space, index) {
                self.differs(observer, index, &compare::Finding::plain(Mismatch::Command));
                self.spread();
            }
        }
        self.quiet_blocked(space);
    }

    /// Turns off everything on a bus that has just become visible, and finds what is not declared.
    fn survey<C: ConfigSpace, O: Observer>(&mut self, space: &C, observer: &mut O, bus: u8) {
        for devfn in 0..=255 {
            let address = Address::on_bus(bus, devfn);
            let function = Function::new(space, address);
            let Some(identity) = function.identity() else {
                continue;
            };
            let planned = self.planned_at(address);
            let off = self.turn_off(&function, planned);
            match planned {
                Some(index) if !off => {
                    self.differs(observer, index, &compare::Finding::plain(Mismatch::Command));
                }
                Some(_) => {}
                None => self.undeclared(observer, address, identity),
            }
        }
    }

    /// Finds what answers on buses that no bridge of the plan leads to: a root bus that nobody declared, or
    /// that has another number than planned.
    fn survey_strays<C: ConfigSpace, O: Observer>(&mut self, space: &C, observer: &mut O) {
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
    fn meet<C: ConfigSpace, O: Observer>(&mut self, space: &C, observer: &mut O, index: usize) {
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
        match Function::new(space, Self::address(entry)).identity() {
            Some(identity) if self.is_alternative(index, identity) => self.mark_absent(index),
            Some(identity) => self.check(space, observer, index, entry, identity),
            None if has(entry, FunctionFlags::OPTIONAL) => self.mark_absent(index),
            None => self.differs(observer, index, &compare::missing(entry)),
        }
    }

    /// Compares a function that answers with the plan and sets it; a bridge's bus becomes visible by that.
    /// A function of another identity or layout is not touched further: its registers mean something else.
    fn check<C: ConfigSpace, O: Observer>(
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
        match crate::capability::express(&function) {
            Ok(found) => {
                if let Some(state) = self.states.get_mut(index) {
                    state.express = found.unwrap_or(0);
                }
                if let Some(finding) = compare::port_type(entry, &function, found) {
                    self.differs(observer, index, &finding);
                }
            }
            Err(_) => {
                self.differs(
                    observer,
                    index,
                    &compare::Finding::plain(Mismatch::Capabilities),
                );
            }
        }
        compare::bars(entry, &function, |finding| {
            self.differs(observer, index, &finding);
        });
        let programmed = program::function(&function, entry);
        if let Err(mismatch) = programmed {
            self.differs(observer, index, &compare::Finding::plain(mismatch));
        }
        // Also behind a bridge that is blocked everything has to be turned off.
        if has(entry, FunctionFlags::BRIDGE) && programmed != Err(Mismatch::BridgeRegisters) {
            if let Some(state) = self.states.get_mut(index) {
                state.visible = true;
            }
            let [_, secondary, ..] = entry.buses;
            self.survey(space, observer, secondary);
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
