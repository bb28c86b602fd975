//! Plan, tables and surroundings of the tests.
//!
//! Devices: 0 a bridge; 1 `disk` (task 4, stream 0x100); 2 `edu` (task 5, stream 0x008, blocks);
//! 3 and 4 `left` and `right` (tasks 5 and 6), one alias set (stream 0x010); 5 `spare` (task 6), an alternative
//! of `edu` in its slot and so with its stream, absent unless a test says otherwise.
//! In [`standing_plan`] also 6
//! `display` (task 6, stream 0x018), which has a direct region, and 7 `mate` (task 5), which shares its stream.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use abi::{Code, TaskId};
use iommu_api::*;
use pci_api::client::CallError;
use pci_api::{BootStatus, Description, DeviceState, QuiesceFailure, QuiesceState};
use plan::iommu::{
    DeviceEntry, DomainEntry, DomainKind, PERMANENT_MARK, PermanentEntry, PermanentKind, PoolEntry,
    SmmuEntry, StreamEntry,
};
use plan::{NONE, Name};
use smmu::registers::CMDQ_PROD;
use smmu::stream::{StreamTableEntry, level1_descriptor};
use smmu::{Command, ContextDescriptor, QueueIndex};
use vmsa::{Attributes, Granule, Memory, Permissions, Regime};

use super::fake::{Fake, Handle as Smmu, TABLES_LEN, TABLES_PA};
use super::journal::{Did, Journal};
use crate::hardware::{Hardware, Held, Pinned, System};
use crate::log::Line;
use crate::plan_view::PlanView;
use crate::{Reply, Request, Server};

pub const DISK: u32 = 1;
pub const EDU: u32 = 2;
pub const LEFT: u32 = 3;
pub const RIGHT: u32 = 4;
pub const SPARE: u32 = 5;
pub const DISPLAY: u32 = 6;
pub const MATE: u32 = 7;
/// The direct region: two pages.
pub const DIRECT: u64 = 0x7000_0000;
pub const BASE: u64 = 0x1_0000_0000;
pub const BLOCKS: u64 = BASE + 0x40_0000;
pub const POOL: u64 = 0x5000_0000;
pub const BIG_POOL: u64 = 0x6000_0000;

pub fn task(index: u8) -> TaskId {
    TaskId::new(index, 1)
}

/// A kernel and a PCI task.
#[derive(Default)]
pub struct Around {
    pub holds: Vec<(TaskId, u32, bool)>,
    pub pins: Vec<(u32, TaskId, u32)>,
    /// Address and bytes of what was ever pinned, by slot.
    pub pinned: BTreeMap<u32, (u64, u64)>,
    pub next_slot: u32,
    pub lease: Option<Pinned>,
    pub bus_master: Vec<(u32, bool)>,
    pub started: Vec<u32>,
    pub result: Option<QuiesceState>,
    pub start_error: Option<CallError>,
    /// What turning bus mastering on fails of.
    pub bus_master_error: Option<CallError>,
    /// What the next hold is answered.
    pub hold_code: Option<Code>,
    pub journal: Journal,
    pub replies: Vec<(TaskId, u32, Payload, usize)>,
    pub posts: Vec<usize>,
    pub storms: Vec<u32>,
    pub lines: Vec<String>,
    pub blocked: Option<u32>,
    /// [`SPARE`] is there, and [`EDU`] is not.
    pub swapped: bool,
    pub refused: bool,
    pub no_pci: bool,
}

impl Around {
    fn is_bus_master(&self, device: u32) -> bool {
        let last = self.bus_master.iter().rfind(|(other, _)| *other == device);
        last.is_some_and(|(_, on)| *on)
    }
}

#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<Around>>);

