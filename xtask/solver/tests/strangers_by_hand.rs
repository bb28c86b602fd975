//! What `docs/reference/plan.md` says of hardware that means harm, done by hand: who may use whose StreamID, and which
//! device is open though nobody drives it.

#[path = "support/by_hand.rs"]
mod hand;
#[path = "support/random.rs"]
mod random;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use hand::{Hand, Key, Usable};
use proptest::prelude::*;
use solver::model::*;
use solver::solution::{Mode, Solution};
use solver::{Code, Machine, Options, solve};
use support::*;

/// One machine, what was said of it, and whom the page names.
struct Case<'a> {
    m: &'a Machine,
    s: &'a Solution,
    hand: Hand<'a>,
    images: BTreeMap<Usable, BTreeSet<Key>>,
}

impl<'a> Case<'a> {
    fn new(m: &'a Machine, s: &'a Solution) -> Self {
        let (hand, images) = (Hand::new(m, s), BTreeMap::new());
        Self { m, s, hand, images }
    }

    fn name(&self, node: usize) -> &'a str {
        &self.m.nodes[node].name
    }

    /// Devices with one domain.
    fn unit(&self, node: usize) -> Vec<usize> {
        let of = |node: usize| match self.s.mode {
            Mode::Strict => self.s.devices[node].alias_set,
            Mode::Linux => self.s.devices[node].group,
        };
        let all = 0..self.m.nodes.len();
        all.filter(|other| of(*other) == of(node)).collect()
    }

    fn is_open_unowned(&self, node: usize) -> bool {
        let unit = self.unit(node);
        !self.m.nodes[node].direct.is_empty()
            && unit.iter().all(|mate| self.m.nodes[*mate].owner.is_none())
    }

    /// Owners by name that answer for a device in reach; `None` is nobody.
    fn answers(&self, node: usize) -> Vec<Option<OwnerId>> {
        match self.m.nodes[node].owner {
            Some(owner) => vec![Some(owner)],
            None if self.is_open_unowned(node) => vec![None],
            None => Vec::new(),
        }
    }

    /// The devices of every domain that one of `usable` leads to; `but` is a bus whose functions use their own ids.
    fn led_to(&mut self, usable: Usable, but: Option<usize>) -> BTreeSet<usize> {
        let hand = &self.hand;
        let image = self
            .images
            .entry(usable)
            .or_insert_with(|| hand.image(usable));
        let users: Vec<usize> = (0..self.m.nodes.len())
            .filter(|user| hand.has_one_of(*user, image))
            .filter(|user| but.is_none() || hand.bridge_above(*user) != but)
            .collect();
        users.into_iter().flat_map(|user| self.unit(user)).collect()
    }

    /// True if an error of `code` has all of `words` in its message.
    fn says(&self, code: Code, words: &[&str]) -> bool {
        let mut errors = self.s.errors().filter(|error| error.code == code);
        errors.any(|error| words.iter().all(|word| error.message.contains(word)))
    }

    fn owner(&self, owner: OwnerId) -> String {
        format!("`{}`", self.m.owners[owner.index()].name)
    }

    /// A waiver of the two that covers both devices.
    fn waived(&self, owners: (OwnerId, OwnerId), devices: [usize; 2]) -> bool {
        self.m.waivers.iter().any(|waiver| {
            let (a, b) = waiver.pair;
            let all = devices
                .iter()
                .all(|n| waiver.devices.contains(&NodeId::new(*n)));
            ((a, b) == owners || (b, a) == owners) && (waiver.devices.is_empty() || all)
        })
    }

    /// What `a` may use of others.
    fn forger(&mut self, a: usize) -> Result<(), TestCaseError> {
        let acts = self.m.nodes[a].owner.is_some() || !self.m.nodes[a].direct.is_empty();
        let Some(bus) = self.hand.bridge_above(a).filter(|_| acts) else {
            return Ok(());
        };
        let Some(usable) = self.hand.usable_below(bus) else {
            return Ok(());
        };
        let mut by = self.answers(a);
        if by.is_empty() {
            let mates = self.unit(a).into_iter();
            by = mates
                .filter_map(|mate| self.m.nodes[mate].owner)
                .map(Some)
                .collect();
        }
        for c in self.led_to(usable, Some(bus)) {
            let one_group = self.s.devices[a].group == self.s.devices[c].group;
            if one_group || self.hand.never_together(a, c) {
                continue;
            }
            let at = format!("{} and {}", self.name(a), self.name(c));
            for of in self.answers(c) {
                for by in by.clone() {
                    let said = match (by, of) {
                        (None, None) => true,
                        (Some(by), Some(of)) => {
                            self.hand.trusting(by, of)
                                || self.waived((by, of), [a, c])
                                || self
                                    .says(Code::ForgedStream, &[&self.owner(by), &self.owner(of)])
                        }
                        (Some(owner), None) | (None, Some(owner)) => {
                            self.says(Code::ForgedStream, &[&self.owner(owner), "nobody"])
                        }
                    };
                    prop_assert!(said, "{at}: {by:?} {of:?}");
                }
            }
        }
        Ok(())
    }

    /// Nobody is in one group with a device that is always open without an owner.
    fn open_unowned(&self, a: usize) -> Result<(), TestCaseError> {
        if !self.is_open_unowned(a) {
            return Ok(());
        }
        for c in 0..self.m.nodes.len() {
            let one_group = self.s.devices[a].group == self.s.devices[c].group;
            if one_group && self.m.nodes[c].owner.is_some() && !self.hand.never_together(a, c) {
                let named = self.s.groups[self.s.devices[a].group].devices.iter();
                let mut named =
                    named.map(|node| format!("nobody drives `{}`", self.name(node.index())));
                let said = named.any(|text| self.says(Code::GroupTrust, &[&text]));
                prop_assert!(said, "{} and {}", self.name(a), self.name(c));
            }
        }
        Ok(())
    }

    /// What a stranger at a port may use of others.
    fn socket(&mut self, port: usize) -> Result<(), TestCaseError> {
        let entry = &self.m.nodes[port];
        let bridge = entry.function.kind.is_bridge() && (entry.external || entry.hotplug);
        let strict = self.s.mode == Mode::Strict;
        let usable = strict.then(|| self.hand.usable_below(port)).flatten();
        let Some(usable) = usable
            .or_else(|| self.hand.buses_of(port))
            .filter(|_| bridge)
        else {
            return Ok(());
        };
        let external = entry.external;
        for c in self.led_to(usable, None) {
            let below = self.hand.way_up(c).contains(&port);
            let at = format!("{} at {}", self.name(c), self.name(port));
            if external && self.m.nodes[c].owner.is_some() && !below {
                let port = format!("`{}`", self.name(port));
                prop_assert!(self.says(Code::Stranger, &[&port]), "{at}: driven");
            }
            if !self.m.nodes[c].direct.is_empty() {
                prop_assert!(self.says(Code::DirectSocket, &[]), "{at}: open");
            }
        }
        Ok(())
    }
}

