//! The deaths of tasks: who died, why, and when to start it again.

use abi::fault::FaultKind;
use abi::{Code, TASKS_MAX, TaskId};
use heapless::Vec;
use supervisor::look::Look;
use supervisor::plan_view::PlanView;
use supervisor::policy::{self, Decision, Policy, Rule};
use supervisor::verdict::Verdict;
use userlib::privileged::{self, Status};
use userlib::time::{self, Ticks};

/// Longest part of a panic's text that is logged, bytes.
const TEXT_MAX: usize = 200;

/// The state of one task that is watched.
struct Watched {
    policy: Policy,
    /// The life whose death was logged last; ids advance at death.
    logged: TaskId,
    /// The life whose death was decided upon last.
    decided: TaskId,
    /// The task will not come back.
    gone: bool,
    /// How often it was started again.
    restarts: u32,
}

/// The deaths of all tasks, by index; the supervisor's own entry is never looked at.
pub struct Deaths {
    plan: PlanView<'static>,
    /// Errors that no task was charged with, as far as they were logged.
    unclaimed: u64,
    watched: Vec<Watched, TASKS_MAX>,
    /// Tasks that end, as the machine is to be switched off.
    ending: Vec<usize, TASKS_MAX>,
}

const fn never() -> TaskId {
    TaskId::KERNEL
}

impl Deaths {
    /// The state at the start, when nobody has died yet.
    pub fn new(plan: PlanView<'static>) -> Self {
        // Filled in place: a collected copy would double what this takes of the stack.
        let mut deaths = Self {
            plan,
            unclaimed: 0,
            watched: Vec::new(),
            ending: Vec::new(),
        };
        for entry in plan.tasks {
            let policy = Policy::new(Rule {
                after: time::ticks(entry.after),
                limit: entry.limit,
                period: time::ticks(entry.period),
            });
            // There are no more tasks than a system can have.
            let _ = deaths.watched.push(Watched {
                policy,
                logged: never(),
                decided: never(),
                gone: false,
                restarts: 0,
            });
        }
        deaths
    }

    /// How often a task was started again.
    pub fn restarts(&self, task: usize) -> u32 {
        self.watched.get(task).map_or(0, |watched| watched.restarts)
    }

    /// Ends restarts: from now on these tasks are not started again, and their being stopped is not logged.
    pub fn end(&mut self, tasks: Vec<usize, TASKS_MAX>) {
        self.ending = tasks;
    }

    /// Looks at every task, after a fault was posted. A task that is still held is only logged: the
    /// kernel posts again when its last hold is lifted.
    pub fn look(&mut self, verdict: &mut Verdict) {
        // Who is stopped with another may be one that was looked at before. Each death is found once, and nobody is
        // started meanwhile, so this comes to an end.
        loop {
            let died = self.look_once(verdict);
            if died.is_empty() {
                return;
            }
            self.stop_units(&died);
        }
    }

    /// The tasks that died by themselves since the last look.
    fn look_once(&mut self, verdict: &mut Verdict) -> Vec<usize, TASKS_MAX> {
        let now = time::now().0;
        let mut died = Vec::new();
        let plan = self.plan;
        for (index, watched) in self.watched.iter_mut().enumerate().skip(1) {
            let Some(status) = privileged::status(index) else {
                continue;
            };
            let look = Look::at(status.state, status.fault[0]);
            if matches!(look, Look::Up | Look::NeverStarted | Look::Retired) {
                continue;
            }
            let [what, ..] = status.fault;
            let was_stopped = what as u16 == FaultKind::Stopped as u16;
            if watched.logged != status.id {
                watched.logged = status.id;
                if !was_stopped || !self.ending.contains(&index) {
                    log_death(plan.name(index), index, &status);
                }
                if !was_stopped {
                    // There is room for each task.
                    let _ = died.push(index);
                }
            }
            if look == Look::Dead && watched.decided != status.id {
                watched.decided = status.id;
                let decision = if was_stopped {
                    watched.policy.stopped_with_another(now)
                } else {
                    watched.policy.died(now)
                };
                if decision == Decision::GiveUp {
                    watched.gone = true;
                    give_up(plan, index, verdict);
                }
            }
        }
        died
    }

    /// Stops those that are declared to stop and start together with tasks that died.
    fn stop_units(&self, died: &[usize]) {
        for &index in died {
            for other in self.plan.together(index) {
                if look_at(other) == Some(Look::Up) {
                    defmt::warn!(
                        "{=str}: stopped, as it belongs together with {=str}",
                        self.plan.name(other),
                        self.plan.name(index)
                    );
                    privileged::stop(other, false);
                }
            }
        }
    }

    /// The time when a task is to be started: with its unit, if it has one.
    fn start_of(&self, index: usize) -> Option<u64> {
        if self.ending.contains(&index) {
            return None;
        }
        self.watched.get(index)?.policy.due()?;
        let unit = core::iter::once(index).chain(self.plan.together(index));
        let returning = unit.filter(|task| look_at(*task) != Some(Look::NeverStarted));
        let returning = returning.filter_map(|task| self.watched.get(task));
        let returning = returning.filter(|task| !task.gone);
        policy::start_together(returning.map(|task| task.policy.due()))
    }