impl System for Shared {
    fn hold(&mut self, task: TaskId, device: u32) -> Code {
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
    fn lift(&mut self, index: usize, device: u32) -> Code {
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
        device: u32,
        _: u64,
        len: u64,
    ) -> Result<Pinned, Code> {
        let mut around = self.0.borrow_mut();
        let mut pinned = around.lease.filter(|_| lease == 0).ok_or(Code::NO_LEASE)?;
        around.next_slot += 1;
        pinned.slot = around.next_slot;
        around.journal.note(Did::Pin(pinned.slot));
        around.pins.push((pinned.slot, lender, device));
        around.pinned.insert(pinned.slot, (pinned.pa, len));
        Ok(pinned)
    }
    fn unpin(&mut self, slot: u32) -> Code {
        let mut around = self.0.borrow_mut();
        let before = around.pins.len();
        around.pins.retain(|pin| pin.0 != slot);
        around.journal.note(Did::Unpin(slot));
        assert_eq!(around.pins.len() + 1, before, "unpinned twice");
        Code::OK
    }
    fn enumerate(&mut self, cursor: u64) -> Held {
        let around = self.0.borrow();
        let index = cursor as usize;
        let end = Held {
            next: 0,
            kind: 0,
            task: TaskId(0),
            device: 0,
            slot: 0,
            dead: false,
            pa: 0,
            len: 0,
        };
        if let Some(&(task, device, dead)) = around.holds.get(index) {
            return Held {
                next: cursor + 1,
                kind: 1,
                task,
                device,
                dead,
                ..end
            };
        }
        // Cursors of pins are slots, beyond those of all holds.
        let from = (cursor as u32).saturating_sub(100);
        let pins = around.pins.iter().filter(|pin| pin.0 >= from);
        pins.min().map_or(end, |&(slot, task, device)| {
            let (pa, len) = around.pinned[&slot];
            Held {
                next: u64::from(slot) + 101,
                kind: 2,
                task,
                device,
                slot,
                pa,
                len,
                ..end
            }
        })
    }
    fn pci_status(&mut self) -> Result<BootStatus, CallError> {
        let around = self.0.borrow();
        if around.no_pci {
            return Err(CallError::Unavailable(Code::DOWN));
        }
        Ok(BootStatus {
            ready: 5,
            mismatches: 0,
            undeclared: 0,
            refused: around.refused,
        })
    }
    fn pci_describe(&mut self, device: u32) -> Result<Description, CallError> {
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
    fn bus_master(&mut self, device: u32, on: bool) -> Result<(), CallError> {
        let mut around = self.0.borrow_mut();
        if let (Some(error), true) = (around.bus_master_error, on) {
            return Err(error);
        }
        around.journal.note(Did::BusMaster(device, on));
        around.bus_master.push((device, on));
        Ok(())
    }
    fn quiesce_start(&mut self, device: u32) -> Result<(), CallError> {
        let mut around = self.0.borrow_mut();
        if let Some(error) = around.start_error.take() {
            return Err(error);
        }
        around.journal.note(Did::Quiesce(device));
        around.started.push(device);
        Ok(())
    }
    fn quiesce_result(&mut self, device: u32) -> Result<QuiesceState, CallError> {
        let around = self.0.borrow();
        let state = around.result.unwrap_or(QuiesceState::Quiet);
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
    fn post_fault(&mut self, index: usize) {
        self.0.borrow_mut().posts.push(index);
    }
    fn post_storm(&mut self, device: u32) {
        self.0.borrow_mut().storms.push(device);
    }
    fn log(&mut self, line: Line<'_>) {
        self.0
            .borrow_mut()
            .lines
            .push(std::format!("{line:?}").to_string());
    }
}

/// Offsets in table memory.
const STREAM_L1: u64 = 0;
const ARRAY_0: u64 = 0x4000;
const ARRAY_1: u64 = 0x8000;
const CONTEXTS: u64 = 0xc000;
const COMMANDS: u64 = 0xd000;
const EVENTS: u64 = 0xe000;
pub const EVENT_LOG2: u32 = 4;

fn leak<T>(values: Vec<T>) -> &'static [T] {
    Vec::leak(values)
}

pub fn domain(index: u64) -> DomainEntry {
    let tables = 0x1_0000 + index * 0x8000;
    DomainEntry {
        kind: DomainKind::Dma as u32,
        smmu: 0,
        asid: index as u32 + 1,
        invalidation: 0,
        context: CONTEXTS + index * 64,
        root: tables,
        leaf: tables + 0x2000,
        iova_base: BASE,
        pages: 1024,
        block_entries: tables + 0x1000 + 2 * 8,
        block_base: BLOCKS,
        blocks: 4,
        snoops: 1,
        reserved: 0,
    }
}

fn device(name: &str, domain: u32, owner: u32, streams: u32, count: u32) -> DeviceEntry {
    DeviceEntry {
        name: Name::new(name),
        domain,
        owner,
        streams,
        stream_count: count,
        group: 0,
        reset_unit: domain,
        pins: 2,
        standing: 0,
        auditors: 1 << 3,
    }
}

fn stream(stream_id: u32) -> StreamEntry {
    let array = if stream_id >> 8 == 0 {
        ARRAY_0
    } else {
        ARRAY_1
    };
    StreamEntry {
        stream_id,
        smmu: 0,
        entry: array + u64::from(stream_id & 0xff) * 64,
        standing: 0,
        reserved: 0,
    }
}

pub fn plan() -> PlanView<'static> {
    let pool = |task, pool, pa, len| PoolEntry {
        task,
        pool,
        pa,
        len,
    };
    PlanView {
        smmus: leak(std::vec![SmmuEntry {
            name: Name::new("smmu"),
            registers_va: 0,
            tables_va: 0,
            tables_pa: TABLES_PA,
            tables_len: TABLES_LEN,
            stream_l1: STREAM_L1,
            stream_log2: 16,
            stream_split: 8,
            command_queue: COMMANDS,
            event_queue: EVENTS,
            command_log2: 4,
            event_log2: EVENT_LOG2,
            event_interrupt: 1 << 16,
            error_interrupt: 1 << 17,
            coherent: 1,
            address_bits: 44,
            refuse_on_mismatch: 1,
            reserved: 0,
        }]),
        domains: leak((0..4).map(domain).collect()),
        streams: leak(std::vec![stream(0x100), stream(0x008), stream(0x010)]),
        devices: leak(std::vec![
            device("rp1", NONE, NONE, 0, 0),
            device("disk", 0, 4, 0, 1),
            device("edu", 1, 5, 1, 1),
            device("left", 2, 5, 2, 1),
            device("right", 2, 6, 2, 1),
            device("spare", 3, 6, 1, 1),
        ]),
        pools: leak(std::vec![
            pool(4, 0, POOL, 64 * 4096),
            pool(5, 0, POOL + 0x10_0000, 16 * 4096),
            pool(5, 1, BIG_POOL, 4 << 20),
            pool(6, 0, POOL + 0x20_0000, 16 * 4096),
        ]),
        permanent: &[],
    }
}

/// With a device that has a direct region, and one in its alias set that has none.
pub fn standing_plan() -> PlanView<'static> {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    devices.push(DeviceEntry {
        standing: 1,
        ..device("display", 4, 6, 3, 1)
    });
    devices.push(device("mate", 4, 5, 3, 1));
    let mut streams = plan.streams.to_vec();
    streams.push(StreamEntry {
        standing: 1,
        ..stream(0x018)
    });
    plan.devices = leak(devices);
    plan.streams = leak(streams);
    plan.domains = leak((0..5).map(domain).collect());
    plan.permanent = leak(std::vec![PermanentEntry {
        domain: 4,
        kind: PermanentKind::Direct as u32,
        task: NONE,
        pool: 0,
        iova: DIRECT,
        pa: DIRECT,
        len: 0x2000,
        memory: Memory::NormalWriteBack as u32,
        reserved: 0,
    }]);
    plan
}

