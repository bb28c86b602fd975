//! A kernel and a PCI task, as far as the server asks anything of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use abi::privileged::{Held, HeldKind};
use abi::{Code, LeaseAttributes, TaskId};
use pci_api::client::Failure;
use pci_api::{BootStatus, Description, DeviceState, QuiesceState};
use userlib::ipc::Payload;

use super::super::journal::{Did, Journal};
use super::image::*;
use crate::hardware::{Pinned, Pinning, System};
use crate::indices::{DeviceIndex, TaskIndex};
use crate::log::Line;

/// A kernel and a PCI task.
#[derive(Default)]
pub struct Around {
    pub holds: Vec<(TaskId, u32, bool)>,
    pub pins: Vec<(u32, TaskId, u32)>,
    /// Address and bytes of what was ever pinned, by slot.
    pub pinned: BTreeMap<u32, (u64, u64)>,
    /// The accesses that the leases of pins granted.
    pub access: BTreeMap<u32, LeaseAttributes>,
    pub next_slot: u32,
    /// Tasks that are down; their pins say so.
    pub dead: Vec<usize>,
    pub lease: Option<Pinned>,
    pub bus_master: Vec<(u32, bool)>,
    pub started: Vec<u32>,
    pub result: Option<QuiesceState>,
    /// Of single devices, before `result`.
    pub results: BTreeMap<u32, QuiesceState>,
    pub start_error: Option<Failure>,
    /// What asking for what was found of a device fails of.
    pub describe_error: Option<Failure>,
    /// What turning bus mastering on fails of.
    pub bus_master_error: Option<Failure>,
    /// What the next hold is answered.
    pub hold_code: Option<Code>,
    /// What the next pin is refused with.
    pub pin_code: Option<Code>,
    pub journal: Journal,
    pub replies: Vec<(TaskId, u32, Payload, usize)>,
    pub posts: Vec<usize>,
    pub storms: Vec<u32>,
    pub timer: Option<u64>,
    pub lines: Vec<String>,
    pub blocked: Option<u32>,
    /// [`SPARE`] is there, and [`EDU`] is not.
    pub swapped: bool,
    pub refused: bool,
    /// Why the PCI task does not answer.
    pub no_pci: Option<Failure>,
    /// After so many answers it does not answer any more, until it is told to.
    pub pci_answers: Option<u32>,
    /// System calls and calls of the PCI task so far.
    pub calls: u64,
}

