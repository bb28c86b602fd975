//! Findings of the solver, as diagnostics of the file.

use solver::model::{DomainType, Machine, NodeId, Place, Source};
use solver::solution::Solution;
use solver::{Code, Diagnostic, Severity};

use crate::report::{Report, Span};

/// Places by the solver's numbers; 0 is nowhere.
#[derive(Default)]
pub struct Sources(Vec<Span>);

impl Sources {
    pub fn add(&mut self, span: &Span) -> Source {
        self.0.push(span.clone());
        Source(u32::try_from(self.0.len()).unwrap_or(0))
    }

    fn get(&self, source: Source) -> Option<&Span> {
        self.0.get(usize::try_from(source.0).ok()?.checked_sub(1)?)
    }
}

/// Hands everything over to the report. `owners_unknown`: that a device has no owner follows from what
/// was reported already.
pub fn report(
    report: &Report,
    machine: &Machine,
    sources: &Sources,
    solution: &Solution,
    owners_unknown: bool,
) {
    for found in &solution.diagnostics {
        if owners_unknown && found.code == Code::UnownedBlocked
            || follows(machine, solution, found)
            || demands_it_itself(machine, found)
            || drives_bridge(machine, found)
        {
            continue;
        }
        one(report, machine, sources, solution, found);
    }
}

/// Whether a finding only repeats that a driven device demands to be blocked, which was reported where it was read.
fn demands_it_itself(machine: &Machine, found: &Diagnostic) -> bool {
    let node = found.nodes.first();
    let node = node.and_then(|node| machine.nodes.get(node.index()));
    found.code == Code::DrivenBlocked
        && node.is_some_and(|node| node.demand == Some(DomainType::Blocked))
}

/// Whether a finding only repeats that a task drives a bridge, which was reported where it was read.
fn drives_bridge(machine: &Machine, found: &Diagnostic) -> bool {
    let node = found.nodes.first();
    let node = node.and_then(|node| machine.nodes.get(node.index()));
    found.code == Code::BridgeDemand && node.is_some_and(|node| node.demand.is_none())
}

/// Whether a finding only repeats that a bridge above has no bus number.
fn follows(machine: &Machine, solution: &Solution, found: &Diagnostic) -> bool {
    let disconnected = |node: &NodeId| {
        let place = machine.nodes.get(node.index()).map(|node| &node.place);
        let found = solution.devices.get(node.index());
        !matches!(place, Some(Place::Platform { .. }))
            && found.is_some_and(|found| found.requester.is_none())
    };
    let numbers = solution
        .errors()
        .any(|error| error.code == Code::BusNumbers);
    let follow_on = matches!(
        found.code,
        Code::BrokenTree | Code::NoStream | Code::Unowned | Code::UnownedBlocked
    );
    numbers && follow_on && found.nodes.first().is_some_and(disconnected)
}

/// The usual remedy, where no change was found that solves the mistake.
fn usual_remedy(code: Code, is_virtual: bool, has_direct: bool, shares: bool) -> &'static str {
    match code {
        Code::SlotTaken | Code::BusNumbers if is_virtual => {
            "correct the `offset` of the virtual function"
        }
        Code::Unowned if has_direct => {
            "let a task drive it, or write `unowned = \"block\"` in [iommu], which leaves it its direct regions only"
        }
        Code::Unowned if shares => {
            "let the task drive it whose device has its StreamID, or write `unowned = \"block\"` in [iommu]"
        }
        Code::UnownedBlocked if shares => {
            "let the owner of the other device drive it too, or let nobody drive either of the two"
        }
        _ => remedy_in_general(code),
    }
}

