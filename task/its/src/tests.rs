//! The core over a model of the service, which carries out commands, caches what it may cache, and translates messages.

use std::collections::BTreeMap;
use std::vec::Vec;

use its::memory::{CONFIGURATION, PAGE, QUEUE_BYTES};
use its::registers::{
    BASER, BASERS, CBASER, CREADR, CTLR, CWRITER, OFFSET, STALLED, TYPER, baser, ctlr,
};
use its::{COMMAND_BYTES, Command, Memory};
use plan::its::{ItsEntry, SourceEntry};

use crate::{Hardware, Refusal, Service, Start};

const BASE: u64 = 0x4050_0000;
const CORE: u32 = 3;
const REDISTRIBUTOR: u64 = 0x80a_0000;

/// The service with its memory, and what a redistributor has of it.
struct Model {
    typer: u64,
    ctlr: u32,
    cbaser: u64,
    cwriter: u64,
    creadr: u64,
    basers: [u64; BASERS],
    /// Bits of each `GITS_BASER` that software cannot change, and their value.
    fixed: [(u64, u64); BASERS],
    memory: Vec<u8>,
    /// What the service sees of it: a store arrives with [`Hardware::publish`].
    seen: Vec<u8>,
    collections: BTreeMap<u16, u64>,
    devices: BTreeMap<u32, (u64, u32)>,
    events: BTreeMap<(u32, u32), u32>,
    /// Configuration bytes as a redistributor has them; read again by `INV` and `INVALL` alone.
    configured: BTreeMap<u32, u8>,
    pending: Vec<u32>,
    /// Commands are carried out, and seen since the last look.
    works: bool,
    commands: Vec<Command>,
    /// Never comes to rest.
    restless: bool,
    /// Stops at this command.
    stalls_at: Option<usize>,
    now: u64,
}

impl Model {
    fn new(bytes: u64) -> Self {
        let table = |kind: u64, entry: u64| kind << 56 | (entry - 1) << 48;
        let mut basers = [0; BASERS];
        basers[0] = table(baser::DEVICES, 8);
        basers[1] = table(baser::COLLECTIONS, 8);
        basers[2] = table(2, 8);
        Self {
            // 16 bits of each id, entries of 12 bytes, redistributors by number.
            typer: 1 | 11 << 4 | 15 << 8 | 15 << 13,
            ctlr: ctlr::QUIESCENT,
            cbaser: 0,
            cwriter: 0,
            creadr: 0,
            basers,
            fixed: [(0, 0); BASERS],
            // What firmware and the run before left there.
            memory: std::vec![0xa5; bytes as usize],
            seen: std::vec![0xa5; bytes as usize],
            collections: BTreeMap::new(),
            devices: BTreeMap::new(),
            events: BTreeMap::new(),
            configured: BTreeMap::new(),
            pending: Vec::new(),
            works: true,
            commands: Vec::new(),
            restless: false,
            stalls_at: None,
            now: 0,
        }
    }

    fn word(&self, offset: u64) -> u64 {
        let at = offset as usize;
        let bytes = self.seen.get(at..at + 8);
        bytes.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
    }

    fn read_configuration(&mut self, intid: u32) {
        let at = (CONFIGURATION + u64::from(intid - 8192)) as usize;
        self.configured.insert(intid, self.seen[at]);
    }