impl Around {
    /// The PCI task takes a message, or does not.
    fn pci(&mut self) -> Result<(), Failure> {
        self.calls += 1;
        match self.pci_answers {
            Some(0) => self.no_pci = Some(Failure::Dead),
            Some(left) => self.pci_answers = Some(left - 1),
            None => {}
        }
        match self.no_pci {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
    /// The PCI task starts again, as it does: what was on and still is as planned is left on, and of quiesces
    /// nothing is known.
    pub fn restart_pci(&mut self) {
        (self.no_pci, self.pci_answers) = (None, None);
        self.result = Some(QuiesceState::Never);
    }
    /// A device was not as planned any more when the PCI task started, and has been set anew.
    pub fn lose(&mut self, device: u32) {
        self.bus_master.push((device, false));
    }
    pub fn is_bus_master(&self, device: u32) -> bool {
        let last = self.bus_master.iter().rfind(|(other, _)| *other == device);
        last.is_some_and(|(_, on)| *on)
    }
}

#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<Around>>);

impl Shared {
    fn step(&self) {
        let journal = self.0.borrow().journal.clone();
        journal.step();
    }
}

impl System for Shared {
    fn hold(&mut self, task: TaskId, device: DeviceIndex) -> Code {
        let device = device.number();
        self.step();
        let mut around = self.0.borrow_mut();
        if let Some(code) = around.hold_code.take() {
            return code;
        }
        around.journal.note(Did::Hold(device));
        if !around.holds.iter().any(|h| (h.0, h.1) == (task, device)) {
            around.holds.push((task, device, false));
        }
        Code::OK
    }
    fn lift(&mut self, task: TaskIndex, device: DeviceIndex) -> Code {
        let (index, device) = (task.number() as usize, device.number());
        self.step();
        let mut around = self.0.borrow_mut();
        let before = around.holds.len();
        around
            .holds
            .retain(|h| h.0.index() != index || h.1 != device);
        if around.holds.len() < before {
            around.journal.note(Did::Lift(device));
            Code::OK
        } else {
            Code::REFUSED
        }
    }
    fn pin(
        &mut self,
        _: TaskId,
        lender: TaskId,
        lease: u32,
        pinning: Pinning,
        offset: u64,
        len: u64,
    ) -> Result<Pinned, Code> {
        self.step();
        let mut around = self.0.borrow_mut();
        if let Some(code) = around.pin_code.take() {
            return Err(code);
        }
        let mut pinned = around.lease.filter(|_| lease == 0).ok_or(Code::NO_LEASE)?;
        around.next_slot += 1;
        pinned.slot = around.next_slot;
        pinned.pa += offset;
        around.journal.note(Did::Pin(pinned.slot));
        around.pins.push((pinned.slot, lender, pinning.word()));
        around.pinned.insert(pinned.slot, (pinned.pa, len));
        let mut access = LeaseAttributes::empty();
        access.set(LeaseAttributes::READ, pinned.readable);
        access.set(LeaseAttributes::WRITE, pinned.writable);
        around.access.insert(pinned.slot, access);
        Ok(pinned)
    }
    fn unpin(&mut self, slot: u32) -> Code {
        self.step();
        let mut around = self.0.borrow_mut();
        let before = around.pins.len();
        around.pins.retain(|pin| pin.0 != slot);
        around.journal.note(Did::Unpin(slot));
        assert_eq!(around.pins.len() + 1, before, "unpinned twice");
        Code::OK
    }
    fn enumerate(&mut self, cursor: u64) -> Held {
        let mut around = self.0.borrow_mut();
        around.calls += 1;
        let index = cursor as usize;
        if let Some(&(task, device, dead)) = around.holds.get(index) {
            // The id advances at death.
            let task = TaskId::new(task.index() as u8, task.generation() + u64::from(dead));
            return Held {
                next: cursor + 1,
                kind: HeldKind::Hold,
                task,
                device,
                dead,
                ..Held::END
            };
        }
        // Cursors of pins are slots, beyond those of all holds.
        let from = (cursor as u32).saturating_sub(100);
        let pins = around.pins.iter().filter(|pin| pin.0 >= from);
        pins.min().map_or(Held::END, |&(slot, task, device)| {
            let (pa, len) = around.pinned[&slot];
            let dead = around.dead.contains(&task.index());
            let task = TaskId::new(task.index() as u8, task.generation() + u64::from(dead));
            Held {
                next: u64::from(slot) + 101,
                kind: HeldKind::Pin,
                task,
                device,
                slot,
                dead,
                access: around.access[&slot],
                pa,
                len,
            }
        })
    }
    fn pci_status(&mut self) -> Result<BootStatus, Failure> {
        let mut around = self.0.borrow_mut();
        around.pci()?;
        Ok(BootStatus {
            ready: 5,
            mismatches: 0,
            undeclared: 0,
            refused: around.refused,
        })
    }
    fn pci_describe(&mut self, device: DeviceIndex) -> Result<Description, Failure> {
        let device = device.number();
        self.0.borrow_mut().pci()?;
        if let Some(error) = self.0.borrow().describe_error {
            return Err(error);
        }
        let absent = if self.0.borrow().swapped { EDU } else { SPARE };
        let state = if self.0.borrow().blocked == Some(device) {
            DeviceState::Blocked
        } else if device == absent {
            DeviceState::Absent
        } else {
            DeviceState::Ready
        };
        Ok(Description {
            state,
            reason: None,
            bus_master: self.0.borrow().is_bus_master(device),
            requester_id: 0,
            vendor_id: 0,
            device_id: 0,
            group: 0,
            buses: [0; 2],
        })
    }
    fn bus_master(&mut self, device: DeviceIndex, on: bool) -> Result<(), Failure> {
        let device = device.number();
        self.step();
        let mut around = self.0.borrow_mut();
        around.pci()?;
        if let (Some(error), true) = (around.bus_master_error, on) {
            return Err(error);
        }
        around.journal.note(Did::BusMaster(device, on));
        around.bus_master.push((device, on));
        Ok(())
    }
    fn quiesce_start(&mut self, device: DeviceIndex) -> Result<(), Failure> {
        let device = device.number();
        self.step();
        let mut around = self.0.borrow_mut();
        around.pci()?;
        if let Some(error) = around.start_error.take() {
            return Err(error);
        }
        around.journal.note(Did::Quiesce(device));
        if around.is_bus_master(device) {
            around.bus_master.push((device, false));
        }
        around.started.push(device);
        Ok(())
    }
    fn quiesce_result(&mut self, device: DeviceIndex) -> Result<QuiesceState, Failure> {
        let device = device.number();
        let mut around = self.0.borrow_mut();
        around.pci()?;
        let of_all = around.result.unwrap_or(QuiesceState::Quiet);
        let state = around.results.get(&device).copied().unwrap_or(of_all);
        if state == QuiesceState::Quiet {
            around.journal.note(Did::HeardQuiet(device));
        }
        Ok(state)
    }
    fn reply(&mut self, to: TaskId, code: u32, payload: &[u64; 8], len: usize) {
        let mut around = self.0.borrow_mut();
        around.journal.note(Did::Reply(to.index(), code));
        around.replies.push((to, code, *payload, len));
    }
    fn post_fault(&mut self, task: TaskIndex) {
        self.0.borrow_mut().posts.push(task.number() as usize);
    }
    fn set_timer(&mut self, deadline: u64) {
        self.0.borrow_mut().timer = Some(deadline);
    }
    fn post_storm(&mut self, device: DeviceIndex) {
        self.0.borrow_mut().storms.push(device.number());
    }
    fn log(&mut self, line: Line<'_>) {
        self.0
            .borrow_mut()
            .lines
            .push(std::format!("{line:?}").to_string());
    }
}