/// A leaf of the build step.
pub fn permanent_leaf(pa: u64, memory: Memory, permissions: Permissions) -> u64 {
    let attributes = Attributes::new(Regime::Device, memory, permissions).unwrap();
    vmsa::leaf(Granule::Size4K, 3, pa, attributes.marked(PERMANENT_MARK))
}

/// The image's tables.
pub fn tables(plan: &PlanView<'_>) -> Fake {
    let mut fake = Fake::new();
    for (bus, array) in [(0, ARRAY_0), (1, ARRAY_1)] {
        fake.put(STREAM_L1 + bus * 8, &[level1_descriptor(TABLES_PA + array)]);
        for slot in 0..256 {
            fake.put(array + slot * 64, &StreamTableEntry::abort(true).0);
        }
    }
    for entry in plan.domains {
        let context = ContextDescriptor {
            root: TABLES_PA + entry.root,
            asid: entry.asid as u16,
            input_bits: 39,
            output_bits: 44,
            mair: vmsa::MAIR,
            coherent: true,
        };
        fake.put(entry.context, &context.encode());
        let table = |offset: u64| vmsa::table(Granule::Size4K, TABLES_PA + offset);
        let level2 = entry.root + 0x1000;
        fake.put(entry.root + (BASE >> 30) * 8, &[table(level2)]);
        fake.put(level2, &[table(entry.leaf), table(entry.leaf + 0x1000)]);
    }
    for range in plan.permanent {
        let domain = &plan.domains[range.domain as usize];
        let leaves = |fake: &mut Fake, at: u64| {
            for page in 0..range.len >> 12 {
                let pa = range.pa + (page << 12);
                let leaf = permanent_leaf(pa, Memory::NormalWriteBack, Permissions::ReadWrite);
                fake.put(at + page * 8, &[leaf]);
            }
        };
        if range.kind == PermanentKind::Persistent as u32 {
            leaves(
                &mut fake,
                domain.leaf + ((range.iova - domain.iova_base) >> 12) * 8,
            );
            continue;
        }
        let root = domain.root;
        let table = |offset: u64| vmsa::table(Granule::Size4K, TABLES_PA + offset);
        let (level2, level3) = (root + 0x4000, root + 0x5000);
        fake.put(root + (range.iova >> 30) * 8, &[table(level2)]);
        fake.put(level2 + (range.iova >> 21 & 511) * 8, &[table(level3)]);
        leaves(&mut fake, level3 + (range.iova >> 12 & 511) * 8);
    }
    for device in plan.devices.iter().filter(|device| device.standing == 1) {
        for stream in plan.streams_of(device) {
            fake.put(stream.entry, &[plan.open_word(device).unwrap()]);
        }
    }
    fake
}