/// The remedy for a kind of mistake, whatever the device is.
fn remedy_in_general(code: Code) -> &'static str {
    match code {
        Code::DuplicateName => "rename one of them",
        Code::AliasDemands => "let all devices with that StreamID demand one type, or nothing",
        Code::GroupDemands => "let the owners trust each other, or the devices demand one type",
        Code::GroupTrust => {
            "declare `trusts` in both directions, waive the pair with a reason, or put the devices apart"
        }
        Code::AliasTrust => "declare `trusts` in both directions, or let one task drive both",
        Code::Containment => {
            "declare them in one [iommu.containment.NAME], or give the devices recipes of their own"
        }
        Code::Unowned => "let a task drive it, or write `domain = \"blocked\"`",
        Code::BridgeDemand => "remove the owner and the demand of the bridge",
        Code::Bypass => "take `unsafe-bypass` off the device",
        Code::GroupSplit => "name only devices of one group in it",
        Code::GroupPolicies => "take the default domain off one of them",
        Code::WindowTooLarge => "ask for smaller windows",
        Code::NoAsid => "let devices share domains, or use an SMMU with more ASIDs",
        Code::BrokenTree => "name the bridge above it in `at`",
        Code::SlotTaken => "put one of them into another slot, or below another bridge",
        Code::SlotRange => "use device numbers 0 to 31 and functions 0 to 7",
        Code::BusNumbers => {
            "leave the bus numbers to the plan, or pin those of the bridges above as well"
        }
        Code::NoStream => "add a row to `iommu-map` that covers its requester id",
        Code::StreamRange => "correct the StreamID, or `stream-bits` of the SMMU",
        Code::UntrustedIdentity => "remove the demand of the device",
        Code::DirectBlocked => {
            "remove the direct regions; or the demand, where a task drives the device or [iommu] says `unowned = \"block\"`"
        }
        Code::EmptyReason => "write down why it is accepted; every report repeats it",
        Code::NoWindow => "leave `window-base` to the plan, or ask for a smaller `window`",
        Code::DirectReserved => {
            "correct base or size of the region; no device can be given that range"
        }
        Code::WindowBases => "leave `window-base` out of all but one",
        Code::Stranger => {
            "let the port and all above it redirect requests and validate ids (`acs`), let no id of its buses have the StreamID \
             of another device, or drive nothing within reach"
        }
        Code::DirectSocket => {
            "remove the region, or let no device at a port that is `external` or `hotplug` have an id with the StreamID"
        }
        Code::DrivenBlocked => "let it demand `domain = \"dma\"`, or change the policy",
        Code::ForgedStream => {
            "declare `trusts` in both directions, waive the pair with a reason, or enable `acs` on the port"
        }
        Code::DirectOverlap => {
            "put the regions apart, let a task drive both devices, or the owners trust each other or be waived with a reason"
        }
        Code::HolderTrust => {
            "let the owner trust the task, let the task do without the registers, or put the devices apart"
        }
        Code::WideWaiver => {
            "name the `devices` that it was written for, and write another where it is needed"
        }
        Code::WaiverTwice => "remove one of them, or name different `devices` in the two",
        Code::WrongPlace => "check that the kind of function and its place are right",
        Code::UnusedWaiver => "remove the waiver",
        Code::NeverQuiet => "declare another `quiesce` if the device has one",
        Code::TwoNames => "keep one of the two names",
        Code::UnownedBlocked => "let a task drive it, or write `domain = \"blocked\"`",
        Code::MixedNeutral => "let it demand the type that it needs",
        Code::DirectException => {
            "remove the region if nothing needs it; otherwise nothing has to be changed"
        }
        Code::AcsErratum => {
            "nothing has to be done, as it stays off; to have it said by the file, leave these bits out of `enabled`"
        }
        Code::PolicyWithoutEffect => {
            "take `default-domain` off the group, or let its devices demand the type that they need"
        }
        Code::RootComplexRouting => {
            "write `never-routes-peers` in the platform or at the root bus if its manual says so; otherwise assume \
             that devices below the two can reach each other"
        }
    }
}

fn one(
    report: &Report,
    machine: &Machine,
    sources: &Sources,
    solution: &Solution,
    found: &Diagnostic,
) {
    let code = found.code.to_string();
    let mut draft = match found.severity {
        Severity::Error => report.error_with_code(code, &found.message),
        Severity::Warning => report.warning_with_code(code, &found.message),
    };
    let mut first = true;
    for party in &found.parties {
        if let Some(span) = sources.get(party.source) {
            draft = if first {
                draft.at(span, &party.text)
            } else {
                draft.with(span, &party.text)
            };
            first = false;
        } else {
            draft = draft.note(&party.text);
        }
    }
    let name = |node: NodeId| {
        machine
            .nodes
            .get(node.index())
            .map_or("", |node| &node.name)
    };
    for edge in &found.chain {
        draft = draft.note(format!(
            "{}: {} - {}: {}",
            edge.kind.text(),
            name(edge.from),
            name(edge.to),
            edge.because
        ));
    }
    for remedy in &found.remedies {
        draft = draft.remedy(&remedy.text);
    }
    let place = |node: &NodeId| machine.nodes.get(node.index()).map(|node| &node.place);
    let is_virtual = |node: &NodeId| matches!(place(node), Some(Place::Virtual { .. }));
    let has_direct = |node: &NodeId| {
        let node = machine.nodes.get(node.index());
        node.is_some_and(|node| !node.direct.is_empty())
    };
    // What is blocked with all that have its StreamID can stay so.
    let shares = |node: &NodeId| {
        let device = solution.devices.get(node.index());
        let open = device.is_some_and(|found| found.domain.is_some());
        let set = device.and_then(|found| solution.alias_sets.get(found.alias_set));
        let several = set.is_some_and(|set| set.devices.len() > 1);
        several && (open || found.code != Code::UnownedBlocked)
    };
    let mut nodes = found.nodes.iter();
    let usual = usual_remedy(
        found.code,
        nodes.clone().any(is_virtual),
        nodes.clone().any(has_direct),
        nodes.any(shares),
    );
    if found.remedies.is_empty() {
        drop(draft.remedy(usual));
    }
}
