//! The model as the core's hardware, kernel and PCI task as its system.

use abi::privileged::Held;
use abi::{Code, TaskId};
use iommu::boot_refusal::Refusal;
use iommu::hardware::{Hardware, Pinned, Pinning, System};
use iommu::indices::{DeviceIndex, TaskIndex};
use iommu::log::Line;
use iommu_api::PAGE;
use pci_api::client::Failure;
use pci_api::{BootStatus, Description, DeviceState, Error, QuiesceState};

use super::{Reply, Shared};
use crate::sabotage::Kind;
use smmu_model::Check;

impl Hardware for Shared {
    fn read32(&mut self, register: usize) -> u32 {
        let mut world = self.enter();
        let value = world.model.read32(register);
        world.read_register(register, value)
    }
    fn write32(&mut self, register: usize, value: u32) {
        self.enter().write_register(register, value);
    }
    fn read64(&mut self, register: usize) -> u64 {
        self.enter().model.read64(register)
    }
    fn write64(&mut self, register: usize, value: u64) {
        self.enter().write_register64(register, value);
    }
    fn load(&mut self, offset: u64) -> u64 {
        self.0.borrow_mut().load_word(offset)
    }
    fn store(&mut self, offset: u64, value: u64) {
        self.enter().store_word(offset, value);
    }
    fn publish(&mut self) {
        self.enter().barrier();
    }
    fn acquire(&mut self) {
        self.enter().acquire_barrier();
    }
    fn now(&mut self) -> u64 {
        self.enter().model.now()
    }
    fn ticks(&self, nanoseconds: u64) -> u64 {
        nanoseconds / 1000
    }
}

const NO_DEVICE: Failure = Failure::Refused(Error::NoSuchDevice);

impl System for Shared {
    fn hold(&mut self, task: TaskId, device: DeviceIndex) -> Code {
        let device = device.number();
        let mut world = self.enter();
        let code = world.kernel.hold(task, device);
        if code == Code::OK {
            world.oracle.hold(device as usize);
        }
        code
    }
    fn lift(&mut self, task: TaskIndex, device: DeviceIndex) -> Code {
        let (index, device) = (task.number() as usize, device.number());
        let mut world = self.enter();
        if world.sabotage.keeps_hold() {
            return Code::OK;
        }
        world.check_lift(device as usize);
        world.oracle.clear(device as usize);
        world.exposed[device as usize] = false;
        world.lifted(index);
        world.kernel.lift(index, device)
    }
    fn pin(
        &mut self,
        driver: TaskId,
        lender: TaskId,
        lease: u32,
        pinning: Pinning,
        offset: u64,
        len: u64,
    ) -> Result<Pinned, Code> {
        let mut world = self.enter();
        let short = matches!(world.sabotage.kind(), Some(Kind::ShortPool));
        let short = short && Pinning::pool(pinning.word()).is_some() && len > PAGE;
        world.sabotage.struck += u64::from(short);
        let len = len - if short { PAGE } else { 0 };
        world
            .kernel
            .pin(driver, lender, lease, pinning.word(), offset, len)
    }
    fn unpin(&mut self, slot: u32) -> Code {
        let mut world = self.enter();
        world.check_unpin(slot);
        world.kernel.unpin(slot)
    }
    fn enumerate(&mut self, cursor: u64) -> Held {
        let mut world = self.enter();
        let held = world.kernel.enumerate(cursor);
        world.enumerated(held)
    }
    fn pci_status(&mut self) -> Result<BootStatus, Failure> {
        self.enter().call(|world| Ok(world.fabric.status()))
    }
    fn pci_describe(&mut self, device: DeviceIndex) -> Result<Description, Failure> {
        let device = device.number();
        let mut world = self.enter();
        let number = device as usize;
        let planned = world.layout.machine.device(number).ok_or(NO_DEVICE)?;
        let describe = |state, bus_master| Description {
            state,
            reason: None,
            bus_master,
            requester_id: planned.streams.first().copied().unwrap_or(0) as u16,
            vendor_id: 0x1af4,
            device_id: 0x1042,
            group: planned.reset_unit,
            buses: [0; 2],
        };
        let found = world.call(|world| {
            let state = world.found(number).ok_or(NO_DEVICE)?;
            Ok(describe(state, world.found_on(number)))
        });
        match found {
            Err(error) if world.takes_for_off(error) => Ok(describe(DeviceState::Ready, false)),
            found => found,
        }
    }
    fn bus_master(&mut self, device: DeviceIndex, on: bool) -> Result<(), Failure> {
        let device = device.number();
        self.enter().call(|world| world.set_bus_master(device, on))
    }
    fn quiesce_start(&mut self, device: DeviceIndex) -> Result<(), Failure> {
        let device = device.number();
        let mut world = self.enter();
        match world.call(|world| world.start_quiesce(device)) {
            Err(error) if world.takes_for_quiet(device, error) => Ok(()),
            started => started.map_err(|error| world.misread(error)),
        }
    }
    fn quiesce_result(&mut self, device: DeviceIndex) -> Result<QuiesceState, Failure> {
        let device = device.number();
        let mut world = self.enter();
        let result = world.call(|world| {
            world.pass();
            world.quiesce_result(device)
        });
        match result {
            Err(error) if world.takes_for_quiet(device, error) => Ok(QuiesceState::Quiet),
            result => result.map_err(|error| world.misread(error)),
        }
    }
    fn reply(&mut self, to: TaskId, code: u32, payload: &[u64; 8], _len: usize) {
        self.enter().replies.push(Reply {
            to,
            code,
            payload: *payload,
        });
    }
    fn post_fault(&mut self, task: TaskIndex) {
        self.enter().posts.push(task.number() as usize);
    }
    fn set_timer(&mut self, deadline: u64) {
        let mut world = self.enter();
        if matches!(world.sabotage.kind(), Some(Kind::NoTimer)) {
            world.sabotage.struck += 1;
            return;
        }
        world.timer = Some(deadline);
    }
    fn log(&mut self, line: Line<'_>) {
        let mut world = self.enter();
        world.lines += 1;
        let machine = world.layout.machine;
        let number = |name| {
            let mut devices = machine.devices.iter();
            devices.position(|planned| planned.name == name)
        };
        if let Line::Stuck { name, .. } = line {
            let device = number(name);
            device
                .into_iter()
                .for_each(|device| world.check_not_quiet(device));
            world.stuck();
        }
        if let Line::Overdue { name } = line
            && let Some(device) = number(name)
        {
            world.take_away(device);
        }
        if let Line::SmmuRefused { why, .. } = line
            && why != Refusal::NoPci
            && !world.model.has_stopped()
        {
            world
                .model
                .findings
                .note(Check::Refusal, || format!("{why:?}"));
        }
    }
}