pub struct Rig {
    pub server: Server<'static, Smmu, Shared>,
    pub smmu: Smmu,
    pub around: Rc<RefCell<Around>>,
}

impl Rig {
    /// Before the boot.
    pub fn cold() -> Self {
        Self::planned(plan())
    }
    /// Before the boot of a server with another plan, over tables like those of [`plan`].
    pub fn planned(plan: PlanView<'static>) -> Self {
        let around = Around::default();
        let mut fake = tables(&plan);
        fake.journal = around.journal.clone();
        let smmu = Smmu(Rc::new(RefCell::new(fake)));
        Self::with(plan, smmu, Rc::new(RefCell::new(around)))
    }
    /// A server's life over existing hardware.
    pub fn over(smmu: Smmu, around: Rc<RefCell<Around>>) -> Self {
        Self::with(plan(), smmu, around)
    }
    /// The same with another plan.
    pub fn with(plan: PlanView<'static>, smmu: Smmu, around: Rc<RefCell<Around>>) -> Self {
        let server = Server::new(plan, Shared(around.clone()), |_| smmu.clone()).unwrap();
        Self {
            server,
            smmu,
            around,
        }
    }
    pub fn booted() -> Self {
        let mut rig = Self::cold();
        rig.server.boot();
        rig
    }

    pub fn ask(&mut self, sender: TaskId, operation: Operation, words: &[u64]) -> Reply {
        let mut payload = [0; 8];
        for (to, from) in payload.iter_mut().zip(words) {
            *to = *from;
        }
        self.server.handle(&Request {
            sender,
            operation: operation as u16,
            len: size_of_val(words),
            reply_capacity: 64,
            payload,
            long: words,
            leases: 0,
        })
    }
    /// The code and payload of a reply at once.
    pub fn now(&mut self, sender: TaskId, operation: Operation, words: &[u64]) -> (u32, Payload) {
        match self.ask(sender, operation, words) {
            Reply::Now { code, payload, .. } => (code, payload),
            Reply::Later => panic!("{operation:?} is late"),
        }
    }

    /// Claims a device, through its quiesce if it needs one.
    pub fn claim(&mut self, sender: TaskId, device: u32) -> Driver {
        let payload = match self.ask(sender, Operation::Claim, &[u64::from(device)]) {
            Reply::Now { code, payload, .. } => {
                assert_eq!(code, 0);
                payload
            }
            Reply::Later => {
                self.server.on_quiesced();
                let (to, code, payload, len) = self.around.borrow_mut().replies.pop().unwrap();
                assert_eq!((to, code, len), (sender, 0, Claim::LEN));
                payload
            }
        };
        let claim = Claim::from_words(&payload).unwrap();
        Driver {
            id: sender,
            handle: claim.handle,
            sequence: claim.sequence,
        }
    }
    pub fn status(&mut self, device: u32) -> Status {
        let (code, payload) = self.now(task(3), Operation::Status, &[u64::from(device)]);
        assert_eq!(code, 0);
        Status::from_words(&payload).unwrap()
    }
    pub fn reach(&self, stream: u32, iova: u64) -> Option<u64> {
        self.smmu.0.borrow_mut().access(stream, iova, true)
    }
    pub fn read(&self, stream: u32, iova: u64) -> Option<u64> {
        self.smmu.0.borrow_mut().access(stream, iova, false)
    }
    pub fn die(&mut self, index: u8) {
        for hold in &mut self.around.borrow_mut().holds {
            if hold.0.index() == usize::from(index) {
                hold.2 = true;
            }
        }
        self.server.on_held_death();
    }
    pub fn fail_quiesce(&self) {
        self.around.borrow_mut().result = Some(QuiesceState::Failed(QuiesceFailure::Deadline));
    }
    pub fn is_bus_master(&self, device: u32) -> bool {
        self.around.borrow().is_bus_master(device)
    }
    pub fn is_held(&self, device: u32) -> bool {
        self.around.borrow().holds.iter().any(|h| h.1 == device)
    }
    /// Queues commands as another life of the server would.
    pub fn queue_behind_its_back(&self, commands: &[Command]) {
        let mut smmu = self.smmu.clone();
        let log2 = self.server.plan.smmus[0].command_log2;
        let mut producer = QueueIndex::new(smmu.0.borrow().get(CMDQ_PROD), log2);
        for command in commands {
            let at = COMMANDS + producer.slot() * 16;
            smmu.0.borrow_mut().put(at, &command.encode());
            producer = producer.advance(1);
        }
        smmu.write32(CMDQ_PROD, producer.raw());
    }
    pub fn journal(&self) -> Journal {
        self.around.borrow().journal.clone()
    }
    pub fn logged(&self, text: &str) -> bool {
        self.around.borrow().lines.iter().any(|l| l.contains(text))
    }
}

