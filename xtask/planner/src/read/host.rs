//! A platform's PCI host: its apertures, its slots, and which StreamID a requester id becomes.

use super::fields::Fields;
use super::parts::{Reserved, read_parts};
use super::registers::{SHARED, SHARED_INTERRUPTS};
use super::units;
use crate::report::{Mistake, Span, Spanned};

/// The PCI segment.
#[derive(Clone, Debug)]
pub struct PciHost {
    pub buses: u32,
    /// The number of buses, if the description gives it.
    pub declared_buses: Option<Spanned<u32>>,
    /// 32-bit memory aperture.
    pub memory: Option<Aperture>,
    /// 64-bit memory aperture.
    pub prefetch: Option<Aperture>,
    /// Vendor and device id of function 00:00.0.
    pub host_bridge: (u16, u16),
    /// INTID of pin A of slot 0.
    pub intx: u32,
    /// First and last free slot of the root bus.
    pub root_slots: [u8; 2],
    /// Requester ids of the segment to StreamIDs; identity where nothing is said, nothing where the list is empty.
    pub streams: Option<Vec<StreamRow>>,
    /// Bits of a requester id that the mapping looks at; 0 means all.
    pub stream_mask: u16,
    /// The root complex never routes a request of one root port to another.
    pub never_routes_peers: bool,
    /// Further bus addresses that hosts pass on to devices: no window may touch them.
    pub keep_clear: Vec<Reserved>,
    /// The keys that an image needs and that are missing.
    pub missing: Vec<&'static str>,
}

impl Default for PciHost {
    fn default() -> Self {
        Self {
            buses: BUSES,
            declared_buses: None,
            memory: None,
            prefetch: None,
            host_bridge: (0, 0),
            intx: 0,
            root_slots: [0, SLOT_LAST],
            streams: None,
            stream_mask: 0,
            never_routes_peers: false,
            keep_clear: Vec::new(),
            missing: Vec::new(),
        }
    }
}

/// Bus addresses that the host passes on as memory.
#[derive(Clone, Debug)]
pub struct Aperture {
    /// The range's name in words, for a diagnostic.
    pub name: &'static str,
    /// The range's first address.
    pub start: u64,
    /// One above the last.
    pub end: u64,
    /// Where the processor finds the first address.
    pub seen_at: u64,
    /// The place of the range in the file.
    pub span: Span,
}

impl PciHost {
    pub fn apertures(&self) -> impl Iterator<Item = &Aperture> {
        self.memory.iter().chain(&self.prefetch)
    }

    /// Where the processor finds a bus address. What no aperture passes on has one address.
    pub fn seen_at(&self, address: u64) -> u64 {
        let mut apertures = self.apertures();
        let of = apertures.find(|range| (range.start..range.end).contains(&address));
        of.map_or(address, |range| address - range.start + range.seen_at)
    }
}

/// One row of an `iommu-map`.
#[derive(Clone, Debug)]
pub struct StreamRow {
    /// First requester id.
    pub requester: u32,
    /// The number of requester ids in the row.
    pub len: u32,
    /// The platform's first SMMU without one.
    pub smmu: Option<Spanned<String>>,
    /// StreamID of the first.
    pub stream: u32,
}

/// Buses of a segment.
const BUSES: u32 = 256;
/// Last device number of a bus.
const SLOT_LAST: u8 = 31;
/// One above the last address that a BAR of 32 bits can have.
const NARROW_END: u64 = 1 << 32;

