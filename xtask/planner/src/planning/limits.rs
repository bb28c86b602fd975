//! The limits of kernel and servers, whose tables have fixed sizes, compared with the whole plan. A larger machine can be
//! planned; its image would be refused at boot, or one driver would use up what others need. Here it is a mistake with a
//! place, both numbers and the largest users.

use plan::limits::{
    DEVICES_MAX, DOMAINS_MAX, LENT_POOLS_MAX, MAPPED_LEASES_MAX, MEMBERS_MAX, PARTED_MAX,
    PREMAPPED_MAX, SMMUS_MAX, STREAMS_MAX,
};
use solver::Machine;
use solver::model::NodeId;
use solver::solution::Solution;

use super::Plan;
use super::domain_plan::Domains;
use crate::read::{App, Task};
use crate::report::{Mistake, Report, Span};

/// Pins of a device whose driver says nothing, if there is room for as many.
const PINS: usize = 64;
/// Users that a message names.
const NAMED: usize = 3;

/// The users of something, and how much each uses.
struct Sum {
    /// What is counted, in the plural.
    what: &'static str,
    /// Name, how many, and where it was declared if it was.
    users: Vec<(String, usize, Option<Span>)>,
    most: usize,
    remedy: &'static str,
}

impl Sum {
    fn check(mut self, report: &Report, server: &Task) {
        let found: usize = self.users.iter().map(|user| user.1).sum();
        if found <= self.most {
            return;
        }
        // Stable: of equals in the order of the plan.
        self.users.sort_by_key(|user| std::cmp::Reverse(user.1));
        let largest: Vec<String> = self
            .users
            .iter()
            .take(NAMED)
            .map(|(name, count, _)| format!("`{name}` {count}"))
            .collect();
        let mut draft = report
            .error(
                Mistake::TooMany,
                format!(
                    "{found} {} are more than the IOMMU server serves",
                    self.what
                ),
            )
            .at(
                &server.name.span,
                format!("it has room for {} in all", self.most),
            );
        if let Some((_, count, Some(span))) = self.users.first() {
            draft = draft.with(span, format!("{count} of them"));
        }
        if self.users.iter().any(|user| user.1 > 1) {
            draft = draft.note(format!("the largest: {}", largest.join(", ")));
        }
        drop(draft.remedy(self.remedy));
    }
}

/// Reports what is too much for an image. A machine without an IOMMU server is only looked at.
pub fn check(report: &Report, plan: &Plan) {
    let server = plan
        .app
        .authority()
        .and_then(|index| plan.app.tasks.get(index));
    let Some(server) = server else {
        return;
    };
    let used = Used {
        app: &plan.app,
        machine: &plan.machine,
        solution: &plan.solution,
        domains: &plan.domains,
    };
    for sum in used.sums() {
        sum.check(report, server);
    }
    used.check_members(report, server);
}

/// The users of the server's tables.
struct Used<'a> {
    app: &'a App,
    machine: &'a Machine,
    solution: &'a Solution,
    domains: &'a Domains,
}

const LEAVE_OUT: &str =
    "leave out devices that nobody drives, below a bridge that is not declared either";

