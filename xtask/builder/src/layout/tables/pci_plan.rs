//! The part of the plan that only the PCI task reads.

use plan::kernel::InterruptClass;
use plan::pci::{
    FunctionEntry, FunctionFlags, HostBridgeEntry, Quiesce as Recipe, Signalling, port_type,
};
use plan::{Builder, NONE, Name};
use solver::model::FunctionKind as Kind;
use solver::quirk::settable_acs;

use crate::layout::place::{Mapping, MappingKind, Placement};
use planner::planning::{
    Function, FunctionKind, NonPciDevice, Plan, WINDOW_CLOSED, message_address,
};
use planner::read::{MessageKind, MismatchPolicy, Quiesce};

/// Adds the PCI task's tables.
pub fn add(plan: &Plan, placement: &Placement, task: usize, builder: &mut Builder) {
    let mappings = placement
        .tasks
        .get(task)
        .map(|task| task.mappings.as_slice());
    let mappings = mappings.unwrap_or_default();
    let va = |kind| {
        mappings
            .iter()
            .find(|mapping| mapping.kind == kind)
            .map_or(0, |mapping| mapping.va)
    };
    let host = HostBridgeEntry {
        ecam_va: va(MappingKind::PciConfiguration),
        record_va: va(MappingKind::PciRecord),
        bus_first: 0,
        bus_last: plan.app.platform.pci.buses.saturating_sub(1),
        refuse_on_mismatch: u32::from(plan.app.iommu.on_mismatch == MismatchPolicy::Refuse),
        reserved: 0,
    };
    let functions = plan.fabric.functions.iter().enumerate();
    let functions = functions.map(|(number, function)| {
        let mut entry = entry(plan, number, function, va(MappingKind::QuiesceBar(number)));
        let table = MappingKind::MessageTable(number);
        let table = mappings.iter().find(|mapping| mapping.kind == table);
        signalling(plan, number, table, &mut entry);
        entry
    });
    let others = plan.non_pci_numbers().zip(&plan.non_pci);
    let others = others
        .map(|(number, device)| non_pci(plan, number, device, va(MappingKind::QuiesceBar(number))));
    let functions: Vec<FunctionEntry> = functions.chain(others).collect();
    builder.push(&[host]).push(&functions);
}

/// How the function signals.
fn signalling(plan: &Plan, number: usize, table: Option<&Mapping>, entry: &mut FunctionEntry) {
    let mut devices = plan.messages.iter();
    let Some(device) = devices.find(|device| device.function == number) else {
        return;
    };
    entry.vectors = device.vectors;
    entry.message_address = message_address(&plan.app).unwrap_or(0);
    entry.signalling = match device.kind {
        MessageKind::Msi => Signalling::Msi,
        MessageKind::MsiX => Signalling::MsiX,
    } as u32;
    if let (Some(planned), Some(mapping)) = (device.table, table) {
        entry.table_bar = planned.bar as u32;
        // Read as 32 bits.
        entry.table_offset = planned.offset as u32;
        entry.table_va = mapping.va;
        entry.table_len = mapping.len;
    }
}

/// The fields that every device has, on PCI or not: its group, its owner, and where its recipe
/// polls.
fn bare(plan: &Plan, number: usize, name: &str, quiesce_va: u64) -> FunctionEntry {
    let device = plan.domains.devices.get(number);
    let group = device.map_or(0, |device| device.group);
    let group_name = plan.domains.groups.get(group).map_or("", String::as_str);
    let owner = plan.app.driver(name);
    FunctionEntry {
        name: Name::new(name),
        group: Name::new(group_name),
        rid: 0,
        vendor_id: 0,
        device_id: 0,
        acs: 0,
        flags: 0,
        parent: NONE,
        owner: owner.map_or(NONE, |task| task as u32),
        group_index: group as u32,
        quiesce: Recipe::None as u32,
        quiesce_bar: 0,
        quiesce_offset: 0,
        quiesce_mask: 0,
        quiesce_expect: 0,
        quiesce_write: 0,
        quiesce_wait: 0,
        quiesce_va,
        buses: [0; 4],
        port_type: port_type::ANY,
        memory_window: WINDOW_CLOSED,
        prefetch_window: WINDOW_CLOSED,
        bar_address: [0; 6],
        bar_len: [0; 6],
        bar_kind: [0; 6],
        signalling: Signalling::Line as u32,
        vectors: 0,
        message_address: 0,
        table_bar: 0,
        table_offset: 0,
        table_va: 0,
        table_len: 0,
    }
}

fn non_pci(plan: &Plan, number: usize, device: &NonPciDevice, quiesce_va: u64) -> FunctionEntry {
    let mut entry = bare(plan, number, &device.name, quiesce_va);
    entry.flags = (FunctionFlags::PLATFORM | FunctionFlags::NO_INTERRUPT).bits();
    let registers = device.registers.as_deref();
    if let Some(block) = registers.and_then(|name| plan.app.platform.device(name)) {
        entry.bar_address[0] = block.base;
        entry.bar_len[0] = block.len;
    }
    if let Some(declared) = plan.app.devices.get(device.device) {
        recipe(&mut entry, declared.quiesce.unwrap_or(Quiesce::None));
    }
    entry
}