/// Reads the table; a platform file says everything, the table of an `app.toml` as much as is known.
pub fn read(fields: Fields<'_>, whole: bool) -> Option<PciHost> {
    let mut missing = Vec::new();
    let mut needed = |key: &'static str, path: &'static str| {
        let given = fields.contains(key);
        if !given && !whole {
            missing.push(path);
        }
        given || whole
    };
    let buses = needed("buses", "pci.buses").then(|| fields.required("buses", buses));
    let memory = needed("memory", "pci.memory").then(|| fields.required("memory", Fields::pair));
    let prefetch =
        needed("prefetch", "pci.prefetch").then(|| fields.required("prefetch", Fields::pair));
    let bridge = needed("host-bridge", "pci.host-bridge").then(|| {
        fields.required("host-bridge", |fields, key| {
            fields.parsed(key, "an id such as \"1b36:0008\"", units::device_id)
        })
    });
    let intx = needed("intx", "pci.intx").then(|| fields.required("intx", intx));
    let slots =
        needed("root-slots", "pci.root-slots").then(|| fields.required("root-slots", root_slots));
    let mut host = PciHost {
        streams: read_streams(&fields),
        stream_mask: read_stream_mask(&fields),
        never_routes_peers: fields
            .boolean("never-routes-peers")
            .is_some_and(|never| never.value),
        keep_clear: read_parts(&fields, "keep-clear"),
        missing,
        ..PciHost::default()
    };
    if let Some(range) = memory {
        let at = fields.integer("memory-at");
        host.memory = aperture(&fields, "32-bit PCI aperture", range?, at, NARROW_END);
    }
    if let Some(range) = prefetch {
        let at = fields.integer("prefetch-at");
        host.prefetch = aperture(&fields, "64-bit PCI aperture", range?, at, u64::MAX);
    }
    fields.finish();
    if let Some(buses) = buses {
        let buses = buses?;
        host.buses = buses.value;
        host.declared_buses = Some(buses);
    }
    if let Some(bridge) = bridge {
        host.host_bridge = bridge?.value;
    }
    if let Some(intx) = intx {
        host.intx = intx?.value;
    }
    if let Some(slots) = slots {
        host.root_slots = slots?.value;
    }
    Some(host)
}

