//! Device memory that tasks see.

use abi::layout::PAGE;

use super::Extent;
use super::mapping::MappingKind;
use planner::planning::{FunctionKind, Plan, bar_name};
use planner::read::{MessageKind, PlatformDeviceKind, Quiesce, Task};

/// Bytes of configuration space of one bus (PCI Express Base Specification, 7.2.2).
const BUS_CONFIGURATION: u64 = 1 << 20;

/// Name of the mapping of an SMMU's tables.
pub fn tables_of(smmu: &str) -> String {
    format!("{smmu}-tables")
}

/// Name of the mapping of the memory of the interrupt translation service.
const ITS_MEMORY: &str = "its-memory";

/// Registers of platform devices, configuration space, the tables of SMMUs.
pub fn platform(
    plan: &Plan,
    task: &Task,
    smmus: &[Extent],
    its: Option<Extent>,
    add: &mut impl FnMut(&str, Extent, MappingKind),
) {
    for own in &task.owns {
        let Some(device) = plan.app.platform.device(&own.value) else {
            continue;
        };
        let registers = Extent {
            pa: device.base,
            len: device.len.next_multiple_of(PAGE),
        };
        match device.kind {
            PlatformDeviceKind::Registers => add(&device.name, registers, MappingKind::Registers),
            PlatformDeviceKind::SmmuV3 => {
                add(&device.name, registers, MappingKind::Registers);
                let number = plan.app.platform.smmu_number(&device.name);
                let tables = number.and_then(|number| smmus.get(number));
                if let Some(tables) = tables.filter(|tables| tables.len > 0) {
                    add(&tables_of(&device.name), *tables, MappingKind::SmmuTables);
                }
            }
            PlatformDeviceKind::Its => {
                add(&device.name, registers, MappingKind::Registers);
                if let Some(memory) = its.filter(|memory| memory.len > 0) {
                    add(ITS_MEMORY, memory, MappingKind::ItsMemory);
                }
            }
            PlatformDeviceKind::PciHost => {
                // All of them: what answers on a bus that the plan does not have must be noticed.
                let buses = u64::from(plan.app.platform.pci.buses);
                let len = (buses * BUS_CONFIGURATION).min(registers.len);
                add(
                    &device.name,
                    Extent { len, ..registers },
                    MappingKind::PciConfiguration,
                );
            }
        }
    }
}

/// BARs of the devices that a task drives; for the PCI task those that its recipes poll.
pub fn pci(plan: &Plan, task: usize, add: &mut impl FnMut(&str, Extent, MappingKind)) {
    let is_pci = plan.pci_task() == Some(task);
    for (number, function) in plan.fabric.functions.iter().enumerate() {
        let FunctionKind::Device(device) = function.kind else {
            continue;
        };
        let extent = |bar: usize| {
            function.bars.get(&bar).map(|placed| Extent {
                pa: plan.app.platform.pci.seen_at(placed.address),
                len: placed.bar.len.next_multiple_of(PAGE),
            })
        };
        if plan.app.driver(&function.name) == Some(task) {
            for &bar in function.bars.keys() {
                if let Some(extent) = extent(bar) {
                    let name = bar_name(&function.name, bar);
                    add(&name, extent, MappingKind::Bar(number, bar));
                }
            }
        }
        let watches = plan
            .app
            .tasks
            .get(task)
            .is_some_and(|task| task.watches.iter().any(|name| name.value == function.name));
        if watches {
            for &bar in function.bars.keys() {
                if let Some(extent) = extent(bar) {
                    let name = bar_name(&function.name, bar);
                    add(&name, extent, MappingKind::Registers);
                }
            }
        }
        let recipe = plan
            .app
            .devices
            .get(device)
            .and_then(|device| device.quiesce);
        if is_pci
            && let Some(Quiesce::Poll { bar, .. }) = recipe
            && let Some(extent) = usize::try_from(bar).ok().and_then(extent)
        {
            let name = format!("{}-quiesce", function.name);
            add(&name, extent, MappingKind::QuiesceBar(number));
        }
    }
    if is_pci {
        message_tables(plan, add);
        polled_registers(plan, add);
    }
}

