//! The part of the plan that the PCI task reads: it programs every function by these numbers, ACS included, and
//! makes devices quiet.

use crate::Verified;
use crate::blob::{Blob, Record, kind};
use crate::expected::{Device, Function, Plan, Task};
use crate::image::Image;
use crate::signals;
use crate::spaces::Spaces;

const PCI_TASK: &str = "the PCI task";
const NONE: u32 = u32::MAX;
/// A window that lets nothing through.
const CLOSED: [u64; 2] = [0xfff0_0000, 0x000f_ffff];
/// Bytes of configuration space of a bus.
const BUS: u64 = 1 << 20;
const PLATFORM: u32 = 1 << 6;
const NO_INTERRUPT: u32 = 1 << 5;

/// Compares every record with `plan.json`; nothing without a PCI task.
///
/// # Errors
/// If its plan cannot be read.
pub fn check(
    image: &Image<'_>,
    plan: &Plan,
    spaces: &Spaces,
    verified: &mut Verified,
) -> Result<(), String> {
    let mut tasks = plan.tasks.iter().zip(&spaces.plans);
    let Some((task, place)) = tasks.find(|(task, _)| at(task, CONFIGURATION, None).is_some())
    else {
        return Ok(());
    };
    let blob = Blob::new(image.plan(*place), PCI_TASK)?;
    verified.addresses.pci_plan = place.unwrap_or_default();
    host(&blob, plan, task, verified);
    let records = blob.table(kind::FUNCTION);
    verified.compare(
        PCI_TASK,
        "functions",
        &records.len(),
        &plan.devices().count(),
    );
    for (record, device) in records.iter().zip(plan.devices()) {
        let whose = format!("device {}", device.name);
        names(record, plan, device, &whose, verified);
        bars(record, device, &whose, verified);
        quiesce(record, task, device, &whose, verified);
        let flags = device
            .function
            .as_ref()
            .map_or(Some(PLATFORM | NO_INTERRUPT), flags);
        let what = "the PCI task is told of the properties";
        verified.compare(&whose, what, &Some(record.u32(56)), &flags);
        programmed(record, plan, device, &whose, verified);
        signals::function(record, plan, task, device, &whose, verified);
    }
    Ok(())
}

const CONFIGURATION: &str = "pci-configuration";

/// The beginning of a range of a task's memory.
pub fn at(task: &Task, what: &str, name: Option<&str>) -> Option<u64> {
    let mut found = task.memory.iter().filter(|range| range.what == what);
    found
        .find(|range| name.is_none_or(|name| range.name == name))
        .map(|range| range.input)
}

fn host(blob: &Blob<'_>, plan: &Plan, task: &Task, verified: &mut Verified) {
    let words = |record: &Record<'_>| {
        let (buses, rest) = (
            [16, 20].map(|at| record.u32(at)),
            [24, 28].map(|at| record.u32(at)),
        );
        ([0, 8].map(|at| Some(record.u64(at))), buses, rest)
    };
    let told: Vec<_> = blob.table(kind::HOST_BRIDGE).iter().map(words).collect();
    let mut spaces = task
        .memory
        .iter()
        .filter(|range| range.what == CONFIGURATION);
    let buses = spaces.next().map_or(0, |range| range.bytes / BUS);
    let last = u32::try_from(buses.saturating_sub(1)).unwrap_or(NONE);
    let refuse = plan
        .smmus
        .first()
        .is_some_and(|smmu| smmu.on_mismatch == "refuse");
    let places = [at(task, CONFIGURATION, None), at(task, "pci-record", None)];
    let planned = vec![(places, [0, last], [u32::from(refuse), 0])];
    verified.compare(
        PCI_TASK,
        "configuration space, record, buses, refuse on mismatch:",
        &told,
        &planned,
    );
}

fn names(record: &Record<'_>, plan: &Plan, device: &Device, whose: &str, verified: &mut Verified) {
    let told = (record.name(), record.name_at(24));
    let planned = (device.name.clone(), device.group.clone());
    verified.compare(
        whose,
        "the PCI task is told of the device and its group",
        &told,
        &planned,
    );
    let owner = device
        .owner
        .as_ref()
        .map_or(Some(NONE), |owner| plan.task(&owner.name));
    let group = plan
        .groups
        .iter()
        .position(|group| group.name == device.group);
    let told = [64, 68].map(|at| Some(record.u32(at)));
    let planned = [owner, group.and_then(|group| u32::try_from(group).ok())];
    verified.compare(
        whose,
        "the PCI task is told of owner and group",
        &told,
        &planned,
    );
}

fn bars(record: &Record<'_>, device: &Device, whose: &str, verified: &mut Verified) {
    let mut planned = [(0, 0, 0); 6];
    let is_known = device
        .function
        .as_ref()
        .is_none_or(|function| !function.any_bars);
    for bar in device.bars.iter().filter(|_| is_known) {
        let kind = u32::from(bar.wide) << 2 | u32::from(bar.prefetchable) << 3;
        if let Some(place) = planned.get_mut(bar.bar) {
            *place = (bar.address, bar.bytes, kind);
        }
    }
    let bar = |index: usize| {
        let wide = index * 8;
        (
            record.u64(152 + wide),
            record.u64(200 + wide),
            record.u32(248 + index * 4),
        )
    };
    let told = [0, 1, 2, 3, 4, 5].map(bar);
    verified.compare_rows(
        whose,
        "the PCI task is told of the BAR",
        Some(&told),
        &planned,
    );
}

