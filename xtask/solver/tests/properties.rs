//! What holds of every machine.

#[path = "support/random.rs"]
mod random;
mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use solver::model::*;
use solver::solution::{EdgeKind, Mode, Solution};
use solver::{Code, Machine, Options, Severity, solve};
use support::*;

fn seeds() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 16..480)
}

fn quick(machine: &Machine, mode: Mode) -> Solution {
    solve(machine, &Options { mode, remedies: 0 })
}

/// Every diagnostic with its chain and remedies, by name.
fn diagnostics(m: &Machine, s: &Solution) -> Vec<String> {
    s.diagnostics
        .iter()
        .map(|d| {
            let chain: Vec<String> = d
                .chain
                .iter()
                .map(|e| format!("{} - {}: {}", name(m, e.from), name(m, e.to), e.because))
                .collect();
            format!(
                "{} {} {:?} {chain:?} {:?}",
                d.code,
                d.message,
                d.parties.iter().map(|p| &p.text).collect::<Vec<_>>(),
                d.remedies.iter().map(|r| &r.text).collect::<Vec<_>>()
            )
        })
        .collect()
}

/// Everything a solution says, by name.
fn by_name(m: &Machine, s: &Solution) -> Vec<String> {
    let list = |nodes: &[NodeId]| {
        nodes
            .iter()
            .map(|n| name(m, *n))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines = vec![format!("order {}", list(&s.order))];
    for node in &s.order {
        let d = s.device(*node);
        lines.push(format!(
            "{} {:?} {:?} {:?} {:?} {} {} {} {:?} {} {:?}",
            name(m, *node),
            d.requester,
            d.aliases,
            d.streams,
            d.buses,
            d.alias_set,
            d.group,
            d.reset_unit,
            d.domain_type,
            d.domain_because,
            d.domain
        ));
    }
    lines.extend(
        s.alias_sets
            .iter()
            .map(|a| format!("alias {} {:?}", list(&a.devices), a.domain_type)),
    );
    for group in &s.groups {
        let owners: Vec<&str> = group
            .owners
            .iter()
            .map(|o| m.owners[o.index()].name.as_str())
            .collect();
        lines.push(format!(
            "group {} {} {owners:?}",
            group.name,
            list(&group.devices)
        ));
    }
    lines.extend(
        s.reset_units
            .iter()
            .map(|r| format!("reset {}", list(&r.devices))),
    );
    lines.extend(s.edges.iter().map(|e| {
        format!(
            "{:?} {} {} {}",
            e.kind,
            name(m, e.from),
            name(m, e.to),
            e.because
        )
    }));
    lines.extend(s.domains.iter().map(|d| {
        format!(
            "domain {:?} {} {:?} {:?}",
            d.domain_type,
            list(&d.devices),
            d.contexts,
            d.window
        )
    }));
    let mut diagnostics = diagnostics(m, s);
    // Waivers have no name to sort by, so only their set is independent of the order.
    diagnostics.sort();
    lines.extend(diagnostics);
    lines
}

fn joined(sets: &[Vec<NodeId>], of: impl Fn(NodeId) -> usize) -> bool {
    sets.iter()
        .all(|set| set.iter().map(|n| of(*n)).collect::<BTreeSet<_>>().len() == 1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn strict_is_a_coarsening_of_linux(seeds in seeds()) {
        let m = random::build(&seeds);
        let (strict, linux) = (quick(&m, Mode::Strict), quick(&m, Mode::Linux));
        let groups: Vec<_> = linux.groups.iter().map(|g| g.devices.clone()).collect();
        prop_assert!(joined(&groups, |n| strict.device(n).group));
    }

    #[test]
    fn the_order_of_declaration_does_not_matter(seeds in seeds(), keys in seeds()) {
        let m = random::build(&seeds);
        let p = random::permuted(&m, &keys);
        for mode in [Mode::Strict, Mode::Linux] {
            prop_assert_eq!(by_name(&m, &quick(&m, mode)), by_name(&p, &quick(&p, mode)));
        }
    }

    #[test]
    fn edges_span_exactly_the_sets(seeds in seeds()) {
        let m = random::build(&seeds);
        let s = quick(&m, Mode::Strict);
        for edge in &s.edges {
            let (a, b) = (s.device(edge.from), s.device(edge.to));
            match edge.kind {
                EdgeKind::Alias => prop_assert_eq!(a.alias_set, b.alias_set),
                EdgeKind::Isolation => prop_assert_eq!(a.group, b.group),
                EdgeKind::Reset => prop_assert_eq!(a.reset_unit, b.reset_unit),
            }
        }
        prop_assert!(joined(&s.alias_sets.iter().map(|a| a.devices.clone()).collect::<Vec<_>>(), |n| s.device(n).group));
    }

    #[test]
    fn no_waiver_lifts_an_error_about_aliases(seeds in seeds()) {
        let mut m = random::build(&seeds);
        let about_aliases = |m: &Machine| -> BTreeSet<String> {
            quick(m, Mode::Strict)
                .errors()
                .filter(|d| matches!(d.code, Code::AliasTrust | Code::AliasDemands))
                .map(|d| d.message.clone())
                .collect()
        };
        let before = about_aliases(&m);
        for a in 0..m.owners.len() {
            for b in 0..a {
                let pair = (OwnerId::new(a), OwnerId::new(b));
                m.waivers.push(Waiver { pair, reason: "all of them".into(), devices: Vec::new(), source: Source(0) });
            }
        }
        prop_assert_eq!(before, about_aliases(&m));
    }

    #[test]
    fn windows_keep_clear_of_what_is_reserved(seeds in seeds()) {
        let m = random::build(&seeds);
        let s = quick(&m, Mode::Strict);
        for domain in &s.domains {
            let Some(w) = domain.window else { continue };
            let own = region("window", w.page_base, w.page_bytes + w.block_bytes);
            let direct = domain.devices.iter().flat_map(|n| &m.nodes[n.index()].direct);
            for other in m.reserved.iter().chain(direct) {
                prop_assert!(!own.overlaps(other), "{own:?} {other:?}");
            }
        }
        let asids: Vec<_> = s.domains.iter().flat_map(|d| &d.contexts).map(|c| (c.smmu, c.asid)).collect();
        prop_assert_eq!(asids.iter().collect::<BTreeSet<_>>().len(), asids.len());
        prop_assert!(asids.iter().all(|(_, asid)| *asid > 0));
    }

    #[test]
    fn unowned_streams_abort_unless_they_have_direct_regions(seeds in seeds()) {
        let m = random::build(&seeds);
        let s = quick(&m, Mode::Strict);
        for set in &s.alias_sets {
            let nodes = || set.devices.iter().map(|n| &m.nodes[n.index()]);
            let quiet = nodes().all(|n| n.owner.is_none() && n.direct.is_empty() && n.demand.is_none());
            if quiet {
                prop_assert_eq!(set.domain_type, DomainType::Blocked);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn remedies_really_solve(seeds in seeds()) {
        let m = random::build(&seeds);
        for mode in [Mode::Strict, Mode::Linux] {
            let s = solve(&m, &Options { mode, remedies: 8 });
            // One cause may show at another device after a change.
            let key = |d: &solver::Diagnostic| (d.code, d.cause.clone().unwrap_or(d.message.clone()));
            // What contradicting demands hide may show when they agree.
            let before: BTreeSet<_> = s.errors().chain(&s.left_out).map(key).collect();
            for diagnostic in s.errors() {
                for remedy in &diagnostic.remedies {
                    let mut changed = m.clone();
                    remedy.changes.iter().for_each(|change| change.apply(&mut changed));
                    let after: BTreeSet<_> = quick(&changed, mode).errors().map(key).collect();
                    prop_assert!(!after.contains(&key(diagnostic)), "{}", remedy.text);
                    prop_assert!(after.is_subset(&before), "{}", remedy.text);
                }
            }
        }
    }

    /// Which errors get remedies at all depends on how many there are, so all do here.
    #[test]
    fn remedies_do_not_depend_on_the_order_either(
        seeds in proptest::collection::vec(any::<u32>(), 16..200),
        keys in seeds(),
    ) {
        let m = random::build(&seeds);
        let p = random::permuted(&m, &keys);
        let options = Options { mode: Mode::Strict, remedies: usize::MAX };
        prop_assert_eq!(by_name(&m, &solve(&m, &options)), by_name(&p, &solve(&p, &options)));
    }

    #[test]
    fn conflicts_of_two_owners_come_with_a_remedy(seeds in seeds()) {
        let m = random::build(&seeds);
        let s = solve(&m, &Options { mode: Mode::Strict, remedies: usize::MAX });
        for diagnostic in s.errors() {
            let conflict = matches!(diagnostic.code, Code::GroupTrust | Code::AliasTrust | Code::Containment);
            // Beside a device that nobody drives each change may show an error that this one hid.
            let conflict = conflict && diagnostic.nodes.iter().all(|node| m.nodes[node.index()].owner.is_some());
            prop_assert_eq!(diagnostic.severity, Severity::Error);
            if conflict {
                prop_assert!(diagnostic.parties.len() == 2 && !diagnostic.chain.is_empty());
                prop_assert!(!diagnostic.remedies.is_empty(), "{diagnostic:?}");
            }
        }
    }

    /// References that lead nowhere, cycles, numbers out of range: an answer all the same.
    #[test]
    fn nonsense_is_answered(
        places in proptest::collection::vec((0u8..4, any::<u32>(), any::<u8>(), any::<u8>(), 0usize..11), 1..40),
    ) {
        use FunctionKind::*;
        const KINDS: [FunctionKind; 11] = [
            Endpoint, RootComplexEndpoint, EventCollector, Conventional, HostBridge, RootPort, UpstreamPort,
            DownstreamPort, PcieToPci, PciToPcie, ConventionalBridge,
        ];
        let mut m = machine();
        let len = places.len() as u32;
        for (index, (how, reference, device, function, kind)) in places.into_iter().enumerate() {
            let reference = reference % (len + 2);
            let (device, function) = (device % 34, function % 10);
            let place = match how {
                0 => Place::Slot { upstream: Upstream::Root(RootId(reference % 3)), device, function },
                1 => Place::Slot { upstream: Upstream::Bridge(NodeId(reference)), device, function },
                2 => Place::Virtual { physical: NodeId(reference), offset: u16::from(device) << 8 },
                _ => Place::Platform { streams: vec![(SmmuId(reference % 3), u32::from(device) << 12)] },
            };
            let mut node = node(&format!("n{}", index % 37), KINDS[kind], place);
            node.owner = Some(OwnerId(reference % 5));
            node.function.buses.secondary = reference.is_multiple_of(7).then_some(device);
            node.window.page_bytes = u64::MAX >> (reference % 64);
            node.direct.push(region("r", u64::MAX - u64::from(reference), u64::from(reference) << 40));
            m.nodes.push(node);
        }
        owner(&mut m, "one");
        m.trust.push(Trust { from: OwnerId(9), to: OwnerId(0), source: Source(0) });
        m.waivers.push(Waiver { pair: (OwnerId(9), OwnerId(9)), reason: String::new(), devices: Vec::new(), source: Source(0) });
        m.containment.push(Containment { name: "c".into(), owners: vec![OwnerId(9)], source: Source(0) });
        m.groups.push(GroupPolicy { name: "g".into(), members: vec![NodeId(99)], default_domain: None, source: Source(0) });
        for mode in [Mode::Strict, Mode::Linux] {
            let s = solve(&m, &Options { mode, remedies: 2 });
            prop_assert_eq!(s.order.len(), m.nodes.len());
        }
    }
}

/// The properties above would hold of machines in which nothing happens.
#[test]
fn random_machines_have_something_to_say() {
    let mut state = 1u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut codes = BTreeSet::new();
    let (mut shared, mut merged, mut together) = (0, 0, 0);
    for _ in 0..64 {
        let seeds: Vec<u32> = (0..480).map(|_| number()).collect();
        let m = random::build(&seeds);
        let s = quick(&m, Mode::Strict);
        codes.extend(s.diagnostics.iter().map(|d| d.code));
        shared += s.alias_sets.iter().filter(|a| a.devices.len() > 1).count();
        merged += usize::from(s.groups.len() < quick(&m, Mode::Linux).groups.len());
        together += s.reset_units.iter().filter(|r| r.devices.len() > 1).count();
    }
    for code in [
        Code::AliasDemands,
        Code::AliasTrust,
        Code::GroupDemands,
        Code::GroupTrust,
        Code::Containment,
        Code::Unowned,
        Code::UntrustedIdentity,
        Code::DirectBlocked,
        Code::MixedNeutral,
        Code::RootComplexRouting,
    ] {
        assert!(codes.contains(&code), "{code:?}");
    }
    assert!(
        shared > 10 && merged > 10 && together > 10,
        "{shared} {merged} {together}"
    );
}
