//! `[iommu]`: policy for all groups.

use solver::model::DomainType;
use solver::solution::Mode;

use super::device::DOMAINS;
use super::fields::Fields;
use super::invalidation::{self, Invalidation};
use crate::report::{Mistake, Spanned};

/// Policy where devices demand nothing.
#[derive(Clone, Debug)]
pub struct IommuPolicy {
    pub default_domain: DomainType,
    /// Of devices that say nothing; strict if this says nothing either.
    pub invalidation: Option<Spanned<Invalidation>>,
    pub mode: Mode,
    pub on_mismatch: MismatchPolicy,
    pub waivers: Vec<Waiver>,
    pub containment: Vec<ContainmentUnit>,
    pub groups: Vec<NamedGroup>,
    /// Devices without an owner are blocked with a warning instead of being a mistake.
    pub block_unowned: bool,
}

/// A name for the isolation group that some devices are in.
#[derive(Clone, Debug)]
pub struct NamedGroup {
    pub name: Spanned<String>,
    pub devices: Vec<Spanned<String>>,
    pub default_domain: Option<DomainType>,
}

/// The effect of a difference between plan and machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MismatchPolicy {
    /// Refuses the whole boot.
    Refuse,
    /// Blocks the group.
    Block,
}

/// Two tasks that need not trust each other although their devices share a group: where they are these, or wherever
/// they meet if it names none.
#[derive(Clone, Debug)]
pub struct Waiver {
    pub tasks: Vec<Spanned<String>>,
    pub devices: Vec<Spanned<String>>,
    pub reason: Spanned<String>,
}

/// Tasks that stop and restart together.
#[derive(Clone, Debug)]
pub struct ContainmentUnit {
    pub name: Spanned<String>,
    pub tasks: Vec<Spanned<String>>,
}

impl Default for IommuPolicy {
    fn default() -> Self {
        Self {
            default_domain: DomainType::Dma,
            invalidation: None,
            mode: Mode::Strict,
            on_mismatch: MismatchPolicy::Refuse,
            waivers: Vec::new(),
            containment: Vec::new(),
            groups: Vec::new(),
            block_unowned: false,
        }
    }
}

/// Reads the table.
pub fn read(fields: Fields<'_>) -> IommuPolicy {
    let mut policy = IommuPolicy::default();
    if let Some(domain) = fields.choice("default-domain", &DOMAINS) {
        policy.default_domain = domain.value;
    }
    policy.invalidation = invalidation::read_default(&fields);
    let modes = [("strict", Mode::Strict), ("linux", Mode::Linux)];
    if let Some(mode) = fields.choice("mode", &modes) {
        policy.mode = mode.value;
    }
    let reactions = [
        ("refuse", MismatchPolicy::Refuse),
        ("block", MismatchPolicy::Block),
    ];
    if let Some(reaction) = fields.choice("on-mismatch", &reactions) {
        policy.on_mismatch = reaction.value;
    }
    for (_, waiver) in fields.tables("waivers") {
        let tasks = waiver.strings("tasks");
        if tasks.len() != 2 {
            fields
                .report()
                .error(Mistake::BadValue, "a waiver is for two tasks")
                .at(waiver.span(), "expected `tasks = [\"one\", \"other\"]`");
        }
        let devices = waiver.names("devices");
        if devices.is_empty() && waiver.contains("devices") {
            fields
                .report()
                .error(Mistake::BadValue, "a waiver for no device waives nothing")
                .at(waiver.span(), "its `devices` are empty")
                .remedy("name the devices that it is for, or leave `devices` out");
        }
        let reason = waiver.required("reason", Fields::line);
        waiver.finish();
        if let Some(reason) = reason {
            policy.waivers.push(Waiver {
                tasks,
                devices,
                reason,
            });
        }
    }
    for (name, unit) in fields.tables("containment") {
        let tasks = unit.strings("tasks");
        if tasks.len() < 2 {
            fields
                .report()
                .error(
                    Mistake::BadValue,
                    "a containment unit has at least two tasks",
                )
                .at(unit.span(), "expected `tasks = [\"one\", \"other\"]`");
        }
        unit.finish();
        policy.containment.push(ContainmentUnit { name, tasks });
    }
    for (name, group) in fields.tables("groups") {
        let devices = group.names("devices");
        if devices.is_empty() {
            fields
                .report()
                .error(Mistake::MissingKey, "a named group names a device of it")
                .at(group.span(), "expected `devices = [\"one\"]`");
        }
        let default_domain = group.choice("default-domain", &DOMAINS);
        group.finish();
        policy.groups.push(NamedGroup {
            name,
            devices,
            default_domain: default_domain.map(|domain| domain.value),
        });
    }
    let unowned = [("refuse", false), ("block", true)];
    if let Some(block) = fields.choice("unowned", &unowned) {
        policy.block_unowned = block.value;
    }
    fields.finish();
    policy
}
