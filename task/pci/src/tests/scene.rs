//! The machine most tests use, and its plan.
//!
//! ```text
//! 00:00.0 host
//! 00:01.0 rp0 ── 01:00.0 disk            FLR
//! 00:02.0 rp1 ── 02:00.0 mux ─┬─ 03:01.0 edu0   poll
//!                             └─ 03:02.0 edu1   bus reset
//! 00:03.0 nic0, 00:03.1 nic1             write then poll; wait
//! 00:04.0 rp2 ── 04:00.0 spare           optional, absent
//! ```

use std::vec::Vec;

use pci_api::Mismatch;
use plan::Name;
use plan::pci::{FunctionEntry, FunctionFlags, HostBridgeEntry, Quiesce, port_type};
use zerocopy::FromZeros;

use crate::address::Address;
use crate::fabric::Fabric;
use crate::registers::*;
use crate::report::{Difference, Found, Observer};
use crate::server::Server;
use crate::tests::fake::Fake;
use crate::tests::node::Node;

pub const HOST: usize = 0;
pub const RP0: usize = 1;
pub const DISK: usize = 2;
pub const RP1: usize = 3;
pub const MUX: usize = 4;
pub const EDU0: usize = 5;
pub const EDU1: usize = 6;
pub const NIC0: usize = 7;
pub const NIC1: usize = 8;
pub const RP2: usize = 9;
pub const SPARE: usize = 10;

/// Index of the task with `dma-authority`.
pub const AUTHORITY: usize = 2;
/// Index of the task that owns device `index`.
pub const fn owner(index: usize) -> usize {
    10 + index
}

pub const MILLISECOND: u64 = 1_000_000;

fn rid(bus: u8, slot: u8, function: u8) -> u16 {
    Address::on_bus(bus, slot << 3 | function).0
}

fn function(name: &str, rid: u16, ids: (u16, u16), parent: usize) -> FunctionEntry {
    FunctionEntry {
        name: Name::new(name),
        group: Name::new(name),
        rid,
        vendor_id: ids.0,
        device_id: ids.1,
        parent: parent as u32,
        ..FunctionEntry::new_zeroed()
    }
}

const NO_PARENT: usize = plan::NONE as usize;
const CLOSED: [u64; 2] = [u64::MAX, 0];

fn bridge(
    name: &str,
    rid: u16,
    parent: usize,
    buses: [u8; 3],
    memory: [u64; 2],
    prefetch: [u64; 2],
) -> FunctionEntry {
    FunctionEntry {
        flags: (FunctionFlags::BRIDGE | FunctionFlags::SET_ACS).bits(),
        acs: 0x1d,
        owner: plan::NONE,
        buses: [buses[0], buses[1], buses[2], 0],
        port_type: port_type::ROOT_PORT,
        memory_window: memory,
        prefetch_window: prefetch,
        ..function(name, rid, (0x1b36, 0x000c), parent)
    }
}

fn disk() -> FunctionEntry {
    FunctionEntry {
        bar_address: [0, 0x1000_0000, 0, 0, 0x80_0000_0000, 0],
        bar_len: [0, 0x1000, 0, 0, 0x4000, 0],
        bar_kind: [0, 0, 0, 0, 0xc, 0],
        quiesce: Quiesce::FunctionReset as u32,
        quiesce_wait: 1000 * MILLISECOND,
        ..function("disk", rid(1, 0, 0), (0x1af4, 0x1042), RP0)
    }
}

