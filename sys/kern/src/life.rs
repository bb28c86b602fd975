//! Starting tasks, and what others may ask about their lives.

use abi::{Code, TaskId};
use plan::kernel::{LifeEvent, ListenerEntry, TaskEntry};

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome};
use crate::task_set::TaskIndex;

impl<'p, A: Arch> Kernel<'p, A> {
    /// The plan's record of a task.
    pub(crate) fn entry(&self, index: TaskIndex) -> Option<&'p TaskEntry> {
        self.tables.as_ref()?.tasks.get(index.number())
    }

    /// Lowest mapped address of a task's stack.
    pub(crate) fn stack_base(&self, index: TaskIndex) -> u64 {
        self.entry(index).map_or(0, |entry| entry.stack_base)
    }

    /// Starts a task again that is down, not held and not stopped for good.
    pub(crate) fn start(&mut self, index: TaskIndex) {
        self.begin_life(index);
        self.tell(index, LifeEvent::Up);
    }

    /// A task will not come back. It may be up: whoever says so stops it as well.
    pub(crate) fn retire(&mut self, index: TaskIndex) {
        if self.task_mut(index).retire() {
            self.tell(index, LifeEvent::Retired);
        }
    }

    /// Everybody who is to hear of it learns what happened to a task. Lives and holds notify nobody in another way.
    ///
    /// A death is told here to one, seldom to more, and other events of it to nobody: so these take no loop.
    #[inline(always)]
    pub(crate) fn tell(&mut self, about: TaskIndex, event: LifeEvent) {
        match self.task(about).listeners(event) {
            None => {}
            Some([one]) => self.tell_one(one),
            Some(all) => self.tell_all(all),
        }
    }

    #[inline(never)]
    fn tell_all(&mut self, listeners: &[ListenerEntry]) {
        for listener in listeners {
            self.tell_one(listener);
        }
    }

    #[inline(always)]
    fn tell_one(&mut self, listener: &ListenerEntry) {
        // The plan was checked: it is one of the table.
        let to = TaskIndex::of(TaskId(u64::from(listener.to)));
        self.notify(to, u64::from(listener.bits));
    }

    /// Makes a task ready at its entry. Nobody hears of a first life.
    pub(crate) fn begin_life(&mut self, index: TaskIndex) {
        let frame = self.fresh_frame(index);
        self.task_mut(index).begin(frame);
        self.make_ready(index);
    }

    /// Why a message to this id cannot arrive, if it cannot.
    #[inline(always)]
    pub(crate) fn not_up(&self, id: TaskId, index: TaskIndex) -> Option<Code> {
        let task = self.task(index);
        if task.id() != id {
            Some(Code::DEAD)
        } else if task.is_up() {
            None
        } else if task.is_retired() {
            Some(Code::RETIRED)
        } else {
            Some(Code::DOWN)
        }
    }

    /// `Refresh`: `x8` index. Ids are no secret and no right; whoever sends still needs the right.
    pub(crate) fn refresh(&mut self, caller: TaskIndex) -> Outcome {
        let index = self.number_argument(self.task(caller).frame.x[8])?;
        let id = self.task(index).id();
        let code = self.not_up(id, index).unwrap_or(Code::OK);
        let x = &mut self.task_mut(caller).frame.x;
        x[0] = id.0;
        x[1] = u64::from(code.0);
        Ok(NextTask::Same)
    }
}