    fn carry_out(&mut self) {
        while self.works && self.ctlr & ctlr::ENABLED != 0 && self.creadr != self.cwriter {
            if self.stalls_at == Some(self.commands.len()) {
                self.creadr |= STALLED;
                return;
            }
            let words = [0, 8, 16, 24].map(|word| self.word(self.creadr + word));
            let command =
                Command::decode(words).unwrap_or_else(|| panic!("no command: {words:x?}"));
            self.commands.push(command);
            match command {
                Command::MapDevice {
                    device,
                    table,
                    bits,
                } => {
                    // It takes what is in the table as its own: it has to be empty.
                    let offset = table - BASE;
                    let bytes = 12usize << bits;
                    let table_is = &self.seen[offset as usize..][..bytes];
                    assert!(table_is.iter().all(|byte| *byte == 0), "old mappings");
                    self.devices.insert(device, (table, bits));
                }
                Command::MapCollection { collection, target } => {
                    self.collections.insert(collection, target);
                }
                Command::MapEvent {
                    device,
                    event,
                    intid,
                    collection,
                } => {
                    let (_, bits) = self.devices[&device];
                    assert!(event >> bits == 0, "an event that has no room");
                    assert!(self.collections.contains_key(&collection));
                    self.events.insert((device, event), intid);
                }
                Command::Invalidate { device, event } => {
                    self.read_configuration(self.events[&(device, event)]);
                }
                Command::InvalidateAll { .. } => {
                    let all: Vec<u32> = self.events.values().copied().collect();
                    all.into_iter()
                        .for_each(|intid| self.read_configuration(intid));
                }
                Command::Clear { device, event } => {
                    let intid = self.events[&(device, event)];
                    self.pending.retain(|pending| *pending != intid);
                }
                Command::Sync { target } => {
                    assert!(self.collections.values().any(|known| *known == target));
                }
            }
            self.creadr = (self.creadr + COMMAND_BYTES) % QUEUE_BYTES;
        }
    }

    /// A device writes to the doorbell; whether an interrupt arrives, and which.
    fn message(&mut self, device: u32, event: u32) -> Option<u32> {
        if self.ctlr & ctlr::ENABLED == 0 {
            return None;
        }
        let intid = *self.events.get(&(device, event))?;
        if self
            .configured
            .get(&intid)
            .is_some_and(|byte| byte & 1 != 0)
        {
            Some(intid)
        } else {
            self.pending.push(intid);
            None
        }
    }
}