/// Functions of one bus: one says itself when it is quiet, the other takes the bus with it.
fn edus() -> [FunctionEntry; 2] {
    [
        FunctionEntry {
            bar_address: [0x1100_0000, 0, 0, 0, 0, 0],
            bar_len: [0x10_0000, 0, 0, 0, 0, 0],
            quiesce: Quiesce::Poll as u32,
            quiesce_offset: 0x98,
            quiesce_mask: 1,
            quiesce_wait: 150 * MILLISECOND,
            quiesce_va: 0x2000_0000,
            ..function("edu0", rid(3, 1, 0), (0x1234, 0x11e8), MUX)
        },
        FunctionEntry {
            bar_address: [0x1110_0000, 0, 0, 0, 0, 0],
            bar_len: [0x10_0000, 0, 0, 0, 0, 0],
            quiesce: Quiesce::BusReset as u32,
            ..function("edu1", rid(3, 2, 0), (0x1234, 0x11e8), MUX)
        },
    ]
}

/// Functions of one slot without a reset.
fn nics() -> [FunctionEntry; 2] {
    [
        FunctionEntry {
            flags: FunctionFlags::MULTIFUNCTION.bits(),
            bar_address: [0x1200_0000, 0, 0, 0, 0, 0],
            bar_len: [0x1000, 0, 0, 0, 0, 0x20],
            bar_kind: [0, 0, 0, 0, 0, 1],
            quiesce: Quiesce::WriteThenPoll as u32,
            quiesce_offset: 0x14,
            quiesce_mask: 0xf0,
            quiesce_expect: 0x50,
            quiesce_write: 0x53,
            quiesce_wait: 20 * MILLISECOND,
            quiesce_va: 0x3000_0000,
            ..function("nic0", rid(0, 3, 0), (0x8086, 0x10c9), NO_PARENT)
        },
        FunctionEntry {
            flags: FunctionFlags::MULTIFUNCTION.bits(),
            bar_address: [0x1200_1000, 0, 0, 0, 0, 0],
            bar_len: [0x1000, 0, 0, 0, 0, 0],
            quiesce: Quiesce::Wait as u32,
            quiesce_wait: 30 * MILLISECOND,
            ..function("nic1", rid(0, 3, 1), (0x8086, 0x10c9), NO_PARENT)
        },
    ]
}

pub fn plan() -> Vec<FunctionEntry> {
    let ([edu0, edu1], [nic0, nic1]) = (edus(), nics());
    let mut plan = std::vec![
        FunctionEntry {
            flags: FunctionFlags::HOST_BRIDGE.bits(),
            ..function("host", rid(0, 0, 0), (0x1b36, 0x0008), NO_PARENT)
        },
        bridge(
            "rp0",
            rid(0, 1, 0),
            NO_PARENT,
            [0, 1, 1],
            [0x1000_0000, 0x100f_ffff],
            [0x80_0000_0000, 0x80_000f_ffff],
        ),
        disk(),
        bridge(
            "rp1",
            rid(0, 2, 0),
            NO_PARENT,
            [0, 2, 3],
            [0x1100_0000, 0x111f_ffff],
            CLOSED,
        ),
        FunctionEntry {
            flags: FunctionFlags::BRIDGE.bits(),
            port_type: port_type::CONVENTIONAL,
            ..bridge(
                "mux",
                rid(2, 0, 0),
                RP1,
                [2, 3, 3],
                [0x1100_0000, 0x111f_ffff],
                CLOSED,
            )
        },
        edu0,
        edu1,
        nic0,
        nic1,
        bridge("rp2", rid(0, 4, 0), NO_PARENT, [0, 4, 4], CLOSED, CLOSED),
        FunctionEntry {
            flags: FunctionFlags::OPTIONAL.bits(),
            ..function("spare", rid(4, 0, 0), (0x1af4, 0x1041), RP2)
        },
    ];
    // Every device apart, but for those whose bridge or slot joins them.
    let groups = [0, 1, 2, 3, 4, 4, 4, 5, 5, 6, 7];
    for (index, (entry, group)) in plan.iter_mut().zip(groups).enumerate() {
        entry.group_index = group;
        if entry.owner == 0 {
            entry.owner = owner(index) as u32;
        }
    }
    plan
}

fn port(parent: Option<usize>, devfn: u8) -> Node {
    Node::bridge(parent, devfn, 0x1b36, 0x000c)
        .express(0x40, false)
        .extended(0x100, EXTENDED_ACS, 6, 0x5f)
}

