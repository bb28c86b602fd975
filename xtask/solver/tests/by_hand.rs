//! `docs/reference/plan.md` done by hand: the relations and the checks of owners once more, pair by pair, from
//! the text of that page and from nothing of the solver but the numbers it gave to functions.

#[path = "support/by_hand.rs"]
mod hand;
#[path = "support/random.rs"]
mod random;
#[path = "support/requests.rs"]
mod requests;
mod support;

use std::collections::BTreeSet;

use hand::{Hand, partition};
use proptest::prelude::*;
use solver::model::*;
use solver::solution::{Mode, Solution};
use solver::{Code, Machine, Options, solve};
use support::*;

fn seeds() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 16..480)
}

fn quick(machine: &Machine, mode: Mode) -> Solution {
    solve(machine, &Options { mode, remedies: 0 })
}

fn sets<'a>(list: impl Iterator<Item = &'a Vec<NodeId>>) -> BTreeSet<BTreeSet<usize>> {
    list.map(|set| set.iter().map(|node| node.index()).collect())
        .collect()
}

/// True if an error of one of `codes` names both owners.
fn named(s: &Solution, codes: &[Code], owners: (&str, &str)) -> bool {
    // What contradicting demands hide is kept.
    s.errors().chain(&s.left_out).any(|error| {
        codes.contains(&error.code)
            && error.message.contains(&format!("`{}`", owners.0))
            && error.message.contains(&format!("`{}`", owners.1))
    })
}