fn entry(plan: &Plan, number: usize, function: &Function, quiesce_va: u64) -> FunctionEntry {
    let mut entry = FunctionEntry {
        rid: function.rid(),
        vendor_id: function.id.0,
        device_id: function.id.1,
        parent: function.parent.map_or(NONE, |parent| parent as u32),
        memory_window: function.memory_window,
        prefetch_window: function.prefetch_window,
        ..bare(plan, number, &function.name, quiesce_va)
    };
    let mut flags = FunctionFlags::empty();
    flags.set(FunctionFlags::MULTIFUNCTION, function.multifunction);
    flags.set(FunctionFlags::OPTIONAL, function.optional);
    let declared = plan.machine.nodes.get(function.node.index());
    if let Some(acs) = declared.and_then(|node| settable_acs(&node.function)) {
        flags |= FunctionFlags::SET_ACS;
        entry.acs = acs.enabled;
    }
    match function.kind {
        // An expander's function is that of a host bridge: nothing of it is programmed.
        FunctionKind::HostBridge | FunctionKind::Expander(_) => {
            flags |= FunctionFlags::HOST_BRIDGE;
        }
        FunctionKind::Bridge(_) => {
            flags |= FunctionFlags::BRIDGE;
            let (secondary, subordinate) = function.buses_below.unwrap_or((0, 0));
            entry.buses = [function.bus, secondary, subordinate, 0];
            entry.port_type = declared.map_or(port_type::ANY, |node| kind(node.function.kind));
        }
        FunctionKind::Device(device) => {
            let routed = plan.interrupts.iter().any(|route| {
                route.device == function.name && route.class != InterruptClass::Message
            });
            flags.set(FunctionFlags::NO_INTERRUPT, !routed);
            if let Some(device) = plan.app.devices.get(device) {
                recipe(&mut entry, device.quiesce.unwrap_or(Quiesce::None));
                flags.set(FunctionFlags::ANY_BARS, !device.bars_known);
            }
        }
    }
    entry.flags = flags.bits();
    if !flags.contains(FunctionFlags::ANY_BARS) {
        bars(&mut entry, function);
    }
    entry
}

fn kind(bridge: Kind) -> u32 {
    match bridge {
        Kind::RootPort => port_type::ROOT_PORT,
        Kind::UpstreamPort => port_type::UPSTREAM_PORT,
        Kind::DownstreamPort => port_type::DOWNSTREAM_PORT,
        Kind::PcieToPci => port_type::TO_PCI,
        Kind::PciToPcie => port_type::FROM_PCI,
        Kind::ConventionalBridge => port_type::CONVENTIONAL,
        Kind::Endpoint
        | Kind::RootComplexEndpoint
        | Kind::EventCollector
        | Kind::Conventional
        | Kind::HostBridge => port_type::ANY,
    }
}

fn recipe(entry: &mut FunctionEntry, quiesce: Quiesce) {
    entry.quiesce = match quiesce {
        Quiesce::None => Recipe::None,
        Quiesce::FunctionReset => Recipe::FunctionReset,
        Quiesce::BusReset => Recipe::BusReset,
        Quiesce::Poll { write: None, .. } => Recipe::Poll,
        Quiesce::Poll { write: Some(_), .. } => Recipe::WriteThenPoll,
        Quiesce::Wait(_) => Recipe::Wait,
    } as u32;
    match quiesce {
        Quiesce::Poll {
            bar,
            offset,
            mask,
            expect,
            write,
            deadline,
        } => {
            entry.quiesce_bar = bar;
            entry.quiesce_offset = offset;
            entry.quiesce_mask = mask;
            entry.quiesce_expect = expect;
            entry.quiesce_write = write.unwrap_or(0);
            entry.quiesce_wait = deadline;
        }
        Quiesce::Wait(time) => entry.quiesce_wait = time,
        Quiesce::None | Quiesce::FunctionReset | Quiesce::BusReset => {}
    }
}

/// Low bits of a memory BAR (PCI Local Bus Specification 3.0, 6.2.5.1).
const BAR_64_BIT: u32 = 1 << 2;
const BAR_PREFETCHABLE: u32 = 1 << 3;

fn bars(entry: &mut FunctionEntry, function: &Function) {
    let places = entry.bar_address.iter_mut().zip(&mut entry.bar_len);
    for (index, ((address, len), kind)) in places.zip(&mut entry.bar_kind).enumerate() {
        if let Some(placement) = function.bars.get(&index) {
            *address = placement.address;
            *len = placement.bar.len;
            let wide = if placement.bar.wide { BAR_64_BIT } else { 0 };
            let prefetch = if placement.bar.prefetch {
                BAR_PREFETCHABLE
            } else {
                0
            };
            *kind = wide | prefetch;
        }
    }
}
