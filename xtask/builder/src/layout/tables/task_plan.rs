//! A task's plan.

use plan::kernel::InterruptClass;
use plan::task::{
    DeviceEntry, MappingEntry, MappingFlags, MappingKind as Kind, NotificationEntry,
    ParameterEntry, PeerEntry, ReasonEntry, RestartEntry, STAYS_UP, SelfEntry, reports,
};
use plan::{Builder, NONE, Name, TaskLists, Text};

use super::pages::Roots;
use super::smmu::SmmuTables;
use super::{iommu_plan, its_plan, pci_plan};
use crate::layout::place::{Mapping, MappingKind, Placement};
use planner::planning::{Function, FunctionKind, NonPciDevice, Plan, doorbell};
use planner::read::{Parameter, PlatformDeviceKind, Task};

/// Builds the plan of one task.
pub fn build(
    plan: &Plan,
    placement: &Placement,
    roots: &Roots,
    smmus: &[SmmuTables],
    task: usize,
) -> Vec<u8> {
    let app = &plan.app;
    let Some(declared) = app.tasks.get(task) else {
        return Vec::new();
    };
    let own = SelfEntry {
        name: Name::new(&declared.name.value),
        index: task as u32,
        supervisor: 0,
        log_task: app.log_task().map_or(NONE, |task| task as u32),
        log_capacity: declared.log as u32,
    };
    let mut builder = Builder::new();
    builder
        .push(&[own])
        .push(&peers(plan, task))
        .push(&notifications(plan, task))
        .push(&mappings(plan, placement, task))
        .push(&devices(plan, placement, task))
        .push(&parameters(plan, placement, roots, declared));
    if task == 0 {
        let mut lists = TaskLists::default();
        let restarts = restarts(plan, &mut lists);
        builder.push(&restarts).push(lists.numbers());
    }
    let (is_pci, is_smmu) = (
        owns(plan, task, PlatformDeviceKind::PciHost),
        owns(plan, task, PlatformDeviceKind::SmmuV3),
    );
    if task == 0 || is_pci || is_smmu {
        builder.push(&reasons(plan));
    }
    if is_pci {
        pci_plan::add(plan, placement, task, &mut builder);
    }
    if is_smmu {
        iommu_plan::add(plan, placement, smmus, task, &mut builder);
    }
    if plan.translator() == Some(task) {
        its_plan::add(plan, placement, task, &mut builder);
    }
    builder.finish()
}

/// Whether the task owns the platform's device of this kind.
fn owns(plan: &Plan, task: usize, kind: PlatformDeviceKind) -> bool {
    let device = plan.app.platform.device_of_kind(kind);
    device.is_some_and(|device| plan.app.owner(&device.name) == Some(task))
}

/// The peers of a task: those that it sends to or posts, and those that send to it or post it; for the
/// tasks that deal with all tasks, every task.
fn peers(plan: &Plan, task: usize) -> Vec<PeerEntry> {
    let app = &plan.app;
    let knows_all = task == 0 || app.log_task() == Some(task) || app.authority() == Some(task);
    let may_send = |from, to: usize| plan.send_to(from) >> to & 1 == 1;
    app.tasks
        .iter()
        .enumerate()
        .filter(|&(index, _)| {
            let posts = plan.notifications.mask(task, index) | plan.notifications.mask(index, task);
            index != task
                && (knows_all || posts != 0 || may_send(task, index) || may_send(index, task))
        })
        .map(|(index, peer)| PeerEntry {
            name: Name::new(&peer.name.value),
            index: index as u32,
            may_send: u32::from(may_send(task, index)),
        })
        .collect()
}

/// The task's own bits, its interrupts, and the bits of others that it may post.
fn notifications(plan: &Plan, task: usize) -> Vec<NotificationEntry> {
    let posted = |index: usize| plan.notifications.posts.contains(&(task, index));
    let bits = plan
        .notifications
        .bits
        .iter()
        .enumerate()
        .filter(|(index, bit)| bit.task == task || posted(*index))
        .map(|(_, bit)| NotificationEntry {
            name: Name::new(&bit.name),
            task: bit.task as u32,
            bit: bit.bit,
        });
    let interrupts = plan
        .interrupts
        .iter()
        .filter(|route| route.task == task)
        .map(|route| NotificationEntry {
            name: Name::new(&route.name),
            task: task as u32,
            bit: route.bit,
        });
    bits.chain(interrupts).collect()
}