/// Where two devices of owners without trust meet, something is said of both.
fn owners_are_named(m: &Machine, s: &Solution) -> Result<(), TestCaseError> {
    let hand = Hand::new(m, s);
    for a in 0..m.nodes.len() {
        for b in 0..a {
            let (Some(x), Some(y)) = (m.nodes[a].owner, m.nodes[b].owner) else {
                continue;
            };
            if x == y {
                continue;
            }
            let names = (
                m.owners[x.index()].name.as_str(),
                m.owners[y.index()].name.as_str(),
            );
            let (one, other) = (&s.devices[a], &s.devices[b]);
            let trust = hand.trusting(x, y);
            let meet = !hand.never_together(a, b);
            let at = format!("{} and {}", m.nodes[a].name, m.nodes[b].name);
            let unit = one.alias_set == other.alias_set
                || s.mode == Mode::Linux && one.group == other.group;
            if unit && !trust {
                prop_assert!(named(s, &[Code::AliasTrust], names), "{at}: one domain");
            }
            if one.domain.is_some() && one.domain == other.domain && !trust {
                prop_assert!(!s.accepted(), "{at}: one domain, two pools");
            }
            if one.group == other.group
                && meet
                && !trust
                && !hand.waived(x, y, &s.groups[one.group].devices)
            {
                let codes = [Code::GroupTrust, Code::AliasTrust];
                prop_assert!(named(s, &codes, names), "{at}: one group");
            }
            let reset = one.reset_unit == other.reset_unit && meet;
            if (unit || reset) && !hand.contained(x, y) {
                prop_assert!(named(s, &[Code::Containment], names), "{at}: one unit");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn devices_that_share_a_stream_share_everything(seeds in seeds()) {
        let m = random::build(&seeds);
        for mode in [Mode::Strict, Mode::Linux] {
            let s = quick(&m, mode);
            let hand = Hand::new(&m, &s);
            for a in 0..m.nodes.len() {
                for b in 0..a {
                    if !hand.share_a_stream(a, b) || hand.never_together(a, b) {
                        continue;
                    }
                    let (one, other) = (&s.devices[a], &s.devices[b]);
                    let at = format!("{} and {}", m.nodes[a].name, m.nodes[b].name);
                    prop_assert_eq!(one.alias_set, other.alias_set, "{}", at);
                    prop_assert_eq!(one.group, other.group, "{}", at);
                    prop_assert_eq!(one.domain, other.domain, "{}", at);
                }
            }
        }
    }

    #[test]
    fn alias_sets_and_reset_units_are_those_of_the_page(seeds in seeds()) {
        let m = random::build(&seeds);
        let s = quick(&m, Mode::Strict);
        let hand = Hand::new(&m, &s);
        let aliases = partition(m.nodes.len(), |a, b| hand.share_a_stream(a, b) && !hand.never_together(a, b));
        prop_assert_eq!(sets(s.alias_sets.iter().map(|set| &set.devices)), aliases);
        let resets = partition(m.nodes.len(), |a, b| hand.reset_together(a, b) || hand.reset_together(b, a));
        prop_assert_eq!(sets(s.reset_units.iter().map(|set| &set.devices)), resets);
    }

    #[test]
    fn every_pair_of_owners_without_trust_is_named(seeds in seeds()) {
        let m = random::build(&seeds);
        for mode in [Mode::Strict, Mode::Linux] {
            owners_are_named(&m, &quick(&m, mode))?;
        }
    }

    /// What can reach each other without the SMMU, and shares a StreamID, is one group, and nothing else is.
    #[test]
    fn isolation_groups_are_what_requests_reach(seeds in seeds()) {
        let m = random::build(&seeds);
        let s = quick(&m, Mode::Strict);
        let hand = Hand::new(&m, &s);
        let apart = |a: usize, b: usize| hand.never_together(a, b);
        let fabric = requests::Fabric::new(&m, &apart);
        let reached: Vec<BTreeSet<usize>> = (0..m.nodes.len()).map(|node| fabric.reached(node)).collect();
        let together = |a: usize, b: usize| {
            reached[a].contains(&b) || hand.share_a_stream(a, b) && !hand.never_together(a, b)
        };
        let expected = partition(m.nodes.len(), together);
        let found = sets(s.groups.iter().map(|group| &group.devices));
        let named = |sets: Vec<&BTreeSet<usize>>| -> Vec<Vec<String>> {
            let name = |n: &usize| format!("{} {:?}", m.nodes[*n].name, m.nodes[*n].function.kind);
            sets.iter().map(|set| set.iter().map(name).collect()).collect()
        };
        let (more, less) = (found.difference(&expected), expected.difference(&found));
        prop_assert_eq!(named(more.collect()), named(less.collect()));
    }

    #[test]
    fn who_has_registers_is_trusted_by_all_in_reach(seeds in seeds()) {
        let m = random::build(&seeds);
        for mode in [Mode::Strict, Mode::Linux] {
            let s = quick(&m, mode);
            let hand = Hand::new(&m, &s);
            for (a, device) in m.nodes.iter().enumerate() {
                let platform = matches!(device.place, Place::Platform { .. });
                let acts = device.owner.is_some() || !device.direct.is_empty() || platform;
                for holder in device.holders.iter().filter(|_| acts) {
                    for (b, other) in m.nodes.iter().enumerate() {
                        let Some(owner) = other.owner.filter(|o| Some(*o) != device.owner && *o != holder.task) else {
                            continue;
                        };
                        let (one, two) = (&s.devices[a], &s.devices[b]);
                        let unit = one.alias_set == two.alias_set || mode == Mode::Linux && one.group == two.group;
                        let met = unit || one.group == two.group && !hand.never_together(a, b);
                        let trusted = m.trust.iter().any(|t| t.from == owner && t.to == holder.task);
                        if met && !trusted {
                            let names = (m.owners[holder.task.index()].name.as_str(), m.owners[owner.index()].name.as_str());
                            prop_assert!(named(&s, &[Code::HolderTrust], names), "{} by {}", other.name, device.name);
                        }
                    }
                }
            }
        }
    }

    /// Few of the machines above are accepted; these are, or nearly so.
    #[test]
    fn no_accepted_machine_mixes_pools(seeds in seeds()) {
        let mut m = random::build(&seeds);
        m.policy.unowned = Unowned::Block;
        for root in &mut m.roots {
            *root = RootBus { streams: machine().roots[0].streams.clone(), stream_mask: 0, ..root.clone() };
        }
        for node in &mut m.nodes {
            node.demand = None;
            node.direct.clear();
            node.external = false;
        }
        let all: Vec<OwnerId> = (0..4).map(|index| owner(&mut m, &format!("owner-{index}"))).collect();
        m.containment.push(Containment { name: "all".into(), owners: all, source: Source(0) });
        for mode in [Mode::Strict, Mode::Linux] {
            let s = quick(&m, mode);
            let hand = Hand::new(&m, &s);
            for domain in s.domains.iter().filter(|_| s.accepted()) {
                for (index, a) in domain.owners.iter().enumerate() {
                    for b in &domain.owners[..index] {
                        prop_assert!(hand.trusting(*a, *b));
                    }
                }
            }
        }
    }
}