    /// Logs errors that the kernel could not charge to a task: memory that goes bad, or a firmware's doings.
    pub fn look_at_errors(&mut self) {
        let (count, syndrome) = privileged::system_errors();
        let new = count.saturating_sub(self.unclaimed);
        if new > 0 {
            self.unclaimed = count;
            defmt::error!(
                "{=u64} errors of the memory system that no task caused, ESR_EL1 of the last {=u64:#x}",
                new,
                syndrome
            );
        }
    }

    /// Starts what is due.
    pub fn restart_due(&mut self, verdict: &mut Verdict) {
        let now = time::now().0;
        let plan = self.plan;
        // All of a unit before any of it is started.
        let mut due = Vec::<usize, TASKS_MAX>::new();
        for index in 0..self.watched.len() {
            if self.start_of(index).is_some_and(|at| at <= now) {
                // There is room for each task.
                let _ = due.push(index);
            }
        }
        for index in due {
            let Some(watched) = self.watched.get_mut(index) else {
                continue;
            };
            watched.policy.start();
            let name = plan.name(index);
            match privileged::restart(index) {
                Code::OK => {
                    watched.restarts = watched.restarts.saturating_add(1);
                    defmt::info!("{=str}: started again", name);
                }
                _ => {
                    defmt::error!("{=str}: the kernel refuses to start it", name);
                    watched.gone = true;
                    give_up(plan, index, verdict);
                }
            }
        }
    }

    /// Sets the timer to the next restart, or to `other` if that is earlier, or stops it.
    pub fn set_timer(&self, other: Option<Ticks>) {
        let restarts = (0..self.watched.len()).filter_map(|index| self.start_of(index));
        let next = restarts.map(Ticks).chain(other).min();
        time::set_timer(next);
    }
}

/// The state of a task now; none if there is no such task.
pub fn look_at(task: usize) -> Option<Look> {
    let status = privileged::status(task)?;
    Some(Look::at(status.state, status.fault[0]))
}

fn give_up(plan: PlanView<'_>, index: usize, verdict: &mut Verdict) {
    privileged::stop(index, true);
    let name = plan.name(index);
    defmt::warn!("{=str}: will not come back", name);
    for task in verdict.gone(index, |task| plan.dependants(task)) {
        if task == index {
            defmt::error!("{=str} FAIL: gone before it reported", name);
        } else {
            defmt::error!(
                "{=str} FAIL: depends on {=str}, which is gone",
                plan.name(task),
                name
            );
        }
    }
}

/// The name of a kind of fault, for a person; the numbers are [`FaultKind`]'s.
fn kind_name(kind: u16) -> &'static str {
    const NAMES: [(FaultKind, &str); 15] = [
        (FaultKind::MemoryAccess, "memory access"),
        (FaultKind::StackOverflow, "stack overflow"),
        (FaultKind::InstructionFetch, "instruction fetch"),
        (FaultKind::Alignment, "alignment"),
        (FaultKind::IllegalInstruction, "illegal instruction"),
        (FaultKind::BusError, "bus error"),
        (FaultKind::UndefinedSyscall, "undefined system call"),
        (FaultKind::SyscallUsage, "malformed system call"),
        (FaultKind::BadSlice, "bad slice or lease"),
        (FaultKind::NoRight, "no right"),
        (FaultKind::ReplyTooLong, "reply too long"),
        (FaultKind::Panic, "panic"),
        (FaultKind::MaxRun, "ran too long"),
        (FaultKind::Stopped, "stopped"),
        (FaultKind::Injected, "injected"),
    ];
    let found = NAMES.iter().find(|(fault, _)| *fault as u16 == kind);
    found.map_or("unknown fault", |(_, name)| name)
}

fn log_death(name: &str, index: usize, status: &Status) {
    let [what, address, pc, _, detail] = status.fault;
    if what as u16 == FaultKind::Panic as u16 {
        let mut text = [0; TEXT_MAX];
        let text = panic_text(index, address, detail, &mut text);
        defmt::error!("{=str} died: {=str}", name, text);
        return;
    }
    defmt::error!(
        "{=str} died: {=str}, address {=u64:#x}, pc {=u64:#x}, syscall {=u16:#x}",
        name,
        kind_name(what as u16),
        address,
        pc,
        (what >> 16) as u16,
    );
}

/// The dead task's own words: up to the first byte that is not UTF-8.
fn panic_text(index: usize, address: u64, len: u64, text: &mut [u8; TEXT_MAX]) -> &str {
    let len = usize::try_from(len).unwrap_or(TEXT_MAX).min(TEXT_MAX);
    let Some(text) = text.get_mut(..len) else {
        return "";
    };
    if privileged::read_memory(index, address, text) != Code::OK {
        return "panic without a readable message";
    }
    match core::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => text
            .get(..error.valid_up_to())
            .and_then(|valid| core::str::from_utf8(valid).ok())
            .unwrap_or(""),
    }
}
