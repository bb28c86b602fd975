//! The kernel's authority calls, the PCI task, posts.

use iommu::hardware::{Pinned, Pinning, System};
use iommu::indices::{DeviceIndex, TaskIndex};
use iommu::log::Line;
use pci_api::client::{Client, Failure};
use pci_api::{BootStatus, Description, QuiesceState};
use userlib::abi::privileged::Held;
use userlib::abi::{Code, LeaseAttributes, TaskId};
use userlib::ipc::{Answer, LeaseBuffer, Payload};
use userlib::plan::task::PeerEntry;
use userlib::protocol::Caller;
use userlib::server::Server;
use userlib::{config, ipc, privileged};

use super::lines;

/// The life of the PCI task that this task has learned of, if the plan names one.
struct ToPci(Option<Server>);

impl Caller for ToPci {
    #[inline(always)]
    fn call_once(
        &self,
        operation: u16,
        payload: &Payload,
        len: usize,
        reply_capacity: usize,
        leases: &[LeaseBuffer<'_>],
    ) -> Answer {
        let Some(server) = &self.0 else {
            return Answer {
                code: Code::RETIRED,
                payload: [0; 8],
                len: 0,
            };
        };
        // The id stays that of a life that is known to be over until `PEER` tells of the next one, or that there is
        // none.
        ipc::call(server.id(), operation, payload, len, reply_capacity, leases)
    }
}

/// The system around the server.
pub struct Surroundings {
    pci: Client<ToPci>,
    /// How many tasks there are. A driver names a lender by number, and the kernel faults whoever names
    /// a task that does not exist.
    tasks: usize,
}

impl Surroundings {
    /// With the PCI task as the plan names it.
    pub fn new() -> Self {
        // The plan names all other tasks to the authority.
        let others = config::table::<PeerEntry>();
        Self {
            pci: Client(ToPci(Server::named("pci"))),
            tasks: others.len() + 1,
        }
    }

    /// Learns the id of the PCI task's new life.
    pub fn refresh_pci(&mut self) {
        if let Some(server) = &self.pci.0.0 {
            server.refresh();
        }
    }
}

impl System for Surroundings {
    fn hold(&mut self, task: TaskId, device: DeviceIndex) -> Code {
        privileged::hold(task, device.number())
    }
    fn lift(&mut self, task: TaskIndex, device: DeviceIndex) -> Code {
        privileged::lift(task.number() as usize, device.number())
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
        if lender.index() >= self.tasks {
            return Err(Code::NO_LEASE);
        }
        let pinned = privileged::pin(driver, lender, lease, pinning.word(), offset, len)?;
        let attributes = LeaseAttributes::from_bits_truncate(pinned.attributes);
        Ok(Pinned {
            slot: pinned.slot,
            pa: pinned.pa,
            readable: attributes.contains(LeaseAttributes::READ),
            writable: attributes.contains(LeaseAttributes::WRITE),
        })
    }
    fn unpin(&mut self, slot: u32) -> Code {
        privileged::unpin(slot)
    }
    fn enumerate(&mut self, cursor: u64) -> Held {
        privileged::enumerate(cursor)
    }
    fn pci_status(&mut self) -> Result<BootStatus, Failure> {
        self.pci.boot_status()
    }
    fn pci_describe(&mut self, device: DeviceIndex) -> Result<Description, Failure> {
        self.pci.describe(device.number())
    }
    fn bus_master(&mut self, device: DeviceIndex, on: bool) -> Result<(), Failure> {
        self.pci.bus_master(device.number(), on)
    }
    fn quiesce_start(&mut self, device: DeviceIndex) -> Result<(), Failure> {
        self.pci.quiesce_start(device.number())
    }
    fn quiesce_result(&mut self, device: DeviceIndex) -> Result<QuiesceState, Failure> {
        self.pci.quiesce_result(device.number())
    }
    fn reply(&mut self, to: TaskId, code: u32, payload: &[u64; 8], len: usize) {
        ipc::reply(to, code, payload, len);
    }
    fn post_fault(&mut self, task: TaskIndex) {
        post(task.number(), iommu_api::FAULT_NOTIFICATION);
    }
    fn set_timer(&mut self, deadline: u64) {
        userlib::time::set_timer(Some(userlib::time::Ticks(deadline)));
    }
    fn post_storm(&mut self, _: DeviceIndex) {
        post(config::own().supervisor, STORM_NOTIFICATION);
    }
    fn log(&mut self, line: Line<'_>) {
        lines::print(line);
    }
}

/// Bit of the supervisor that says that a stream was blocked, if the plan names one.
const STORM_NOTIFICATION: &str = "iommu-storm";

/// Posts to a task if the plan grants the bit; a post without the grant would be a fault.
fn post(task: u32, name: &str) {
    if let Some(bits) = config::notification_of(task, name) {
        let (id, _) = ipc::refresh(task as usize);
        ipc::post(id, bits);
    }
}