pub fn nodes() -> Vec<Node> {
    std::vec![
        Node::endpoint(None, 0, 0x1b36, 0x0008),
        port(None, 1 << 3),
        Node::endpoint(Some(RP0), 0, 0x1af4, 0x1042)
            .bar(1, 0x1000, 0)
            .bar(4, 0x4000, 0xc)
            .capability(0x40, CAPABILITY_MSIX)
            .express(0x50, true)
            .extended(0x100, EXTENDED_ATS, 6, 0x801f)
            .extended(0x140, EXTENDED_SRIOV, 8, 0x001f),
        port(None, 2 << 3),
        Node::bridge(Some(RP1), 0, 0x1b36, 0x000c),
        Node::endpoint(Some(MUX), 1 << 3, 0x1234, 0x11e8).bar(0, 0x10_0000, 0),
        Node::endpoint(Some(MUX), 2 << 3, 0x1234, 0x11e8).bar(0, 0x10_0000, 0),
        Node::endpoint(None, 3 << 3, 0x8086, 0x10c9)
            .multifunction()
            .bar(0, 0x1000, 0)
            .bar(5, 0x20, 1),
        Node::endpoint(None, 3 << 3 | 1, 0x8086, 0x10c9)
            .multifunction()
            .bar(0, 0x1000, 0),
        port(None, 4 << 3),
    ]
}

/// Keeps what the enumeration tells.
#[derive(Default)]
pub struct Notes {
    pub found: Vec<u16>,
    /// Requester id, mismatch, BAR, planned, found.
    pub differences: Vec<(u16, Mismatch, Option<usize>, u64, u64)>,
}

impl Observer for Notes {
    fn found(&mut self, found: &Found<'_>) {
        self.found.push(found.entry.rid);
    }
    fn differs(&mut self, difference: &Difference<'_>) {
        self.differences.push((
            difference.address.0,
            difference.mismatch,
            difference.bar,
            difference.planned,
            difference.found,
        ));
    }
}

pub struct Scene {
    pub fake: Fake,
    pub plan: Vec<FunctionEntry>,
    pub host: HostBridgeEntry,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(nodes())
    }

    pub fn with(nodes: Vec<Node>) -> Self {
        Self {
            fake: Fake::new(nodes),
            plan: plan(),
            host: HostBridgeEntry {
                ecam_va: 0,
                record_va: 0,
                bus_first: 0,
                bus_last: 15,
                refuse_on_mismatch: 0,
                reserved: 0,
            },
        }
    }

    pub fn enumerate(&self) -> (Fabric<'_>, Notes) {
        let mut fabric = Fabric::new(&self.host, &self.plan).unwrap();
        let mut notes = Notes::default();
        fabric.enumerate(&self.fake, &mut notes);
        assert_eq!(
            self.fake.masters(),
            [],
            "bus mastering is on after the enumeration"
        );
        (fabric, notes)
    }

    /// A life of the task, up to where it serves.
    pub fn live(&self) -> (Server<'_, &Fake>, Notes) {
        let mut fabric = Fabric::new(&self.host, &self.plan).unwrap();
        let mut notes = Notes::default();
        fabric.start(&self.fake, &mut notes);
        (Server::new(fabric, &self.fake, Some(AUTHORITY)), notes)
    }

    pub fn serve(&self) -> Server<'_, &Fake> {
        let (fabric, _) = self.enumerate();
        Server::new(fabric, &self.fake, Some(AUTHORITY))
    }
}

/// Indices of the planned functions that are not ready, and why.
pub fn blocked(fabric: &Fabric<'_>) -> Vec<(usize, Mismatch)> {
    let reasons = fabric.states.iter().map(|state| state.reason);
    reasons
        .enumerate()
        .filter_map(|(i, r)| Some((i, r?)))
        .collect()
}