/// Adds two that share a domain, of which one has an id of a bus below some port, and another drives or is always open.
fn by_a_mate(m: &mut Machine, bus: u32, owner: usize) {
    let of = |streams: &[u32]| Place::Platform {
        streams: streams.iter().map(|id| (SmmuId(0), *id)).collect(),
    };
    let shared = 0xa000;
    let id = bus << 8 | 0xf8;
    push(m, node("spare", FunctionKind::Endpoint, of(&[id, shared])));
    let mut mate = node("mate", FunctionKind::Endpoint, of(&[shared]));
    match owner < m.owners.len() {
        true => mate.owner = Some(OwnerId::new(owner)),
        false => mate.direct.push(region("buffer", 0x9000_0000, 0x1000)),
    }
    push(m, mate);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn whoever_may_use_an_id_answers_to_all_whom_it_leads_to(
        seeds in proptest::collection::vec(any::<u32>(), 16..320),
        bus in 1u32..6,
        owner in 0usize..6,
    ) {
        let mut m = random::build(&seeds);
        by_a_mate(&mut m, bus, owner);
        for mode in [Mode::Strict, Mode::Linux] {
            let s = solve(&m, &Options { mode, remedies: 0 });
            let mut case = Case::new(&m, &s);
            for node in 0..m.nodes.len() {
                if mode == Mode::Strict {
                    case.forger(node)?;
                }
                case.open_unowned(node)?;
                case.socket(node)?;
            }
        }
    }
}
