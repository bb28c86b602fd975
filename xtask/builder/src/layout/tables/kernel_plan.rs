//! The plan of a kernel.

use abi::layout::{TASK_LOG_RING, TASK_PLAN_BASE, TASK_STACK_TOP};
use abi::notification;
use plan::kernel::{
    AccountEntry, InterruptEntry, KernelEntry, KernelFlags, LifeEvent, ListenerEntry,
    MessageTablesEntry, PostEntry, RegionAttributes, RegionEntry, TaskEntry, WindowEntry,
};
use plan::{Builder, NONE, Name};

use super::pages::Roots;
use crate::layout::place::{KernelLayout, MappingKind, MessageMemory, Placement, TaskLayout};
use planner::planning::Plan;

/// Builds the plan of one kernel.
pub fn build(plan: &Plan, placement: &Placement, kernel: &KernelLayout, roots: &Roots) -> Vec<u8> {
    let app = &plan.app;
    let messages = placement.messages.as_ref();
    let tables: Vec<MessageTablesEntry> = messages.map(message_tables).into_iter().collect();
    let mut flags = KernelFlags::empty();
    flags.set(KernelFlags::USER_COUNTERS, app.counters);
    let entry = KernelEntry {
        supervisor: 0,
        authority: app.authority().map_or(NONE, |task| task as u32),
        translator: messages
            .and(plan.translator())
            .map_or(NONE, |task| task as u32),
        flags: flags.bits(),
        core: kernel.core,
        cores: app.cores().len() as u32,
    };
    let window: Vec<WindowEntry> = kernel
        .window
        .iter()
        .map(|range| WindowEntry {
            base: range.pa,
            len: range.len,
        })
        .collect();
    let mut tasks = Vec::new();
    let mut regions = Vec::new();
    let mut posts = Vec::new();
    let mut listeners = Vec::new();
    for (index, (declared, layout)) in app.tasks.iter().zip(&placement.tasks).enumerate() {
        let own_regions = task_regions(layout);
        let own_posts: Vec<PostEntry> = (0..app.tasks.len())
            .map(|to| PostEntry {
                to: to as u32,
                bits: plan.notifications.mask(index, to),
            })
            .filter(|post| post.bits != 0)
            .collect();
        let own_listeners = listeners_of(plan, index);
        tasks.push(TaskEntry {
            name: Name::new(&declared.name.value),
            entry: layout.entry,
            stack_top: TASK_STACK_TOP,
            stack_base: layout.stack_base(),
            ttbr0: roots.tasks.get(index).copied().unwrap_or(0),
            send_to: plan.send_to(index),
            max_run: declared.max_run,
            rights: plan.rights(index).bits(),
            priority: declared.priority.value,
            regions: regions.len() as u32,
            region_count: own_regions.len() as u32,
            posts: posts.len() as u32,
            post_count: own_posts.len() as u32,
            listeners: listeners.len() as u32,
            listener_count: own_listeners.len() as u32,
            start: u32::from(declared.start),
            account: plan
                .time
                .account_of
                .get(index)
                .copied()
                .flatten()
                .map_or(NONE, |account| account as u32),
        });
        regions.extend(own_regions);
        posts.extend(own_posts);
        listeners.extend(own_listeners);
    }
    Builder::new()
        .push(&[entry])
        .push(&window)
        .push(&tasks)
        .push(&regions)
        .push(&posts)
        .push(&listeners)
        .push(&accounts(plan))
        .push(&routes(plan))
        .push(&tables)
        .finish()
}

/// The route of every line.
fn routes(plan: &Plan) -> Vec<InterruptEntry> {
    plan.interrupt_lines()
        .map(|route| InterruptEntry {
            intid: route.intid,
            task: route.task as u32,
            bit: route.bit,
            class: route.class as u32,
        })
        .collect()
}

fn message_tables(memory: &MessageMemory) -> MessageTablesEntry {
    MessageTablesEntry {
        configuration: memory.its.pa + its::memory::CONFIGURATION,
        pending: memory.pending.pa,
    }
}

/// Every account, in the order of their numbers.
fn accounts(plan: &Plan) -> Vec<AccountEntry> {
    let budgets = plan.time.accounts.iter();
    budgets
        .map(|budget| AccountEntry {
            budget: budget.time,
            period: budget.period,
        })
        .collect()
}

/// The tasks that are told of the life of a task, in the order that the kernel wants. Those that depend on it are
/// told that it is up again. The authority is told that it will not come back, or that it died held. The supervisor
/// is told that it can be started again.
fn listeners_of(plan: &Plan, task: usize) -> Vec<ListenerEntry> {
    let peer = |event| move |to| (event, to, notification::PEER);
    let starts = plan.hear_of_start(task).into_iter();
    let end = plan.hears_of_end(task).into_iter();
    let supervisor = (LifeEvent::Fault, 0, notification::FAULT);
    let authority = plan.app.authority();
    let authority = authority.map(|task| (LifeEvent::HeldDeath, task, notification::HELD_DEATH));
    starts
        .map(peer(LifeEvent::Up))
        .chain(end.map(peer(LifeEvent::Retired)))
        .chain([supervisor])
        .chain(authority)
        .filter(|(_, to, _)| *to != task)
        .map(|(event, to, bits)| ListenerEntry {
            event: event as u32,
            to: to as u32,
            bits,
        })
        .collect()
}

fn task_regions(layout: &TaskLayout) -> Vec<RegionEntry> {
    const READ: RegionAttributes = RegionAttributes::READ;
    const READ_WRITE: RegionAttributes = RegionAttributes::READ.union(RegionAttributes::WRITE);
    let region = |va, pa, len, attributes: RegionAttributes| RegionEntry {
        va,
        pa,
        len,
        attributes: attributes.bits(),
        reserved: 0,
    };
    let mut regions = Vec::new();
    for place in &layout.program {
        let attributes = match (place.rights.write, place.rights.execute) {
            (true, _) => READ_WRITE,
            (false, true) => READ.union(RegionAttributes::EXECUTE),
            (false, false) => READ,
        };
        regions.push(region(place.va, place.pa, place.len, attributes));
    }
    regions.push(region(
        TASK_PLAN_BASE,
        layout.plan.pa,
        layout.plan.len,
        READ,
    ));
    let stack = layout.stack;
    regions.push(region(layout.stack_base(), stack.pa, stack.len, READ_WRITE));
    regions.push(region(
        TASK_LOG_RING,
        layout.log.pa,
        layout.log.len,
        READ_WRITE,
    ));
    for mapping in &layout.mappings {
        let attributes = match mapping.kind {
            MappingKind::Pool => READ_WRITE.union(RegionAttributes::DMA),
            MappingKind::Persistent | MappingKind::PciRecord => READ_WRITE,
            MappingKind::LogRing(_) => READ,
            // Tables of the SMMU and of the ITS are memory, but nothing to lend or to send from.
            MappingKind::SmmuTables
            | MappingKind::ItsMemory
            | MappingKind::MessageTable(_)
            | MappingKind::Registers
            | MappingKind::PciConfiguration
            | MappingKind::Bar(..)
            | MappingKind::QuiesceBar(_) => READ_WRITE.union(RegionAttributes::DEVICE),
        };
        regions.push(region(mapping.va, mapping.pa, mapping.len, attributes));
    }
    regions.sort_by_key(|region| region.va);
    regions
}