fn quiesce(
    record: &Record<'_>,
    task: &Task,
    device: &Device,
    whose: &str,
    verified: &mut Verified,
) {
    let quiesce = &device.quiesce;
    let ways = ["none", "function-reset", "bus-reset", "poll", "", "wait"];
    let way = ways.iter().position(|way| *way == quiesce.way);
    // A poll with a write before it is the next one.
    let way = way.and_then(|way| u32::try_from(way + usize::from(quiesce.write.is_some())).ok());
    let told = [72, 76, 80, 84, 88, 92].map(|at| Some(record.u32(at)));
    let numbers = [
        quiesce.bar,
        quiesce.offset,
        quiesce.mask,
        quiesce.expect,
        quiesce.write.unwrap_or(0),
    ];
    let [bar, offset, mask, expect, write] = numbers.map(Some);
    let what = "the PCI task makes it quiet by";
    verified.compare(whose, what, &told, &[way, bar, offset, mask, expect, write]);
    let name = format!("{}-quiesce", device.name);
    let place = at(task, "quiesce-bar", Some(&name)).unwrap_or(0);
    let told = [96, 104].map(|at| record.u64(at));
    verified.compare(
        whose,
        "the PCI task waits, and polls at",
        &told,
        &[quiesce.wait_ns, place],
    );
}

/// Bridge, host bridge, several functions, ACS to be set, optional, no interrupt, not on PCI, any BARs, from bit 0 up.
fn flags(function: &Function) -> Option<u32> {
    let kind = match function.kind.as_str() {
        "bridge" => 1 << 0,
        "host-bridge" => 1 << 1,
        "device" => 0,
        _ => return None,
    };
    let bit = |is: bool, bit: u32| if is { 1 << bit } else { 0 };
    let silent = function.kind == "device" && !function.interrupts;
    let rest =
        bit(function.multifunction, 2) | bit(function.acs.is_some(), 3) | bit(function.optional, 4);
    Some(kind | rest | bit(silent, 5) | bit(function.any_bars, 7))
}

/// Identity, ACS, bus numbers and windows.
fn programmed(
    record: &Record<'_>,
    plan: &Plan,
    device: &Device,
    whose: &str,
    verified: &mut Verified,
) {
    let id = [48, 50, 52, 54].map(|at| Some(u64::from(record.u32(at) as u16)));
    let rest = [record.u32(60), record.u32(112), record.u32(116)].map(Some);
    let windows = [120, 128, 136, 144].map(|at| Some(record.u64(at)));
    let planned = match &device.function {
        None => (
            [Some(0); 4],
            [NONE, 0, 0].map(Some),
            [CLOSED, CLOSED]
                .as_flattened()
                .iter()
                .copied()
                .map(Some)
                .collect(),
        ),
        Some(function) => of_function(plan, device, function),
    };
    let what = "the PCI task is told of requester id, vendor, device and ACS; bridge above, buses and port; windows";
    verified.compare(whose, what, &(id, rest, windows.to_vec()), &planned);
}

type Programmed = ([Option<u64>; 4], [Option<u32>; 3], Vec<Option<u64>>);

fn of_function(plan: &Plan, device: &Device, function: &Function) -> Programmed {
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok();
    let place = device.address.as_deref().and_then(|address| {
        let (bus, slot) = address.split_once(':')?;
        let (slot, number) = slot.split_once('.')?;
        Some([hex(bus)?, hex(slot)?, hex(number)?])
    });
    let rid = place.map(|[bus, slot, number]| bus << 8 | slot << 3 | number);
    let ids = function.id.split_once(':');
    let acs = function.acs.as_deref().map_or(Some(0), hex);
    let ids = [
        rid,
        ids.and_then(|ids| hex(ids.0)),
        ids.and_then(|ids| hex(ids.1)),
        acs,
    ];
    let number = |name: &String| plan.functions.iter().position(|other| other.name == *name);
    let parent = function
        .parent
        .as_ref()
        .map_or(Some(NONE), |name| u32::try_from(number(name)?).ok());
    let is_bridge = function.kind == "bridge";
    let [secondary, subordinate] = function.buses_below.unwrap_or_default().map(u32::from);
    let bus = place.map_or(0, |[bus, ..]| bus as u32);
    let buses = if is_bridge {
        bus | secondary << 8 | subordinate << 16
    } else {
        0
    };
    let port = match function.port.as_str() {
        _ if !is_bridge => Some(0),
        "root port" => Some(4),
        "switch upstream port" => Some(5),
        "switch downstream port" => Some(6),
        "PCIe-to-PCI bridge" => Some(7),
        "PCI-to-PCIe bridge" => Some(8),
        "conventional bridge" => Some(0x100),
        _ => None,
    };
    let windows = [&function.window, &function.prefetch_window]
        .into_iter()
        .flatten();
    (
        ids,
        [parent, Some(buses), port],
        windows.map(|end| hex(end)).collect(),
    )
}