/// A claimant.
#[derive(Clone, Copy)]
pub struct Driver {
    pub id: TaskId,
    pub handle: Handle,
    pub sequence: u64,
}

impl Driver {
    pub fn head(&mut self) -> Sequenced {
        self.sequence += 1;
        Sequenced {
            handle: self.handle,
            sequence: self.sequence,
        }
    }
    pub fn map(
        &mut self,
        rig: &mut Rig,
        pool: u16,
        first: u32,
        pages: u32,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Error> {
        let request = Map {
            head: self.head(),
            extent: Extent { first, pages },
            pool,
            flags,
            iova,
        };
        result(rig.now(self.id, Operation::Map, &request.to_words()[..5]))
    }
    pub fn map_any(&mut self, rig: &mut Rig, first: u32, pages: u32) -> u64 {
        self.map(rig, 0, first, pages, MapFlags::READ_WRITE, 0)
            .unwrap()
    }
    pub fn unmap(&mut self, rig: &mut Rig, iova: u64, pages: u64) -> Result<u64, Error> {
        let request = Unmap {
            head: self.head(),
            iova,
            pages,
        };
        result(rig.now(self.id, Operation::Unmap, &request.to_words()[..4]))
    }
    pub fn map_list(&mut self, rig: &mut Rig, extents: &[(u32, u32)]) -> Result<u64, Error> {
        let header = MapList {
            head: self.head(),
            pool: 0,
            flags: MapFlags::READ_WRITE,
            iova: 0,
        };
        let mut words = header.to_words().to_vec();
        words.extend(pairs(extents));
        result(rig.now(self.id, Operation::MapList, &words))
    }
    pub fn unmap_list(&mut self, rig: &mut Rig, extents: &[(u32, u32)]) -> Result<u64, Error> {
        let header = UnmapList { head: self.head() };
        let mut words = header.to_words().to_vec();
        words.extend(pairs(extents));
        result(rig.now(self.id, Operation::UnmapList, &words))
    }
    pub fn map_lease(&mut self, rig: &mut Rig, pages: u32, flags: MapFlags) -> Result<u64, Error> {
        let request = MapLease {
            head: self.head(),
            extent: Extent { first: 0, pages },
            lease: 0,
            flags,
            iova: 0,
            lender: task(7).0,
        };
        result(rig.now(self.id, Operation::MapLease, &request.to_words()[..6]))
    }
    pub fn release(&mut self, rig: &mut Rig) -> Reply {
        let request = self.head();
        rig.ask(self.id, Operation::Release, &request.to_words()[..2])
    }
    pub fn fault(&mut self, rig: &mut Rig) -> Option<FaultRecord> {
        let (code, payload) = rig.now(self.id, Operation::NextFault, &[self.handle.0]);
        assert_eq!(code, 0);
        FaultRecord::from_words(&payload).unwrap()
    }
}

fn pairs(extents: &[(u32, u32)]) -> impl Iterator<Item = u64> + '_ {
    extents
        .iter()
        .map(|&(first, pages)| Extent { first, pages }.to_word())
}

fn result((code, payload): (u32, Payload)) -> Result<u64, Error> {
    match code {
        0 => Ok(payload[0]),
        code => Err(Error::from_code(code).unwrap()),
    }
}
