//! Step 2: the plan. Everything is decided here that does not depend on the programs: the fabric,
//! interrupts, notification bits, rights, domains.

mod address_bits;
mod coherence;
mod domain_plan;
mod domains;
mod fabric;
mod findings;
mod function;
mod identity;
mod image;
mod interrupts;
mod lazy;
mod limits;
mod machine;
mod messages;
mod names;
mod non_pci;
mod notifications;
mod premapped;
mod premapped_pools;
mod registers;
mod route;
mod runnable;
mod time;
mod wiring;

pub use domain_plan::{DevicePlan, DomainPlan, Domains, LazyPlan, Premapped};
pub use fabric::{Fabric, WINDOW_CLOSED};
pub use function::{Function, FunctionKind};
pub use image::{SMMU_ALIGNMENT, STREAM_BITS_MAX};
pub use messages::{MessageDevice, doorbell, message_address};
pub use names::bar as bar_name;
pub use non_pci::NonPciDevice;
pub use notifications::Notifications;
pub use premapped::{IOVA_BITS, IOVA_BITS_FAR, direct_in_ram};
pub use route::InterruptRoute;
pub use time::{LongestMessage, Time, Wait, longest_message, percent, share_of};

use std::collections::BTreeSet;

use abi::Rights;

use solver::model::Machine;
use solver::solution::Solution;
use solver::{Code, Diagnostic, Options, solve};

use crate::read::{App, PlatformDeviceKind, Task, TaskRight, pool_of};
use crate::report::{Report, Reported};

/// The planned system, before programs and addresses.
pub struct Plan {
    /// The file as it was read.
    pub app: App,
    /// The PCI functions.
    pub fabric: Fabric,
    /// The devices that are not on PCI. In every table of devices they follow the functions.
    pub non_pci: Vec<NonPciDevice>,
    /// The functions that signal by messages.
    pub messages: Vec<MessageDevice>,
    /// The interrupts that tasks receive.
    pub interrupts: Vec<InterruptRoute>,
    /// The notification bits, and the tasks that may post them.
    pub notifications: Notifications,
    /// The domains, and the domain of each device.
    pub domains: Domains,
    /// Accounts of processor time.
    pub time: Time,
    /// The machine that the solver was given.
    pub machine: Machine,
    /// The answer of the solver.
    pub solution: Solution,
}

/// A pool that a task lends to a device as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LentPool {
    /// Index of the task.
    pub task: usize,
    /// Number of the pool in the task.
    pub pool: usize,
    /// Whether the device may write to it.
    pub writable: bool,
    /// Most bytes of it, from the first one on; whole pages.
    pub bytes: u64,
}

impl Plan {
    /// Plans the system; contradictions are reported.
    pub fn new(report: &Report, app: App) -> Result<Self, Reported> {
        wiring::check(report, &app)?;
        let described = machine::describe(&app);
        let options = Options {
            mode: app.iommu.mode,
            ..Options::default()
        };
        let solution = solve(&described.machine, &options);
        findings::report(
            report,
            &described.machine,
            &described.sources,
            &solution,
            app.owners_unknown,
        );
        let misplaced = |found: &Diagnostic| {
            matches!(
                found.code,
                Code::SlotTaken | Code::BrokenTree | Code::SlotRange | Code::BusNumbers
            )
        };
        // Lines and addresses follow from places: where those clash, what follows is no news.
        if solution.errors().any(misplaced) {
            return Err(Reported);
        }
        let fabric = fabric::plan(report, &app, &described, &solution)?;
        let non_pci = non_pci::devices(&app, &described, &solution);
        non_pci::check(report, &app, &described.machine, &solution);
        let messages = messages::plan(report, &app, &fabric, &solution);
        let interrupts = interrupts::plan(report, &app, &fabric, &messages);
        names::check(report, &app, &interrupts);
        let notifications = notifications::plan(&app);
        let domains = domains::domains(&app, &described.machine, &solution, &fabric, &messages);
        premapped::check(report, &app);
        premapped_pools::check(report, &app, &described.machine, &solution, &domains);
        lazy::check(report, &app, &described.machine, &solution, &domains);
        identity::check(report, &app, &described.machine, &solution, &domains);
        address_bits::check(report, &app, &described.machine, &solution, &domains);
        report.gate_of_all().pass(())?;
        let time = time::plan(report, &app, &interrupts, &domains);
        Ok(Self {
            app,
            fabric,
            non_pci,
            messages,
            interrupts,
            notifications,
            domains,
            time,
            machine: described.machine,
            solution,
        })
    }

    /// Privileged calls of a task.
    pub fn rights(&self, task: usize) -> Rights {
        let translator = (self.translator() == Some(task)).then_some(Rights::MESSAGES);
        let Some(task) = self.app.tasks.get(task) else {
            return Rights::empty();
        };
        let declared = task.rights.iter().map(|right| match right.value {
            TaskRight::Supervise => Rights::SUPERVISE,
            TaskRight::Console => Rights::CONSOLE,
            TaskRight::Exit => Rights::EXIT,
            TaskRight::Test => Rights::TEST,
        });
        let authority = task.authority.iter().map(|_| Rights::DMA_AUTHORITY);
        declared.chain(authority).chain(translator).collect()
    }

    /// Names of all devices, bridges included, by their number in every protocol.
    pub fn device_names(&self) -> impl Iterator<Item = &str> {
        let functions = self.fabric.functions.iter().map(|function| &function.name);
        let others = self.non_pci.iter().map(|device| &device.name);
        functions.chain(others).map(String::as_str)
    }

