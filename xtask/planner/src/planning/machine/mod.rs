//! The machine as the solver takes it, from an `app.toml` whose fabric is known to be a tree.

mod node;
mod numbering;
mod owners;
mod reserved;

use solver::model::{GroupPolicy, Machine, Policy, Smmu, Unowned};

use super::findings::Sources;
use super::function::FunctionKind;
use crate::read::App;

/// Name of the root bus that a platform has without being told.
pub const MAIN_ROOT: &str = "root bus";
/// Name of the host bridge's own function on it.
const HOST_BRIDGE: &str = "host-bridge";

/// The machine, and what each of its nodes was declared as.
pub struct Described {
    pub machine: Machine,
    pub sources: Sources,
    /// What each node is in the file, by node.
    pub kinds: Vec<FunctionKind>,
}

/// Describes the machine.
pub fn describe(app: &App) -> Described {
    let mut sources = Sources::default();
    let smmus = app.platform.smmus();
    let mut machine = Machine {
        smmus: smmus
            .iter()
            .map(|smmu| Smmu {
                name: smmu.name.clone(),
                // Where nobody says, none is too large; such a machine is not built.
                stream_bits: smmu.stream_bits.unwrap_or(32),
                ..Smmu::default()
            })
            .collect(),
        policy: Policy {
            default_domain: app.iommu.default_domain,
            unowned: if app.iommu.block_unowned || app.owners_unknown {
                Unowned::Block
            } else {
                Unowned::Refuse
            },
            ..Policy::default()
        },
        reserved: reserved::regions(app),
        ..Machine::default()
    };
    let (numbering, kinds) = numbering::add_roots_and_number(app, &mut machine, &mut sources);
    owners::describe(app, &mut machine, &numbering, &mut sources);
    for kind in &kinds {
        let node = node::describe(app, *kind, &numbering, &mut sources);
        machine.nodes.push(node);
    }
    for group in &app.iommu.groups {
        let members = group.devices.iter();
        machine.groups.push(GroupPolicy {
            name: group.name.value.clone(),
            members: members
                .filter_map(|name| numbering.nodes.get(&name.value).copied())
                .collect(),
            default_domain: group.default_domain,
            source: sources.add(&group.name.span),
        });
    }
    Described {
        machine,
        sources,
        kinds,
    }
}

/// Name of a function in `app.toml`.
pub fn name(app: &App, kind: FunctionKind) -> String {
    let name = match kind {
        FunctionKind::HostBridge => None,
        FunctionKind::Expander(index) => app.roots.get(index).map(|root| &root.name),
        FunctionKind::Bridge(index) => app.bridges.get(index).map(|bridge| &bridge.name),
        FunctionKind::Device(index) => app.devices.get(index).map(|device| &device.name),
    };
    name.map_or(HOST_BRIDGE.to_owned(), |name| name.value.clone())
}
