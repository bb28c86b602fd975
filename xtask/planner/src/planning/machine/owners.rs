//! Tasks as owners, and what they declare about each other.

use solver::model::{Containment, Machine, Owner, OwnerId, Trust, Waiver};

use super::Sources;
use super::numbering::Numbering;
use crate::read::App;
use crate::report::Spanned;

pub fn describe(app: &App, machine: &mut Machine, numbering: &Numbering, sources: &mut Sources) {
    for task in &app.tasks {
        machine.owners.push(Owner {
            name: task.name.value.clone(),
            source: sources.add(&task.name.span),
        });
    }
    let owner =
        |name: &Spanned<String>| app.task(&name.value).map(|(index, _)| OwnerId::new(index));
    for (from, task) in app.tasks.iter().enumerate() {
        for to in &task.trusts {
            machine.trust.extend(owner(to).map(|target| Trust {
                from: OwnerId::new(from),
                to: target,
                source: sources.add(&to.span),
            }));
        }
    }
    for waiver in &app.iommu.waivers {
        let mut pair = waiver.tasks.iter().filter_map(owner);
        if let (Some(first), Some(second)) = (pair.next(), pair.next()) {
            machine.waivers.push(Waiver {
                pair: (first, second),
                reason: waiver.reason.value.clone(),
                devices: waiver
                    .devices
                    .iter()
                    .filter_map(|name| numbering.nodes.get(&name.value).copied())
                    .collect(),
                source: sources.add(&waiver.reason.span),
            });
        }
    }
    for unit in &app.iommu.containment {
        machine.containment.push(Containment {
            name: unit.name.value.clone(),
            owners: unit.tasks.iter().filter_map(owner).collect(),
            source: sources.add(&unit.name.span),
        });
    }
}
