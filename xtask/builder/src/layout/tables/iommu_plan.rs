//! The part of the plan that only the IOMMU server reads.

use plan::iommu::{
    DeviceEntry, DomainEntry, DomainKind, Invalidation, LentPoolEntry, PoolEntry, PremappedEntry,
    SmmuEntry, StreamEntry,
};
use plan::{Builder, NONE, Name, TaskLists};
use smmu::stream::SPLIT;

use super::premapped;
use super::smmu::{COMMAND_LOG2, EVENT_LOG2, SmmuTables};
use crate::layout::place::{Extent, MappingKind, Placement, tables_of};
use planner::planning::Plan;
use planner::read::{MismatchPolicy, PlatformDevice};
use solver::model::DomainType;

/// Adds the server's tables; `task` is the server.
pub fn add(
    plan: &Plan,
    placement: &Placement,
    smmus: &[SmmuTables],
    task: usize,
    builder: &mut Builder,
) {
    let mut lists = TaskLists::default();
    let (streams, devices) = devices(plan, smmus, &mut lists);
    builder
        .push(&entries(plan, placement, smmus, task))
        .push(&domains(plan, smmus))
        .push(&streams)
        .push(&devices)
        .push(&pools(placement))
        .push(lists.numbers())
        .push(&premapped_entries(plan, placement))
        .push(&lent_pools(plan));
}

/// The SMMUs, by their numbers.
fn entries(
    plan: &Plan,
    placement: &Placement,
    smmus: &[SmmuTables],
    task: usize,
) -> Vec<SmmuEntry> {
    let platform = &plan.app.platform;
    let devices = platform.smmus().into_iter().zip(smmus);
    let places = devices.zip(&placement.smmus);
    let entry = |((device, smmu), place): ((&PlatformDevice, &SmmuTables), &Extent)| {
        let va = |kind, name: &str| {
            let task = placement.tasks.get(task);
            let mut mappings = task.into_iter().flat_map(|task| &task.mappings);
            mappings
                .find(|mapping| mapping.kind == kind && mapping.name == name)
                .map_or(0, |mapping| mapping.va)
        };
        let interrupt = |name: &str| {
            plan.interrupts
                .iter()
                .find(|route| route.device == device.name && route.interrupt == name)
                .map_or(0, |route| route.bit)
        };
        SmmuEntry {
            name: Name::new(&device.name),
            registers_va: va(MappingKind::Registers, &device.name),
            tables_va: va(MappingKind::SmmuTables, &tables_of(&device.name)),
            tables_pa: place.pa,
            tables_len: place.len,
            stream_l1: smmu.stream_l1,
            stream_log2: smmu.stream_bits,
            stream_split: SPLIT,
            command_queue: smmu.command_queue,
            event_queue: smmu.event_queue,
            command_log2: COMMAND_LOG2,
            event_log2: EVENT_LOG2,
            event_interrupt: interrupt("event"),
            error_interrupt: interrupt("error"),
            coherent: u32::from(platform.coherent),
            address_bits: platform.address_bits,
            refuse_on_mismatch: u32::from(plan.app.iommu.on_mismatch == MismatchPolicy::Refuse),
            reserved: 0,
        }
    };
    places.map(entry).collect()
}