fn mappings(plan: &Plan, placement: &Placement, task: usize) -> Vec<MappingEntry> {
    let Some(places) = placement.tasks.get(task) else {
        return Vec::new();
    };
    places
        .mappings
        .iter()
        .filter_map(|mapping| {
            let (kind, other) = match mapping.kind {
                MappingKind::Registers => (Kind::Registers, NONE),
                MappingKind::Pool => (Kind::Pool, NONE),
                MappingKind::LogRing(task) => (Kind::LogRing, task as u32),
                MappingKind::SmmuTables => (Kind::SmmuTables, NONE),
                MappingKind::PciConfiguration => (Kind::PciConfiguration, NONE),
                MappingKind::Persistent => (Kind::Persistent, NONE),
                MappingKind::QuiesceBar(_) => (Kind::Recipe, NONE),
                MappingKind::PciRecord => (Kind::PciRecord, NONE),
                MappingKind::ItsMemory => (Kind::ItsMemory, NONE),
                MappingKind::MessageTable(_) => (Kind::MessageTable, NONE),
                // The table of devices tells of these.
                MappingKind::Bar(..) => return None,
            };
            let mut flags = MappingFlags::empty();
            let is_pool = mapping.kind == MappingKind::Pool;
            flags.set(MappingFlags::NON_COHERENT, is_pool && plan.hands_over(task));
            Some(MappingEntry {
                name: Name::new(&mapping.name),
                va: mapping.va,
                len: mapping.len,
                kind: kind as u32,
                task: other,
                flags: flags.bits(),
                reserved: 0,
            })
        })
        .collect()
}

fn devices(plan: &Plan, placement: &Placement, task: usize) -> Vec<DeviceEntry> {
    let mappings = placement
        .tasks
        .get(task)
        .map(|task| task.mappings.as_slice());
    let mappings = mappings.unwrap_or_default();
    let is_driver = |name: &str| plan.app.driver(name) == Some(task);
    let functions = plan
        .fabric
        .functions
        .iter()
        .enumerate()
        .filter(|(_, function)| {
            matches!(function.kind, FunctionKind::Device(_)) && is_driver(&function.name)
        })
        .map(|(number, function)| of_function(plan, mappings, task, number, function));
    let others = plan.non_pci_numbers().zip(&plan.non_pci);
    let others = others
        .filter(|(_, device)| is_driver(&device.name))
        .map(|(number, device)| of_non_pci(plan, mappings, task, number, device));
    functions.chain(others).collect()
}

/// A device without BARs.
fn bare(
    plan: &Plan,
    task: usize,
    number: usize,
    name: &str,
    interrupts_of: Option<&str>,
) -> DeviceEntry {
    let routes = plan
        .interrupts
        .iter()
        .filter(|route| route.task == task && Some(route.device.as_str()) == interrupts_of);
    let messages = routes
        .clone()
        .filter(|route| route.class == InterruptClass::Message);
    let interrupt = match messages.clone().fold(0, |bits, route| bits | route.bit) {
        0 => routes.clone().next().map_or(0, |route| route.bit),
        bits => bits,
    };
    DeviceEntry {
        name: Name::new(name),
        device: number as u32,
        interrupt,
        vendor_id: 0,
        device_id: 0,
        vectors: messages.count() as u32,
        bar_va: [0; 6],
        bar_len: [0; 6],
    }
}

fn of_function(
    plan: &Plan,
    mappings: &[Mapping],
    task: usize,
    number: usize,
    function: &Function,
) -> DeviceEntry {
    let mut entry = bare(plan, task, number, &function.name, Some(&function.name));
    (entry.vendor_id, entry.device_id) = function.id;
    for mapping in mappings {
        let MappingKind::Bar(of, bar) = mapping.kind else {
            continue;
        };
        let len = function.bars.get(&bar).map_or(0, |placed| placed.bar.len);
        if of == number
            && let (Some(to_va), Some(to_len)) =
                (entry.bar_va.get_mut(bar), entry.bar_len.get_mut(bar))
        {
            (*to_va, *to_len) = (mapping.va, len);
        }
    }
    entry
}