impl Used<'_> {
    /// The place where a device is declared.
    fn place(&self, name: &str) -> Option<Span> {
        let mut devices = self.app.devices.iter();
        let device = devices.find(|device| device.name.value == name);
        device.map(|device| device.name.span.clone())
    }

    fn first_of(&self, members: &[NodeId]) -> String {
        let first = members
            .first()
            .and_then(|node| self.machine.nodes.get(node.index()));
        first.map_or(String::new(), |node| node.name.clone())
    }

    fn sums(&self) -> [Sum; 8] {
        let counted = |name: String, count| {
            let place = self.place(&name);
            (name, count, place)
        };
        let smmus = self.machine.smmus.iter();
        let nodes = || self.machine.nodes.iter();
        let domains = || self.solution.domains.iter();
        let first = |domain: &solver::solution::Domain| self.first_of(&domain.devices);
        let streams = nodes().zip(&self.solution.devices);
        let premapped = domains().zip(&self.domains.domains);
        let lazy = premapped
            .clone()
            .filter_map(|(domain, planned)| Some((domain, planned.lazy.as_ref()?)));
        [
            Sum {
                what: "SMMUs",
                users: smmus.map(|smmu| (smmu.name.clone(), 1, None)).collect(),
                most: SMMUS_MAX,
                remedy: "declare the SMMUs whose devices are driven, and no others",
            },
            Sum {
                what: "devices, bridges included,",
                users: nodes().map(|node| counted(node.name.clone(), 1)).collect(),
                most: DEVICES_MAX,
                remedy: LEAVE_OUT,
            },
            Sum {
                what: "domains",
                users: domains().map(|domain| counted(first(domain), 1)).collect(),
                most: DOMAINS_MAX,
                remedy: LEAVE_OUT,
            },
            Sum {
                what: "streams",
                users: streams
                    .map(|(node, found)| counted(node.name.clone(), found.streams.len()))
                    .collect(),
                most: STREAMS_MAX,
                remedy: LEAVE_OUT,
            },
            Sum {
                what: "premapped ranges",
                users: premapped
                    .map(|(domain, planned)| counted(first(domain), planned.premapped.len()))
                    .collect(),
                most: PREMAPPED_MAX,
                remedy: "merge pools, or direct regions, that lie side by side",
            },
            Sum {
                what: "unmapped pages that wait for a flush",
                users: lazy
                    .map(|(domain, lazy)| counted(first(domain), lazy.bounds.pages.into()))
                    .collect(),
                most: PARTED_MAX,
                remedy: "give lazy domains fewer `pages`; beyond 64 they gain little",
            },
            Sum {
                what: "pins",
                users: pins(self.app)
                    .into_iter()
                    .map(|pins| (pins.device, pins.count, Some(pins.span)))
                    .collect(),
                most: MAPPED_LEASES_MAX,
                remedy: "give drivers fewer `pins`, as many as they have requests of clients under way at once",
            },
            Sum {
                what: "pools lent as a whole",
                users: self
                    .app
                    .tasks
                    .iter()
                    .flat_map(|task| &task.lends)
                    .map(|lend| (lend.device.value.clone(), 1, Some(lend.device.span.clone())))
                    .collect(),
                most: LENT_POOLS_MAX,
                remedy: "lend one pool to one device where that is enough; buffers can be lent with each request",
            },
        ]
    }

    /// No domain has more devices than the server can list.
    fn check_members(&self, report: &Report, server: &Task) {
        let domains = self.solution.domains.iter();
        for domain in domains.filter(|domain| domain.devices.len() > MEMBERS_MAX) {
            let first = self.first_of(&domain.devices);
            let draft = report.error(
                Mistake::TooMany,
                format!(
                    "{} devices share one domain with `{first}`",
                    domain.devices.len()
                ),
            );
            let draft = match self.place(&first) {
                Some(span) => draft.at(&span, "the first of them"),
                None => draft,
            };
            drop(
                draft
                    .with(
                        &server.name.span,
                        format!("it has room for {MEMBERS_MAX} in one"),
                    )
                    .remedy("put some of them behind a bridge of their own"),
            );
        }
    }
}

/// Most leases of clients that a device may have mapped at once: each is a pin of the kernel's.
pub struct Pins {
    pub device: String,
    pub count: usize,
    /// The place of the driver's `pins`, or of its declaration.
    pub span: Span,
}

/// The pins of all driven devices, by task. A driver whom nobody may call has no lender, so it needs none; what is
/// left by those who say how many is shared evenly by those who do not, at most [`PINS`] each.
pub fn pins(app: &App) -> Vec<Pins> {
    let has_clients = |task: &Task| {
        let mut callers = app.tasks.iter();
        callers.any(|caller| {
            caller
                .calls
                .iter()
                .any(|call| call.value == task.name.value)
        })
    };
    let drivers = app
        .tasks
        .iter()
        .flat_map(|task| task.drives.iter().map(move |drive| (task, drive)));
    let declared = |task: &Task| task.pins.as_ref().map(|pins| pins.value as usize);
    let silent = |task: &Task| task.pins.is_none() && has_clients(task);
    let given: usize = drivers.clone().filter_map(|(task, _)| declared(task)).sum();
    let sharers = drivers.clone().filter(|(task, _)| silent(task)).count();
    let left = MAPPED_LEASES_MAX.saturating_sub(given);
    // One at least: where not even that is left, the sum says so.
    let share = (left / sharers.max(1)).clamp(1, PINS);
    drivers
        .map(|(task, drive)| Pins {
            device: drive.value.clone(),
            count: declared(task).unwrap_or(if silent(task) { share } else { 0 }),
            span: task
                .pins
                .as_ref()
                .map_or(&drive.span, |pins| &pins.span)
                .clone(),
        })
        .collect()
}
