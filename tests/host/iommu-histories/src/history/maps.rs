//! Mapping, and using what was mapped.

use iommu_api::{Error, Extent, Map, MapFlags, MapLease, MapList, Operation};
use userlib::protocol::Wire;

use super::{History, PAGES_USED};
use crate::intent::Intent;
use crate::kernel::Lent;
use crate::layout::{CLIENT, POOLS, WINDOW};
use crate::oracle::Grant;
use smmu_model::Check;
use smmu_model::Fault;

impl History<'_> {
    pub(super) fn flags(&mut self) -> (MapFlags, bool) {
        match self.chooser.below(16) {
            0..=9 => (MapFlags::READ_WRITE, true),
            10..=14 => (MapFlags::READ, false),
            _ => (MapFlags(2), true),
        }
    }

    /// Where: chosen by the server, or fixed, perhaps where something is or where nothing can be.
    pub(super) fn place(&mut self, device: usize, pages: u64, flags: MapFlags) -> (MapFlags, u64) {
        if !self.chooser.once_in(3) {
            return (flags, 0);
        }
        let blocks = flags.has(MapFlags::BLOCKS);
        let slots = if blocks { 4 } else { 520 };
        let slot = self.chooser.below(slots) as u64;
        let base = match self.world.borrow().layout.domain_of(device) {
            Some(domain) if blocks => domain.block_base,
            _ => WINDOW,
        };
        let unit = if blocks { 2 << 20 } else { 4096 };
        let _ = pages;
        (flags.with(MapFlags::FIXED), base + slot * unit)
    }

    fn has_blocks(&self, device: usize) -> bool {
        let world = self.world.borrow();
        let domain = world.layout.domain_of(device);
        domain.is_some_and(|domain| domain.blocks > 0)
    }

    pub(super) fn map(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let task = held.owner.index();
        let pool = self.chooser.below(2) as u32 * u32::from(self.chooser.once_in(2));
        let known = POOLS
            .iter()
            .find(|entry| entry.0 == task && entry.1 == pool);
        let pool_pages = known.map_or(1, |entry| entry.3 / 4096);
        let (mut flags, write) = self.flags();
        let (mut first, mut pages) = (
            self.chooser.below(pool_pages as usize) as u64,
            1 + self.chooser.below(4) as u64,
        );
        let blocks = pool_pages >= 512 && self.has_blocks(device);
        if blocks && self.chooser.once_in(3) {
            // Beyond what is invalidated page by page.
            pages = 60 + self.chooser.below(80) as u64;
        } else if blocks && self.chooser.once_in(3) {
            flags = flags.with(MapFlags::BLOCKS);
            first = first / 512 * 512;
            pages = 512;
        }
        let (flags, iova) = self.place(device, pages, flags);
        let extent = Extent {
            first: first as u32,
            pages: pages as u32,
        };
        let words = |head| {
            let map = Map {
                head,
                extent,
                pool: pool as u16,
                flags,
                iova,
            };
            map.to_words()[..5].to_vec()
        };
        let inside = known.is_some() && first + pages <= pool_pages;
        let output = known.map_or(0, |entry| entry.2) + first * 4096;
        let maps = vec![(output, pages)];
        let intent = Intent::map(device, if inside { maps } else { Vec::new() }, write);
        let Some((code, payload)) = self.change((device, held), Operation::Map, words, &intent)
        else {
            return;
        };
        self.changed(device, code);
        if code == 0 {
            if !inside || !flags.readable() {
                self.note(Check::Protocol, || {
                    format!("device {device}: {extent:?} of pool {pool} was granted")
                });
            }
            if let Some(range) = self.machine.premapped_of(device)
                && range.pool == pool
                && flags == MapFlags::READ_WRITE
            {
                return self.found(device, payload[0], range.iova + first * 4096);
            }
            self.granted(device, payload[0], &intent.maps, write);
        }
    }

    pub(super) fn map_list(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let Some(&(_, pool, pa, len)) = POOLS.iter().find(|entry| entry.0 == held.owner.index())
        else {
            return;
        };
        let (flags, write) = self.flags();
        let mut extents = Vec::new();
        let mut granted = Vec::new();
        for _ in 0..1 + self.chooser.below(9) {
            let first = self.chooser.below((len / 4096).min(16) as usize) as u64;
            let pages = 1 + self.chooser.below(2) as u64;
            extents.push(Extent {
                first: first as u32,
                pages: pages as u32,
            });
            granted.push((pa + first * 4096, pages));
        }
        let inside = extents
            .iter()
            .all(|extent| u64::from(extent.first) + u64::from(extent.pages) <= len / 4096);
        let (flags, iova) = self.place(device, 1, flags);
        let words = |head| {
            let map = MapList {
                head,
                pool: pool as u16,
                flags,
                iova,
            };
            let mut words = map.to_words().to_vec();
            words.extend(extents.iter().map(|extent| extent.to_word()));
            words
        };
        let intent = Intent::map(device, granted, write);
        let Some((code, payload)) = self.change((device, held), Operation::MapList, words, &intent)
        else {
            return;
        };
        self.changed(device, code);
        if code == 0 {
            if !inside {
                self.note(Check::Protocol, || {
                    format!("device {device}: {extents:?} was granted")
                });
            }
            self.granted(device, payload[0], &intent.maps, write);
        }
    }

    pub(super) fn map_lease(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let lender = self.world.borrow().kernel.id(CLIENT);
        if held.owner.index() == CLIENT {
            // Nobody waits for its own reply.
            return;
        }
        let Some(&(_, _, pa, len)) = POOLS.iter().find(|entry| entry.0 == CLIENT) else {
            return;
        };
        let first = self.chooser.below((len / 4096) as usize) as u64;
        let pages = 1 + self.chooser.below(3) as u64;
        let (flags, write) = self.flags();
        let (flags, iova) = self.place(device, pages, flags);
        let writable = !self.chooser.once_in(4);
        let alive = self.world.borrow().kernel.is_alive(CLIENT);
        if alive {
            self.world.borrow_mut().kernel.lease = Some(Lent {
                lender,
                driver: held.owner,
                pa,
                len,
                writable,
            });
        }
        let extent = Extent {
            first: first as u32,
            pages: pages as u32,
        };
        let lease = u16::from(self.chooser.once_in(16));
        let words = |head| {
            let map = MapLease {
                head,
                extent,
                lease,
                flags,
                iova,
                lender: lender.0,
            };
            map.to_words()[..6].to_vec()
        };
        let inside = alive && first + pages <= len / 4096 && lease == 0;
        let maps = vec![(pa + first * 4096, pages)];
        let intent = Intent::map(device, if inside { maps } else { Vec::new() }, write);
        let answer = self.change((device, held), Operation::MapLease, words, &intent);
        self.world.borrow_mut().kernel.lease = None;
        let Some((code, payload)) = answer else {
            return;
        };
        self.changed(device, code);
        if code == 0 {
            if !inside || (write && !writable) {
                self.note(Check::Protocol, || {
                    format!("device {device}: {extent:?} of lease {lease} was granted")
                });
            }
            self.granted(device, payload[0], &intent.maps, write);
        }
    }

    /// After a request that changes something: a hardware failure or a revocation cuts the device off.
    pub(super) fn changed(&mut self, device: usize, code: u32) {
        if code == Error::StreamBlocked as u32
            && let Some(held) = self.held.get_mut(device).and_then(Option::as_mut)
        {
            held.revoked = true;
        }
        self.check_hardware(device, code);
        if code == Error::Unavailable as u32 || Error::from_code(code).is_none() && code != 0 {
            self.note(Check::Protocol, || {
                format!("device {device}: code {code:#x}")
            });
        }
    }

    /// An SMMU that works is not taken for broken.
    pub(super) fn check_hardware(&self, device: usize, code: u32) {
        let stopped = self.world.borrow().model.has_stopped();
        if code == Error::HardwareFailure as u32 && !stopped {
            self.note(Check::Liveness, || {
                format!("device {device}: hardware failure")
            });
        }
    }

    /// The server named the place of what is mapped for good.
    fn found(&mut self, device: usize, iova: u64, planned: u64) {
        self.counts[1] += 1;
        if iova != planned {
            self.note(Check::Protocol, || {
                format!("device {device}: {iova:#x} for what is at {planned:#x}")
            });
        }
        let held = self.held.get(device).copied().flatten();
        if held.is_some_and(|held| !held.revoked) {
            self.try_grants(device);
        }
    }

    /// The server granted a run of addresses: it must translate at once, and as asked.
    pub(super) fn granted(
        &mut self,
        device: usize,
        iova: u64,
        outputs: &[(u64, u64)],
        write: bool,
    ) {
        self.counts[1] += 1;
        let mut input = iova;
        let mut taken = Vec::new();
        for &(output, pages) in outputs {
            let bytes = pages * 4096;
            let grant = Grant {
                input,
                output,
                bytes,
                write,
            };
            let mut world = self.world.borrow_mut();
            let overlaps = (0..self.machine.devices.len()).any(|other| {
                self.machine.share(other, device)
                    && world.oracle.grants(other).iter().any(|other| {
                        input < other.input + other.bytes && other.input < input + bytes
                    })
            });
            taken.extend(overlaps.then_some(grant));
            world.oracle.grant(device, grant);
            world.model.interest(input);
            input += bytes;
        }
        let held = self.held.get(device).copied().flatten();
        if held.is_some_and(|held| !held.revoked) {
            self.try_grants(device);
        }
        for grant in taken {
            self.note(Check::Protocol, || format!("{grant:x?} overlaps"));
        }
    }

    /// Uses a grant as it may be used, and as it may not.
    pub(super) fn try_grants(&mut self, device: usize) {
        let mut world = self.world.borrow_mut();
        // Without the PCI task a device that is cut off stays bus master.
        let cut_off = world.fabric.down && !world.is_open(device);
        if !world.fabric.is_bus_master(device) || cut_off {
            return;
        }
        let granted = world.oracle.grants(device).iter().copied();
        let grants: Vec<Grant> = world
            .oracle
            .unasked(device)
            .into_iter()
            .chain(granted)
            .collect();
        // The newest as often as all others.
        let newest = grants.last().filter(|_| self.chooser.once_in(2));
        let (Some(&grant), Some(&stream)) = (
            newest.or_else(|| self.chooser.pick(&grants)),
            self.chooser.pick(self.machine.streams_of(device)),
        ) else {
            return;
        };
        let bytes = grant.bytes.min(PAGES_USED * 4096);
        let offset = self.chooser.below(bytes as usize) as u64;
        let write = self.chooser.once_in(2);
        let outcome = world
            .model
            .access(device as u32, stream, grant.input + offset, write);
        let right = match outcome {
            Ok(flight) => flight.output == grant.output + offset && (grant.write || !write),
            Err(fault) => write && !grant.write && fault == Fault::Permission,
        };
        if !right {
            world.model.findings.note(Check::Function, || {
                format!("device {device} stream {stream:#x} {grant:x?}+{offset:#x} write {write}: {outcome:x?}")
            });
        }
    }
}