    /// The numbers of [`Plan::non_pci`], in its order.
    pub fn non_pci_numbers(&self) -> std::ops::Range<usize> {
        let first = self.fabric.functions.len();
        first..first + self.non_pci.len()
    }

    /// The number of a device or bridge in every protocol.
    pub fn device_number(&self, name: &str) -> Option<usize> {
        let functions = self.fabric.functions.iter().map(|function| &function.name);
        let all = functions.chain(self.non_pci.iter().map(|device| &device.name));
        all.into_iter().position(|known| known == name)
    }

    /// Bit i: this task may send to task i.
    pub fn send_to(&self, task: usize) -> u64 {
        self.set_of(task, |task| &task.calls)
    }

    /// The tasks that declared to depend on this one.
    pub fn dependants(&self, task: usize) -> Vec<usize> {
        let own = self.app.tasks.get(task).map(|task| &task.name.value);
        let depends = |other: &Task| other.depends_on.iter().any(|peer| Some(&peer.value) == own);
        self.tasks_that(depends)
    }

    /// The tasks that hear that this one is up again: those that depend on it, and the authority, whose clients wait
    /// while it waits for whom it calls.
    pub fn hear_of_start(&self, task: usize) -> BTreeSet<usize> {
        let authority = self.app.authority();
        let calls = authority.filter(|&authority| self.send_to(authority) >> task & 1 == 1);
        self.dependants(task).into_iter().chain(calls).collect()
    }

    /// The task that hears that this one will not come back: the authority, if it hears of its starts. No others, since
    /// whoever is told adds to the time of the call that stops a task, which wakes all that wait for it as well.
    pub fn hears_of_end(&self, task: usize) -> Option<usize> {
        let authority = self.app.authority();
        authority.filter(|authority| self.hear_of_start(task).contains(authority))
    }

    fn tasks_that(&self, mut meant: impl FnMut(&Task) -> bool) -> Vec<usize> {
        let tasks = self.app.tasks.iter().enumerate();
        tasks
            .filter(|(_, task)| meant(task))
            .map(|(index, _)| index)
            .collect()
    }

    fn set_of(
        &self,
        task: usize,
        names: impl Fn(&crate::read::Task) -> &Vec<crate::report::Spanned<String>>,
    ) -> u64 {
        self.app
            .tasks
            .get(task)
            .into_iter()
            .flat_map(names)
            .filter_map(|name| self.app.task(&name.value))
            .fold(0, |set, (index, _)| set | 1 << index)
    }

    /// The tasks that are declared to stop and start together with this one, directly or through others.
    pub fn together(&self, task: usize) -> BTreeSet<usize> {
        let index = |name: &str| self.app.tasks.iter().position(|t| t.name.value == name);
        let units = self.app.iommu.containment.iter().map(|unit| {
            let tasks = unit.tasks.iter();
            tasks.filter_map(|name| index(&name.value)).collect()
        });
        let units: Vec<BTreeSet<usize>> = units.collect();
        let mut all = BTreeSet::from([task]);
        // Each round adds a unit at least, or is the last.
        for _ in &units {
            for unit in &units {
                if !unit.is_disjoint(&all) {
                    all.extend(unit);
                }
            }
        }
        all.remove(&task);
        all
    }

    /// Whether a task that does not drive the device has its registers: by `watches`, or because it owns them.
    pub fn is_watched(&self, device: &str) -> bool {
        let mut others = self.non_pci.iter().filter(|other| other.name == device);
        let registers = others.find_map(|other| other.registers.as_deref());
        let has = |task: &Task| {
            let watches = task.watches.iter().any(|name| name.value == device);
            let owns = |name| task.owns.iter().any(|own| own.value == name);
            watches || registers.is_some_and(owns)
        };
        let driver = self.app.driver(device);
        let mut tasks = self.app.tasks.iter().enumerate();
        tasks.any(|(index, task)| Some(index) != driver && has(task))
    }

    /// The task that owns the PCI host bridge.
    pub fn pci_task(&self) -> Option<usize> {
        let host = self
            .app
            .platform
            .device_of_kind(PlatformDeviceKind::PciHost)?;
        self.app.owner(&host.name)
    }

    /// The task that owns the interrupt translation service.
    pub fn translator(&self) -> Option<usize> {
        let its = self.app.platform.device_of_kind(PlatformDeviceKind::Its)?;
        self.app.owner(&its.name)
    }

    /// Most leases that a device can have mapped at once.
    pub fn pins(&self, device: &str) -> usize {
        let mut pins = limits::pins(&self.app).into_iter();
        pins.find(|pins| pins.device == device)
            .map_or(0, |pins| pins.count)
    }

    /// Pools that tasks lend to a device as a whole, by task.
    pub fn lent_to(&self, device: &str) -> Vec<LentPool> {
        let mut lent = Vec::new();
        for (index, task) in self.app.tasks.iter().enumerate() {
            for lend in task.lends.iter().filter(|lend| lend.device.value == device) {
                let Some((pool, bytes)) = pool_of(task, lend) else {
                    continue;
                };
                lent.push(LentPool {
                    task: index,
                    pool,
                    writable: lend.writable,
                    bytes: lend.most.as_ref().map_or(bytes, |most| most.value),
                });
            }
        }
        lent
    }

    /// The tasks that audit the device, and those that inspect all.
    pub fn auditors(&self, device: &str) -> Vec<usize> {
        self.tasks_that(|task| task.inspects || task.audits.iter().any(|name| name.value == device))
    }
}