impl Hardware for &mut Model {
    fn read32(&mut self, register: usize) -> u32 {
        assert_eq!(register, CTLR);
        let rest = !self.restless && self.ctlr & ctlr::ENABLED == 0;
        self.ctlr & ctlr::ENABLED | if rest { ctlr::QUIESCENT } else { 0 }
    }
    fn write32(&mut self, register: usize, value: u32) {
        assert_eq!(register, CTLR);
        self.ctlr = value;
        self.carry_out();
    }
    fn read64(&mut self, register: usize) -> u64 {
        self.now += 1;
        match register {
            TYPER => self.typer,
            CBASER => self.cbaser,
            CWRITER => self.cwriter,
            CREADR => self.creadr,
            _ => self.basers[(register - BASER) / 8],
        }
    }
    fn write64(&mut self, register: usize, value: u64) {
        match register {
            CBASER => {
                assert_eq!(self.ctlr & ctlr::ENABLED, 0);
                (self.cbaser, self.creadr) = (value, 0);
            }
            CWRITER => {
                assert_eq!(value & !OFFSET, 0);
                self.cwriter = value;
                self.carry_out();
            }
            _ => {
                assert_eq!(self.ctlr & ctlr::ENABLED, 0);
                let number = (register - BASER) / 8;
                let read_only = 0x1f << 48 | 7 << 56;
                let (bits, fixed) = self.fixed[number];
                let kept = self.basers[number] & read_only;
                self.basers[number] = value & !read_only & !bits | kept | fixed;
            }
        }
    }
    fn load(&mut self, offset: u64) -> u64 {
        let at = offset as usize;
        let bytes = self.memory.get(at..at + 8);
        bytes.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
    }
    fn store(&mut self, offset: u64, value: u64) {
        let at = offset as usize;
        self.memory[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    fn publish(&mut self, offset: u64, bytes: u64) {
        let range = offset as usize..(offset + bytes) as usize;
        let now = self.memory[range.clone()].to_vec();
        self.seen[range].copy_from_slice(&now);
    }
    fn now(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
    fn ticks(&self, _: u64) -> u64 {
        1000
    }
}

/// DeviceIDs, events, first INTIDs.
const DEVICES: [(u32, u32, u32); 3] = [(0x100, 1, 8192), (0x200, 4, 8193), (0x17f8, 33, 8200)];

fn plan() -> (ItsEntry, Vec<SourceEntry>) {
    let mut memory = Memory::default();
    let sources = DEVICES.iter().enumerate().map(|(number, device)| {
        let (device_id, events, first_intid) = *device;
        let table = memory.add(device_id, events);
        SourceEntry {
            device: number as u32,
            device_id,
            events,
            first_intid,
            table: table.offset,
            event_bits: table.bits,
            reserved: 0,
        }
    });
    let sources = sources.collect();
    let (devices, devices_len) = memory.devices();
    let (collections, collections_len) = memory.collections();
    let plan = ItsEntry {
        registers_va: 0,
        registers_len: 0,
        memory_va: 0,
        memory_pa: BASE,
        memory_len: memory.bytes(),
        devices,
        devices_len,
        collections,
        collections_len,
        redistributor: REDISTRIBUTOR,
    };
    (plan, sources)
}

fn started(model: &mut Model) -> Result<Start, Refusal> {
    let (plan, sources) = plan();
    Service::start(model, &plan, &sources, CORE).map(|(_, start)| start)
}

fn fresh() -> Model {
    let mut model = Model::new(plan().0.memory_len);
    assert_eq!(started(&mut model), Ok(Start::Fresh));
    model
}

/// Every message that any of these devices can send, and what comes of it.
fn arriving(model: &mut Model) -> Vec<(u32, u32, u32)> {
    let mut found = Vec::new();
    for device in [0, 0x100, 0x200, 0x300, 0x17f8] {
        for event in 0..70 {
            if let Some(intid) = model.message(device, event) {
                found.push((device, event, intid));
            }
        }
    }
    found
}

fn planned() -> Vec<(u32, u32, u32)> {
    let events = |&(device, events, first): &(u32, u32, u32)| {
        (0..events).map(move |event| (device, event, first + event))
    };
    DEVICES.iter().flat_map(events).collect()
}

#[test]
fn what_is_planned_arrives_and_nothing_else() {
    let mut model = fresh();
    assert_eq!(arriving(&mut model), planned());
    assert_eq!(model.collections, BTreeMap::from([(0, u64::from(CORE))]));
    // The table of what nobody uses is not there.
    assert_eq!(model.basers[2] & baser::VALID, 0);
}

#[test]
fn a_redistributor_may_be_named_by_its_address() {
    let mut model = Model::new(plan().0.memory_len);
    model.typer |= 1 << 19;
    started(&mut model).unwrap();
    assert_eq!(model.collections[&0], REDISTRIBUTOR >> 16);
}

#[test]
fn pages_of_tables_may_be_of_any_size() {
    for (size, bytes) in [(0u64, 4096), (1, 16384), (2, 65536)] {
        let mut model = Model::new(plan().0.memory_len);
        model.fixed[0] = (3 << baser::PAGE_SHIFT, size << baser::PAGE_SHIFT);
        started(&mut model).unwrap();
        let pages = (model.basers[0] & baser::PAGES) + 1;
        assert_eq!(pages * bytes, plan().0.devices_len);
        assert_eq!(model.basers[0] & baser::ADDRESS, BASE + plan().0.devices);
        assert_eq!(arriving(&mut model), planned());
    }
}

#[test]
fn a_later_life_takes_over_and_no_message_is_lost() {
    let mut model = fresh();
    let commands = model.commands.len();
    assert_eq!(started(&mut model), Ok(Start::TakenOver));
    assert_eq!(model.commands.len(), commands, "nothing is told twice");
    assert_eq!(arriving(&mut model), planned());
    let (plan, sources) = plan();
    let (mut service, _) = Service::start(&mut model, &plan, &sources, CORE).unwrap();
    service.change(8194, false).unwrap();
    assert_eq!(model.message(0x200, 1), None);
}

#[test]
fn a_life_that_told_half_of_it_is_not_taken_over() {
    let all = fresh().commands.len();
    for stop in 0..all {
        let mut model = Model::new(plan().0.memory_len);
        model.stalls_at = Some(stop);
        assert_eq!(started(&mut model), Err(Refusal::Stalled));
        model.stalls_at = None;
        model.creadr &= !STALLED;
        // What was mapped stays until the tables are given anew.
        (model.devices, model.events) = Default::default();
        assert_eq!(started(&mut model), Ok(Start::Fresh), "after {stop}");
        assert_eq!(arriving(&mut model), planned());
    }
}

#[test]
fn a_service_that_firmware_left_on_is_told_everything() {
    let mut model = Model::new(plan().0.memory_len);
    model.ctlr = ctlr::ENABLED;
    model.cbaser = baser::VALID | 0x7000_0000;
    assert_eq!(started(&mut model), Ok(Start::Fresh));
    assert_eq!(arriving(&mut model), planned());
}

#[test]
fn a_message_that_is_cut_off_comes_no_more_until_it_is_let_through() {
    let mut model = fresh();
    let (plan, sources) = plan();
    for (device, event, intid) in planned() {
        let (mut service, _) = Service::start(&mut model, &plan, &sources, CORE).unwrap();
        let source = service.change(intid, false).unwrap();
        assert_eq!(source.device_id, device);
        let mut left = planned();
        left.retain(|known| known.2 != intid);
        assert_eq!(arriving(&mut model), left);
        assert_eq!(model.pending, [intid]);
        let (mut service, _) = Service::start(&mut model, &plan, &sources, CORE).unwrap();
        service.change(intid, true).unwrap();
        // What came meanwhile may be of a life that has begun, and is not lost.
        assert_eq!(model.pending, [intid]);
        model.pending.clear();
        assert_eq!(model.message(device, event), Some(intid));
    }
    let (mut service, _) = Service::start(&mut model, &plan, &sources, CORE).unwrap();
    for unknown in [0, 8191, 8197, 8199, 8233, u32::MAX] {
        assert_eq!(service.change(unknown, false).err(), Some(Refusal::Unknown));
    }
}

#[test]
fn the_queue_goes_round_and_round() {
    let mut model = fresh();
    let (plan, sources) = plan();
    let (mut service, _) = Service::start(&mut model, &plan, &sources, CORE).unwrap();
    for round in 0..400 {
        service.change(8193 + round % 4, round % 8 >= 4).unwrap();
    }
    assert_eq!(arriving(&mut model), planned());
}

type Spoil = fn(&mut Model);

#[test]
fn a_service_that_cannot_do_it_is_refused_by_name() {
    let cases: [(Spoil, Refusal); 11] = [
        (|m| m.typer &= !1, Refusal::NoMessages),
        (|m| m.typer = m.typer & !0xf0 | 15 << 4, Refusal::Slow),
        (
            |m| m.typer = m.typer & !(0x1f << 13) | 11 << 13,
            Refusal::DeviceBits,
        ),
        (
            |m| m.typer = m.typer & !(0x1f << 8) | 4 << 8,
            Refusal::EventBits,
        ),
        (|m| m.basers[0] |= 0x1f << 48, Refusal::EntrySize),
        (|m| m.basers[0] = 0, Refusal::NoDeviceTable),
        (|m| m.fixed[0] = (baser::PAGES, 0), Refusal::Registers),
        (|m| m.fixed[0] = (baser::VALID, 0), Refusal::Registers),
        (|m| m.fixed[1] = (1 << 20, 0), Refusal::Registers),
        (|m| m.restless = true, Refusal::NotQuiescent),
        (|m| m.works = false, Refusal::Slow),
    ];
    for (number, (spoil, refusal)) in cases.into_iter().enumerate() {
        let mut model = Model::new(plan().0.memory_len);
        spoil(&mut model);
        if number == 1 {
            // Entries of 16 bytes are the largest that there is room for.
            model.works = false;
        }
        assert_eq!(started(&mut model), Err(refusal), "case {number}");
        assert!(!refusal.name().is_empty());
    }
}

#[test]
fn memory_is_given_in_whole_pages() {
    let (plan, _) = plan();
    for place in [plan.memory_len, plan.devices, plan.collections] {
        assert_eq!(place % PAGE, 0);
    }
}