fn domains(plan: &Plan, smmus: &[SmmuTables]) -> Vec<DomainEntry> {
    plan.domains
        .domains
        .iter()
        .enumerate()
        .map(|(index, domain)| {
            let smmu = smmus.get(domain.smmu);
            let tables = smmu.and_then(|smmu| smmu.domains.get(&index));
            let tables = tables.copied().unwrap_or_default();
            let lazy = domain.lazy.as_ref().map(|lazy| lazy.bounds);
            DomainEntry {
                kind: match domain.kind {
                    _ if domain.bypass => DomainKind::Bypass,
                    DomainType::Blocked => DomainKind::Blocked,
                    DomainType::Dma => DomainKind::Dma,
                    DomainType::Identity => DomainKind::Identity,
                } as u32,
                smmu: domain.smmu as u32,
                asid: u32::from(domain.asid),
                invalidation: match domain.lazy {
                    _ if domain.premaps_pools => Invalidation::Premapped,
                    Some(_) => Invalidation::Lazy,
                    None => Invalidation::Strict,
                } as u32,
                context: tables.context,
                root: tables.root,
                leaf: tables.leaf,
                iova_base: domain.iova_base,
                pages: domain.page_bytes / abi::layout::PAGE,
                block_entries: tables.block_entries,
                block_base: domain.block_base,
                blocks: domain.block_bytes / abi::layout::BLOCK,
                snoops: u32::from(domain.snoops),
                lazy_pages: lazy.map_or(0, |bounds| bounds.pages),
                lazy_ms: lazy.map_or(0, |bounds| bounds.milliseconds),
            }
        })
        .collect()
}

fn devices(
    plan: &Plan,
    smmus: &[SmmuTables],
    lists: &mut TaskLists,
) -> (Vec<StreamEntry>, Vec<DeviceEntry>) {
    let mut streams = Vec::new();
    let mut devices = Vec::new();
    let non_pci = plan.non_pci_numbers();
    let named = plan.device_names().zip(&plan.domains.devices);
    for (number, (name, device)) in named.enumerate() {
        let owner = plan.app.driver(name);
        devices.push(DeviceEntry {
            name: Name::new(name),
            domain: device.domain.map_or(NONE, |domain| domain as u32),
            owner: owner.map_or(NONE, |owner| owner as u32),
            streams: streams.len() as u32,
            stream_count: device.streams.len() as u32,
            group: device.group as u32,
            reset_unit: device.reset_unit as u32,
            pins: plan.pins(name) as u32,
            always_open: u32::from(device.always_open),
            non_pci: u32::from(non_pci.contains(&number)),
            watched: u32::from(plan.is_watched(name)),
            auditors: lists.add(plan.auditors(name)),
        });
        streams.extend(device.streams.iter().map(|&stream| {
            StreamEntry {
                stream_id: stream,
                smmu: device.smmu as u32,
                entry: smmus
                    .get(device.smmu)
                    .and_then(|smmu| smmu.entry(stream))
                    .unwrap_or(0),
                always_open: u32::from(plan.domains.always_open(device.smmu, stream).is_some()),
                reserved: 0,
            }
        }));
    }
    (streams, devices)
}

fn premapped_entries(plan: &Plan, placement: &Placement) -> Vec<PremappedEntry> {
    let domains = plan.domains.domains.iter().enumerate();
    domains
        .flat_map(|(index, domain)| {
            let ranges = premapped::ranges(placement, domain).into_iter();
            ranges.map(move |range| PremappedEntry {
                domain: index as u32,
                kind: range.kind as u32,
                task: range.pool.map_or(NONE, |(task, _)| task as u32),
                pool: range.pool.map_or(0, |(_, pool)| pool as u32),
                iova: range.iova,
                pa: range.pa,
                len: range.len,
                memory: range.memory as u32,
                reserved: 0,
            })
        })
        .collect()
}

fn lent_pools(plan: &Plan) -> Vec<LentPoolEntry> {
    let devices = plan.device_names().zip(0u32..);
    let entries = devices.flat_map(|(name, device)| {
        let lent = plan.lent_to(name).into_iter();
        lent.map(move |lent| LentPoolEntry {
            device,
            task: lent.task as u32,
            pool: lent.pool as u32,
            writable: u32::from(lent.writable),
            pages: lent.bytes / abi::layout::PAGE,
        })
    });
    entries.collect()
}

fn pools(placement: &Placement) -> Vec<PoolEntry> {
    placement
        .tasks
        .iter()
        .enumerate()
        .flat_map(|(task, places)| {
            places
                .pools
                .iter()
                .enumerate()
                .map(move |(pool, extent)| PoolEntry {
                    task: task as u32,
                    pool: pool as u32,
                    pa: extent.pa,
                    len: extent.len,
                })
        })
        .collect()
}
