//! The kernel's state, and the doors through which the machine enters it.

use core::num::NonZeroU64;

use abi::{Fault, FaultKind, Syscall, TASKS_MAX, TaskId};
use plan::Blob;

use crate::accounts::Accounts;
use crate::hold_table::Holds;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation, violation};
use crate::pin_table::Pins;
use crate::routes::Routes;
use crate::tables::{PlanError, Tables};
use crate::task::Task;
use crate::task_set::{TaskIndex, TaskSet};
use crate::unclaimed::Unclaimed;

/// The whole kernel. `'p` is the plan's lifetime.
#[repr(C)]
pub struct Kernel<'p, A> {
    pub(crate) tasks: [Task<'p>; TASKS_MAX],
    /// Runnable tasks, without the running one.
    pub(crate) ready: TaskSet,
    /// Runnable tasks without processor time left, without the running one.
    pub(crate) spent: TaskSet,
    /// Last ticket given out.
    pub(crate) tickets: u64,
    /// Tasks with a timer set.
    pub(crate) timers: TaskSet,
    /// The time to which the hardware timer is set; it is never later than a task's timer or the
    /// running task's limit.
    pub(crate) timer_at: u64,
    /// The task at which the next turn of the timer's interrupt begins: the first task that the last turn had no
    /// room for. So tasks whose timers are always due again hold up no other task.
    pub(crate) timer_turn: TaskIndex,
    /// When the running task was dispatched, if it is limited.
    pub(crate) running_since: u64,
    pub(crate) accounts: Accounts,
    /// The running task, if the account that it works on is exhausted: the fast path leaves it to the core.
    pub(crate) marked: Option<TaskIndex>,
    /// Tasks that ever made a closed receive, which may be from anybody.
    pub(crate) closed: TaskSet,
    pub(crate) task_count: usize,
    pub(crate) routes: Routes,
    /// The task that owns the interrupt translation service.
    pub(crate) translator: Option<TaskIndex>,
    /// The number by which that service may know this core.
    pub(crate) message_core: u32,
    pub(crate) holds: Holds,
    pub(crate) pins: Pins,
    pub(crate) unclaimed: Unclaimed,
    pub(crate) tables: Option<Tables<'p>>,
    pub(crate) arch: A,
}

impl<'p, A> Kernel<'p, A> {
    /// A kernel without tasks.
    pub const fn new(arch: A) -> Self {
        Self {
            tasks: [Task::VACANT; TASKS_MAX],
            ready: TaskSet::EMPTY,
            spent: TaskSet::EMPTY,
            tickets: 0,
            timers: TaskSet::EMPTY,
            timer_at: 0,
            timer_turn: TaskIndex::SUPERVISOR,
            running_since: 0,
            accounts: Accounts::NONE,
            marked: None,
            closed: TaskSet::EMPTY,
            task_count: 0,
            routes: Routes::NONE,
            translator: None,
            message_core: 0,
            holds: Holds::NONE,
            pins: Pins::NONE,
            unclaimed: Unclaimed::NONE,
            tables: None,
            arch,
        }
    }

    /// A task of the table.
    #[inline(always)]
    pub fn task(&self, index: TaskIndex) -> &Task<'p> {
        &self.tasks[index.number()]
    }
    /// The task with this index, to change it.
    #[inline(always)]
    pub fn task_mut(&mut self, index: TaskIndex) -> &mut Task<'p> {
        &mut self.tasks[index.number()]
    }
    /// The machine below.
    pub fn arch(&self) -> &A {
        &self.arch
    }
    /// The machine below.
    pub fn arch_mut(&mut self) -> &mut A {
        &mut self.arch
    }

    /// An argument that must be a task's number. There is one core, so it is the index.
    pub(crate) fn number_argument(&self, value: u64) -> Result<TaskIndex, Violation> {
        usize::try_from(value)
            .ok()
            .filter(|index| *index < self.task_count)
            .and_then(TaskIndex::new)
            .ok_or(violation(FaultKind::SyscallUsage, value))
    }

    /// The index in an id argument; what it names may be long dead.
    pub(crate) fn id_argument(&self, id: TaskId) -> Result<TaskIndex, Violation> {
        self.number_argument(id.index() as u64)
            .map_err(|_| violation(FaultKind::SyscallUsage, id.0))
    }
}

