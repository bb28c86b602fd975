//! Virtual places of everything beyond a task's program: pools, registers, other tasks' log rings.

use abi::layout::{BLOCK, PAGE, TASK_MAPPINGS};

use super::mapping::{Mapping, MappingKind};
use super::task::TaskLayout;
use super::{Extent, devices};
use planner::planning::Plan;

/// Gives every mapping of every task its virtual address.
pub fn place(plan: &Plan, tasks: &mut [TaskLayout], smmus: &[Extent], its: Option<Extent>) {
    let logs: Vec<Extent> = tasks.iter().map(|task| task.log).collect();
    for (index, task) in tasks.iter_mut().enumerate() {
        let Some(declared) = plan.app.tasks.get(index) else {
            continue;
        };
        let mut next = Next(TASK_MAPPINGS);
        let mut mappings = Vec::new();
        let mut add = |name: &str, extent: Extent, kind| {
            mappings.push(Mapping {
                name: name.to_owned(),
                va: next.take(extent),
                pa: extent.pa,
                len: extent.len,
                kind,
            });
        };
        for ((name, _), extent) in declared.pools.iter().zip(&task.pools) {
            add(&name.value, *extent, MappingKind::Pool);
        }
        for ((name, _), extent) in declared.persistent.iter().zip(&task.persistent) {
            add(&name.value, *extent, MappingKind::Persistent);
        }
        if let Some(record) = task.pci_record {
            add("pci-record", record, MappingKind::PciRecord);
        }
        devices::platform(plan, declared, smmus, its, &mut add);
        devices::pci(plan, index, &mut add);
        if declared.reads_logs.is_some() {
            for (writer, (extent, other)) in logs.iter().zip(&plan.app.tasks).enumerate() {
                if writer != index {
                    add(&other.name.value, *extent, MappingKind::LogRing(writer));
                }
            }
        }
        task.mappings = mappings;
    }
}

/// The next free virtual address.
struct Next(u64);

impl Next {
    /// An address that allows blocks where the memory does, with an unmapped page before and behind.
    fn take(&mut self, extent: Extent) -> u64 {
        let block = extent.len >= BLOCK && extent.pa.is_multiple_of(BLOCK);
        let va = self.0.next_multiple_of(if block { BLOCK } else { PAGE });
        self.0 = va + extent.len + PAGE;
        va
    }
}