/// The pages of MSI-X tables, which the PCI task writes.
fn message_tables(plan: &Plan, add: &mut impl FnMut(&str, Extent, MappingKind)) {
    for device in &plan.messages {
        let Some(function) = plan.fabric.functions.get(device.function) else {
            continue;
        };
        let found = device.table.filter(|_| device.kind == MessageKind::MsiX);
        let placed = found.and_then(|table| Some((table, function.bars.get(&table.bar)?)));
        if let Some((table, placed)) = placed {
            let first = table.offset - table.offset % PAGE;
            let extent = Extent {
                pa: plan.app.platform.pci.seen_at(placed.address) + first,
                len: table.end().next_multiple_of(PAGE) - first,
            };
            let name = format!("{}-messages", function.name);
            add(&name, extent, MappingKind::MessageTable(device.function));
        }
    }
}

/// Registers of devices that are not on PCI, for the recipes that poll them.
fn polled_registers(plan: &Plan, add: &mut impl FnMut(&str, Extent, MappingKind)) {
    for (number, device) in plan.non_pci_numbers().zip(&plan.non_pci) {
        let recipe = plan.app.devices.get(device.device).and_then(|d| d.quiesce);
        let registers = device.registers.as_deref();
        if matches!(recipe, Some(Quiesce::Poll { .. }))
            && let Some(block) = registers.and_then(|name| plan.app.platform.device(name))
        {
            let extent = Extent {
                pa: block.base,
                len: block.len.next_multiple_of(PAGE),
            };
            let name = format!("{}-quiesce", device.name);
            add(&name, extent, MappingKind::QuiesceBar(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::super::Extent;
    use super::*;
    use planner::project::Project;
    use planner::read;
    use planner::report::Report;

    /// The report names whoever has a device's registers: what is mapped, by task and device, against what it says.
    #[test]
    fn the_report_names_whoever_has_registers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut compared = 0;
        for file in [
            "app.toml",
            "tests/bench/rows/app.toml",
            "tests/systems/non-pci/app.toml",
            "tests/suites/iommu/app.toml",
        ] {
            let report = Report::default();
            let app = read::load(&report, &Project::at(root.clone()), &root.join(file));
            let plan = app.and_then(|app| Plan::new(&report, app));
            let plan = plan.unwrap_or_else(|_| panic!("{}", report.text()));
            let mut mapped: BTreeSet<(String, String)> = BTreeSet::new();
            for (index, task) in plan.app.tasks.iter().enumerate() {
                let mut add = |name: &str, _: Extent, kind: MappingKind| {
                    if kind != MappingKind::SmmuTables {
                        let device = name.rsplit_once("-bar").map_or(name, |(device, _)| device);
                        let device = device.strip_suffix("-quiesce").unwrap_or(device);
                        mapped.insert((device.to_owned(), task.name.value.clone()));
                    }
                };
                platform(&plan, task, &[Extent { pa: 0, len: PAGE }], None, &mut add);
                pci(&plan, index, &mut add);
            }
            let holders = plan.register_holders();
            let blocks = |device: &str| plan.app.platform.device(device).is_some();
            let told: BTreeSet<(String, String)> = holders
                .iter()
                .flat_map(|(device, of)| {
                    of.iter()
                        .map(move |(_, task)| (device.clone(), task.clone()))
                })
                .filter(|(device, task)| {
                    let driver = plan
                        .app
                        .driver(device)
                        .and_then(|task| plan.app.tasks.get(task));
                    let is_non_pci = plan.non_pci.iter().any(|other| other.name == *device);
                    // The kernel's console is no task's, and what is not on PCI is mapped by the name of its block.
                    task != "the kernel"
                        && !(is_non_pci && driver.is_some_and(|driver| driver.name.value == *task))
                })
                .collect();
            assert_eq!(mapped, told, "{file}");
            compared += told.iter().filter(|(device, _)| !blocks(device)).count();
        }
        assert!(compared > 10);
    }
}
