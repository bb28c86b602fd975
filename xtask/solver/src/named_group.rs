//! Groups that were given a name, a policy, or both.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::{DomainType, Machine};
use crate::relation::Chains;
use crate::solution::EdgeKind;

/// The policy of each group, and what is wrong with the named groups.
pub(crate) fn policies(
    machine: &Machine,
    chains: &Chains<'_>,
    group_of: &[usize],
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<usize, (usize, DomainType)> {
    let mut named: BTreeMap<usize, usize> = BTreeMap::new();
    let mut policies: BTreeMap<usize, (usize, DomainType)> = BTreeMap::new();
    let mut order: Vec<usize> = (0..machine.groups.len()).collect();
    order.sort_by(|a, b| machine.groups[*a].name.cmp(&machine.groups[*b].name));
    for index in order {
        let policy = &machine.groups[index];
        let mut members = policy.members.iter().filter(|m| m.index() < group_of.len());
        let Some(first) = members.next() else {
            continue;
        };
        let group = group_of[first.index()];
        if let Some(stray) = members.find(|m| group_of[m.index()] != group) {
            let (a, b) = (&machine.nodes[first.index()], &machine.nodes[stray.index()]);
            found.push(
                Diagnostic::new(
                    Code::GroupSplit,
                    format!(
                        "group `{}` names `{}` and `{}`, which are in different isolation groups",
                        policy.name, a.name, b.name
                    ),
                )
                .party(format!("group `{}`", policy.name), policy.source)
                .device(machine, first.index(), format!("`{}`", a.name))
                .device(machine, stray.index(), format!("`{}`", b.name)),
            );
        }
        if let Some(other) = named.get(&group) {
            let other = &machine.groups[*other];
            let differ = matches!((other.default_domain, policy.default_domain), (Some(a), Some(b)) if a != b);
            let code = if differ {
                Code::GroupPolicies
            } else {
                Code::TwoNames
            };
            let mut diagnostic = Diagnostic::new(
                code,
                format!("`{}` and `{}` name the same group", other.name, policy.name),
            )
            .party(format!("group `{}`", policy.name), policy.source)
            .party(format!("group `{}`", other.name), other.source);
            if let (Some(a), Some(b)) = (other.members.first(), policy.members.first()) {
                diagnostic.chain = chains.find(*a, *b, &[EdgeKind::Alias, EdgeKind::Isolation]);
            }
            found.push(diagnostic);
        } else {
            named.insert(group, index);
        }
        if let Some(domain_type) = policy.default_domain {
            policies.entry(group).or_insert((index, domain_type));
        }
    }
    policies
}