/// The device's registers, which its driver owns, as its BAR 0.
fn of_non_pci(
    plan: &Plan,
    mappings: &[Mapping],
    task: usize,
    number: usize,
    device: &NonPciDevice,
) -> DeviceEntry {
    let registers = device.registers.as_deref();
    let mut entry = bare(plan, task, number, &device.name, registers);
    let mapping = mappings.iter().find(|mapping| {
        mapping.kind == MappingKind::Registers && Some(mapping.name.as_str()) == registers
    });
    if let Some(mapping) = mapping {
        entry.bar_va[0] = mapping.va;
        entry.bar_len[0] = mapping.len;
    }
    entry
}

fn parameters(
    plan: &Plan,
    placement: &Placement,
    roots: &Roots,
    task: &Task,
) -> Vec<ParameterEntry> {
    let platform = &plan.app.platform;
    let value = |parameter: &Parameter| match parameter {
        Parameter::Number(number) | Parameter::Nanoseconds(number) => Some(*number),
        Parameter::DeviceNumber(name) => plan.device_number(name).map(|number| number as u64),
        Parameter::Kernel => Some(placement.image_base),
        Parameter::Console => Some(u64::from(platform.console.kind.access())),
        Parameter::Its => doorbell(&plan.app),
        Parameter::PlatformDevice(name) => platform.device(name).map(|device| device.base),
        Parameter::PageTable(name) => {
            let (index, _) = plan.app.task(name)?;
            Some(roots.tasks.get(index)? & PAGE_TABLE_ADDRESS)
        }
        Parameter::Pool(name, pool) => {
            let (index, task) = plan.app.task(name)?;
            let pool = task.pools.iter().position(|known| known.0.value == *pool)?;
            Some(placement.tasks.get(index)?.pools.get(pool)?.pa)
        }
    };
    task.parameters
        .iter()
        .map(|(name, parameter)| ParameterEntry {
            name: Name::new(&name.value),
            value: value(&parameter.value).unwrap_or(0),
        })
        .collect()
}

/// The address in a value for `TTBR0_EL1`: without ASID and common-not-private bit.
const PAGE_TABLE_ADDRESS: u64 = 0x0000_ffff_ffff_fffe;

fn restarts(plan: &Plan, lists: &mut TaskLists) -> Vec<RestartEntry> {
    let serves_devices = |task: usize| {
        owns(plan, task, PlatformDeviceKind::PciHost) || plan.app.authority() == Some(task)
    };
    let shut_down = shut_down(plan, serves_devices);
    plan.app
        .tasks
        .iter()
        .enumerate()
        .map(|(index, task)| RestartEntry {
            name: Name::new(&task.name.value),
            after: task.restart.after,
            limit: task.restart.limit,
            reports: match task.verdict {
                true => reports::AWAITED,
                false if serves_devices(index) => reports::FATAL,
                false => reports::IGNORED,
            },
            period: task.restart.period,
            dependants: lists.add(plan.dependants(index)),
            together: lists.add(plan.together(index)),
            shut_down: shut_down.get(index).copied().unwrap_or(STAYS_UP),
            inspects: u32::from(task.inspects),
        })
        .collect()
}

/// The place of each task in the order of a shutdown. Calls go uphill, so no task is the server of a more urgent one.
fn shut_down(plan: &Plan, serves_devices: impl Fn(usize) -> bool) -> Vec<u32> {
    let tasks = &plan.app.tasks;
    let stays_up = |index: usize| {
        index == 0
            || serves_devices(index)
            || tasks
                .get(index)
                .is_some_and(|task| task.reads_logs.is_some())
    };
    let mut order: Vec<usize> = (0..tasks.len()).filter(|&index| !stays_up(index)).collect();
    // Stable: among equals in the order of the file.
    order.sort_by_key(|&index| std::cmp::Reverse(tasks.get(index).map(|task| task.priority.value)));
    let mut places = vec![STAYS_UP; tasks.len()];
    for (place, index) in order.into_iter().enumerate() {
        if let Some(at) = places.get_mut(index) {
            *at = place as u32 + 1;
        }
    }
    places
}

fn reasons(plan: &Plan) -> Vec<ReasonEntry> {
    plan.device_names()
        .zip(&plan.domains.devices)
        .enumerate()
        .map(|(number, (name, device))| ReasonEntry {
            device: number as u32,
            reserved: 0,
            name: Name::new(name),
            group: Name::new(
                plan.domains
                    .groups
                    .get(device.group)
                    .map_or("", String::as_str),
            ),
            reason: Text::new(&device.reason),
        })
        .collect()
}