fn buses(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<u32>> {
    let buses = fields.word(key)?;
    if !(1..=BUSES).contains(&buses.value) {
        let draft = fields
            .report()
            .error(Mistake::BadValue, "a segment has 1 to 256 buses");
        draft.at(&buses.span, "expected how many, from bus 0");
        return None;
    }
    Some(buses)
}

/// All four lines are shared interrupts of the controller, whatever slots are in use.
fn intx(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<u32>> {
    let first = fields.word(key)?;
    let last = first.value.saturating_add(3);
    if !SHARED.contains(&first.value) || !SHARED.contains(&last) {
        fields
            .report()
            .error(
                Mistake::InterruptNumber,
                format!(
                    "INTIDs {} to {last} are not all numbers of shared interrupts",
                    first.value
                ),
            )
            .at(&first.span, "the first of the four INTx lines")
            .note(SHARED_INTERRUPTS);
        return None;
    }
    Some(first)
}

fn root_slots(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<[u8; 2]>> {
    let slots = fields.pair(key)?;
    let [first, last] = slots.value.map(|slot| {
        let slot = u8::try_from(slot).ok();
        slot.filter(|slot| *slot <= SLOT_LAST)
    });
    let (Some(first), Some(last)) = (first, last) else {
        let draft = fields
            .report()
            .error(Mistake::BadValue, "a bus has slots 0 to 31");
        draft.at(&slots.span, "expected the first and the last free slot");
        return None;
    };
    if last < first {
        fields
            .report()
            .error(Mistake::BadValue, "the free slots end before they begin")
            .at(&slots.span, "expected the first and the last free slot")
            .remedy("swap the two");
        return None;
    }
    Some(Spanned::new([first, last], slots.span))
}

/// `[start, end]`, whole pages; `[0, 0]` is no aperture.
fn aperture(
    fields: &Fields<'_>,
    name: &'static str,
    range: Spanned<[u64; 2]>,
    at: Option<Spanned<u64>>,
    most: u64,
) -> Option<Aperture> {
    let [start, end] = range.value;
    if [start, end] == [0, 0] {
        return None;
    }
    let seen_at = at.as_ref().map_or(start, |at| at.value);
    if let Some(at) = at.filter(|at| at.value % abi::layout::PAGE != 0) {
        fields
            .report()
            .error(Mistake::BadValue, format!("the {name} is seen at a part of a page"))
            .at(&at.span, "expected a multiple of 4 KiB")
            .remedy("write the processor's address of the aperture's first byte, or leave it out if the two are equal");
    }
    let problem = if end <= start {
        "ends before it begins".to_owned()
    } else if (start | end) % abi::layout::PAGE != 0 {
        "is not whole pages of 4 KiB".to_owned()
    } else if end > most {
        format!("ends beyond {most:#x}, where no BAR of 32 bits can be")
    } else {
        return Some(Aperture {
            name,
            start,
            end,
            seen_at,
            span: range.span,
        });
    };
    fields
        .report()
        .error(Mistake::BadValue, format!("the {name} {problem}"))
        .at(&range.span, format!("{start:#x} to {end:#x}"))
        .remedy(
            "write its first address and the first address after its end, or `[0, 0]` if there is none",
        );
    None
}

/// The `iommu-map-mask` key: the bits of a requester id that `iommu-map` looks at.
pub fn read_stream_mask(fields: &Fields<'_>) -> u16 {
    let Some(mask) = fields.word("iommu-map-mask") else {
        return 0;
    };
    match u16::try_from(mask.value) {
        Ok(bits) if bits != 0 => bits,
        _ => {
            fields
                .report()
                .error(
                    Mistake::BadValue,
                    "a mask of requester ids must leave at least one of their 16 bits",
                )
                .at(&mask.span, "expected 0x1 to 0xffff")
                .remedy("leave `iommu-map-mask` out if the whole id is looked at");
            0
        }
    }
}

/// The `iommu-map` key: `[{ requester = 0, length = 65536, smmu = "smmu", stream = 0 }]`. A list without rows says
/// that no request passes an SMMU; no list says nothing.
pub fn read_streams(fields: &Fields<'_>) -> Option<Vec<StreamRow>> {
    let given = fields.contains("iommu-map");
    let mut rows: Vec<StreamRow> = Vec::new();
    let mut spans: Vec<Span> = Vec::new();
    for row in fields.rows("iommu-map") {
        let requester = row.required("requester", Fields::word);
        let len = row.required("length", Fields::word);
        let stream = row.required("stream", Fields::word);
        let smmu = row.string("smmu");
        let span = row.span().clone();
        row.finish();
        let (Some(requester), Some(len), Some(stream)) = (requester, len, stream) else {
            continue;
        };
        if u64::from(requester.value) + u64::from(len.value) > 1 << 16 || len.value == 0 {
            fields
                .report()
                .error(Mistake::BadValue, "a row maps requester ids of one segment")
                .at(
                    &span,
                    "requester and length end beyond 65536, or the row is empty",
                );
            continue;
        }
        if stream.value.checked_add(len.value - 1).is_none() {
            fields
                .report()
                .error(Mistake::BadValue, "a StreamID has at most 32 bits")
                .at(&stream.span, "the last one of the row has more")
                .remedy("write the StreamID of the row's first requester id");
            continue;
        }
        let range = |row: &StreamRow| (row.requester, row.requester + row.len);
        let (first, end) = (requester.value, requester.value + len.value);
        if let Some((_, before)) = rows
            .iter()
            .zip(&spans)
            .find(|(row, _)| range(row).0 < end && first < range(row).1)
        {
            fields
                .report()
                .error(Mistake::Overlap, "two rows map one requester id")
                .at(&span, format!("ids {first:#x} to {:#x}", end - 1))
                .with(before, "this row has some of them")
                .remedy("let every id be in one row");
            continue;
        }
        spans.push(span);
        rows.push(StreamRow {
            requester: requester.value,
            len: len.value,
            smmu,
            stream: stream.value,
        });
    }
    given.then_some(rows)
}
