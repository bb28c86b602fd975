//! The part of the plan that only the owner of the interrupt translation service reads.

use plan::Builder;
use plan::its::{ItsEntry, SourceEntry};

use crate::layout::place::{MappingKind, Placement};
use planner::planning::Plan;

/// Adds the tables of the service's owner; none if no function signals by messages.
pub fn add(plan: &Plan, placement: &Placement, task: usize, builder: &mut Builder) {
    let Some(messages) = &placement.messages else {
        return;
    };
    let mappings = placement.tasks.get(task);
    let mappings = mappings.map_or(&[][..], |task| task.mappings.as_slice());
    let platform = &plan.app.platform;
    let registers = platform.its().map_or(0, |its| its.value);
    let registers = mappings
        .iter()
        .find(|mapping| mapping.kind == MappingKind::Registers && mapping.pa == registers);
    let memory = mappings
        .iter()
        .find(|mapping| mapping.kind == MappingKind::ItsMemory);
    let (devices, devices_len) = messages.memory.devices();
    let (collections, collections_len) = messages.memory.collections();
    let its = ItsEntry {
        registers_va: registers.map_or(0, |mapping| mapping.va),
        registers_len: registers.map_or(0, |mapping| mapping.len),
        memory_va: memory.map_or(0, |mapping| mapping.va),
        memory_pa: messages.its.pa,
        memory_len: messages.its.len,
        devices,
        devices_len,
        collections,
        collections_len,
        redistributor: platform
            .gic
            .as_ref()
            .map_or(0, |gic| gic.redistributor.value),
    };
    let sources = plan.messages.iter().zip(&messages.tables);
    let sources: Vec<SourceEntry> = sources
        .map(|(device, table)| SourceEntry {
            device: device.function as u32,
            device_id: u32::from(device.device_id),
            events: device.vectors,
            first_intid: device.first_intid,
            table: table.offset,
            event_bits: table.bits,
            reserved: 0,
        })
        .collect();
    builder.push(&[its]).push(&sources);
}