impl<'p, A: Arch> Kernel<'p, A> {
    /// Reads and checks the plan, routes the interrupts, and makes the tasks that start at boot
    /// ready. `frequency` is that of [`Arch::now`], hertz. Returns the first task to run, if any is
    /// started at boot.
    pub fn boot(
        &mut self,
        blob: Blob<'p>,
        frequency: NonZeroU64,
    ) -> Result<Option<TaskIndex>, PlanError> {
        let tables = Tables::read(blob)?;
        self.timer_at = u64::MAX;
        self.arch.set_timer(u64::MAX);
        self.fill(&tables, frequency)?;
        self.tables = Some(tables);
        Ok(self.choose())
    }

    /// A task executed `SVC`. Its registers are in its frame.
    pub fn system_call(&mut self, caller: TaskIndex, number: u16) -> Option<TaskIndex> {
        let outcome = match self.count_down(caller) {
            Ok(()) => self.perform(caller, number),
            Err(injected) => Err(injected),
        };
        let next = outcome.unwrap_or_else(|violation| {
            let frame = &self.task(caller).frame;
            let fault = Fault {
                kind: violation.kind,
                syscall: number,
                address: violation.argument,
                pc: frame.pc,
                sp: frame.sp,
                detail: 0,
            };
            self.die(caller, &fault);
            NextTask::Best
        });
        self.carry_out(caller, next)
    }

    fn perform(&mut self, caller: TaskIndex, number: u16) -> Outcome {
        const WHO_AM_I: u16 = Syscall::WhoAmI as u16;
        const SEND: u16 = Syscall::Send as u16;
        const RECEIVE: u16 = Syscall::Receive as u16;
        const REPLY: u16 = Syscall::Reply as u16;
        const REPLY_RECEIVE: u16 = Syscall::ReplyReceive as u16;
        const POST: u16 = Syscall::Post as u16;
        const BORROW_READ: u16 = Syscall::BorrowRead as u16;
        const BORROW_WRITE: u16 = Syscall::BorrowWrite as u16;
        const TIMER: u16 = Syscall::Timer as u16;
        const INTERRUPT: u16 = Syscall::Interrupt as u16;
        const REFRESH: u16 = Syscall::Refresh as u16;
        const PANIC: u16 = Syscall::Panic as u16;
        const REPLY_AGAIN: u16 = Syscall::ReplyAgain as u16;
        const PRIVILEGED: u16 = Syscall::Privileged as u16;
        match number {
            WHO_AM_I => self.who_am_i(caller),
            SEND => self.send(caller),
            RECEIVE => self.receive(caller),
            REPLY => self.reply(caller),
            REPLY_RECEIVE => self.reply_receive(caller),
            POST => self.post(caller),
            BORROW_READ => self.borrow_read(caller),
            BORROW_WRITE => self.borrow_write(caller),
            TIMER => self.set_task_timer(caller),
            INTERRUPT => self.control_interrupts(caller),
            REFRESH => self.refresh(caller),
            PANIC => self.panic(caller),
            REPLY_AGAIN => self.reply_again(caller),
            PRIVILEGED => self.privileged(caller),
            _ => Err(violation(FaultKind::UndefinedSyscall, u64::from(number))),
        }
    }

    fn who_am_i(&mut self, caller: TaskIndex) -> Outcome {
        let task = self.task_mut(caller);
        task.frame.set_result(task.id().0);
        Ok(NextTask::Same)
    }

    /// A task faulted. `address` and `detail` as in [`Fault`].
    #[inline(always)]
    pub fn exception(
        &mut self,
        caller: TaskIndex,
        kind: FaultKind,
        address: u64,
        detail: u64,
    ) -> Option<TaskIndex> {
        self.die_of(caller, kind, address, detail);
        self.after_fault(caller)
    }

    /// The running task dies of a fault.
    #[inline(always)]
    pub(crate) fn die_of(&mut self, caller: TaskIndex, kind: FaultKind, address: u64, detail: u64) {
        // What lies in the unmapped page below the stack is called by its name. All stacks end at the same address.
        let kind = if kind == FaultKind::MemoryAccess
            && address < abi::layout::TASK_STACK_TOP
            && self.is_just_below_stack(caller, address)
        {
            FaultKind::StackOverflow
        } else {
            kind
        };
        let frame = &self.task(caller).frame;
        let fault = Fault {
            kind,
            syscall: 0xffff,
            address,
            pc: frame.pc,
            sp: frame.sp,
            detail,
        };
        self.die(caller, &fault);
    }

    #[inline(never)]
    fn is_just_below_stack(&self, index: TaskIndex, address: u64) -> bool {
        let stack = self.stack_base(index);
        address < stack && stack.wrapping_sub(address) <= abi::layout::PAGE
    }
}
