//! `reach` of `plan.json`: written by one form, and read by it again to compare two plans.

use std::collections::{BTreeMap, BTreeSet};

use planner::planning::Plan;
use planner::read::LazyBounds;
use serde::{Deserialize, Deserializer, Serialize};
use solver::model::{DomainType, NodeId};

use super::Owner;
use crate::show::reach::{lazy_bounds, lenders, lent, pins};

/// The most that every device can ever reach, by its name.
pub type Reaches = BTreeMap<String, DeviceReach>;

/// The most that one device can ever reach. A key of a later tool is left alone; each of these must be there.
#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceReach {
    pub domain: String,
    pub untranslated: bool,
    /// The interrupt doorbell, which the domains of devices map that signal by messages.
    pub doorbell: bool,
    pub owners: BTreeSet<Owner>,
    pub lenders: BTreeSet<String>,
    pub domain_mates: BTreeSet<String>,
    pub peers: BTreeSet<String>,
    pub ports: BTreeSet<String>,
    /// What the device may forge. Without the attribute serde would take a missing key for null.
    #[serde(deserialize_with = "present")]
    pub forges: Option<Forges>,
    pub direct: BTreeSet<String>,
    pub pools: Vec<Pool>,
    /// Most lent buffers that are in its reach at once.
    pub pins: usize,
    /// Pools of others that are lent as a whole.
    pub lent: BTreeSet<Lent>,
    /// The pages that it reaches although they are unmapped.
    #[serde(deserialize_with = "present")]
    pub after_unmap: Option<AfterUnmap>,
    pub streams: BTreeSet<u32>,
}

/// Pages that wait for a flush in a lazy domain: how many at most, and how long at most.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct AfterUnmap {
    pub pages: u16,
    pub within_ns: u64,
}

impl From<LazyBounds> for AfterUnmap {
    fn from(bounds: LazyBounds) -> Self {
        Self {
            pages: bounds.pages,
            within_ns: u64::from(bounds.milliseconds) * 1_000_000,
        }
    }
}

/// A pool that a task lends to the driver of a device, or of a mate of it, as a whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Debug)]
pub struct Lent {
    pub task: String,
    pub pool: String,
    pub to: String,
    pub bytes: u64,
    pub writable: bool,
}

/// Requester ids that a device may use.
#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Forges {
    pub segment: u16,
    pub first_bus: u8,
    pub last_bus: u8,
    #[serde(deserialize_with = "present")]
    pub checked_by: Option<String>,
    pub devices: BTreeSet<String>,
}

impl From<solver::Forges> for Forges {
    fn from(forges: solver::Forges) -> Self {
        Self {
            segment: forges.segment,
            first_bus: forges.first_bus,
            last_bus: forges.last_bus,
            checked_by: forges.checked_by,
            devices: forges.devices,
        }
    }
}

impl Forges {
    fn compared(&self) -> solver::Forges {
        solver::Forges {
            segment: self.segment,
            first_bus: self.first_bus,
            last_bus: self.last_bus,
            checked_by: self.checked_by.clone(),
            devices: self.devices.clone(),
        }
    }
}

/// A pool in a device's reach.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct Pool {
    pub task: String,
    pub pool: String,
    pub bytes: u64,
}

fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// Whether a device signals by messages.
fn signals(plan: &Plan, device: &str) -> bool {
    let mut devices = plan.messages.iter();
    devices.any(|own| {
        let declared = plan.app.devices.get(own.device);
        declared.is_some_and(|declared| declared.name.value == device)
    })
}

/// The reach of every device of a plan.
pub fn of_plan(plan: &Plan) -> Reaches {
    let summary = solver::summary(&plan.machine, &plan.solution);
    summary
        .into_iter()
        .map(|(device, reach)| {
            let value = DeviceReach {
                domain: reach.domain.text().to_owned(),
                untranslated: reach.untranslated,
                doorbell: reach.untranslated || signals(plan, &device),
                lenders: lenders(plan, &reach),
                pools: pools(plan, &reach.owners),
                pins: pins(plan, &device, &reach),
                lent: lent_to(plan, &device, &reach),
                after_unmap: after_unmap(plan, &device),
                streams: streams(plan, &device),
                owners: reach.owners.into_iter().map(Owner::task).collect(),
                domain_mates: reach.domain_mates,
                peers: reach.peers,
                ports: reach.ports,
                forges: reach.forges.map(Forges::from),
                direct: reach.direct,
            };
            (device, value)
        })
        .collect()
}

fn lent_to(plan: &Plan, device: &str, reach: &solver::Reach) -> BTreeSet<Lent> {
    let lent = lent(plan, device, reach).into_iter();
    lent.map(|(to, lent)| Lent {
        task: lent.task,
        pool: lent.pool,
        to,
        bytes: lent.bytes,
        writable: lent.writable,
    })
    .collect()
}

/// The pools of a device's owners, with their sizes.
fn pools(plan: &Plan, owners: &BTreeSet<String>) -> Vec<Pool> {
    let owners = owners.iter().filter_map(|owner| plan.app.task(owner));
    let pools = owners.flat_map(|(_, task)| task.pools.iter().map(move |pool| (task, pool)));
    pools
        .map(|(task, (name, len))| Pool {
            task: task.name.value.clone(),
            pool: name.value.clone(),
            bytes: *len,
        })
        .collect()
}

fn after_unmap(plan: &Plan, device: &str) -> Option<AfterUnmap> {
    let mut nodes = plan.machine.nodes.iter();
    let node = NodeId::new(nodes.position(|node| node.name == device)?);
    lazy_bounds(plan, node).map(AfterUnmap::from)
}

fn streams(plan: &Plan, device: &str) -> BTreeSet<u32> {
    let nodes = plan.machine.nodes.iter().zip(&plan.solution.devices);
    let mut found = nodes.filter(|(node, _)| node.name == device);
    let streams = found.next().map(|(_, found)| &found.streams);
    let streams = streams.into_iter().flatten();
    streams.map(|stream| stream.id).collect()
}

impl DeviceReach {
    /// The reach in the solver's terms, to compare it; `None` if the domain type is not known.
    pub fn compared(&self) -> Option<solver::Reach> {
        let types = [DomainType::Dma, DomainType::Identity, DomainType::Blocked];
        Some(solver::Reach {
            domain: types.into_iter().find(|kind| kind.text() == self.domain)?,
            untranslated: self.untranslated,
            owners: self.owners.iter().map(ToString::to_string).collect(),
            domain_mates: self.domain_mates.clone(),
            peers: self.peers.clone(),
            ports: self.ports.clone(),
            forges: self.forges.as_ref().map(Forges::compared),
            direct: self.direct.clone(),
        })
    }
}
