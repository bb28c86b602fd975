//! The way from the power key to the machine that is off.
//!
//! Tasks end one after another, callers before those that they call. A task that declares the bit [`supervisor_api::SHUT_DOWN`]
//! is asked by it to finish, and says when it has: a driver has then written out what its clients were told is
//! written. Whoever is finished, or has had its time, or was not to be asked, is stopped for good. That is a death like
//! any other: the IOMMU server closes the streams of the task's devices, has bus mastering turned off and the
//! devices made quiet, unmaps, and lifts its holds. The next task is asked when nothing holds the last any more.
//!
//! | step of a task | ends with | then |
//! |---|---|---|
//! | not begun | at once | asked, if it is up and takes part; stopped, if it is up; else waited for or done |
//! | asked | it says that it has finished; it dies; [`FINISH_NS`] are over | stopped |
//! | stopped | nothing holds it; [`QUIET_NS`] are over | done |

use abi::TASKS_MAX;
use heapless::Vec;

use crate::look::Look;

/// Nanoseconds that a task has to finish: as long as a disk's reset may take, in which it writes out its cache.
pub const FINISH_NS: u64 = 5_000_000_000;
/// Nanoseconds within which the devices of a task that was stopped must be quiet: the longest reset, and a restart of
/// the servers that see to it.
pub const QUIET_NS: u64 = 5_000_000_000;

/// An event on the way to the end, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The task was asked to finish.
    Asked,
    /// The task says that it has finished.
    Finished,
    /// The task died when it was asked.
    Died,
    /// The task did not answer in time.
    Late,
    /// Nothing of the task can be reached by a device any more.
    Quiet,
    /// A device can still reach its memory, and is left behind.
    NotQuiet,
}

/// The system as the shutdown needs it.
pub trait World {
    /// The state of a task now.
    fn look(&self, task: usize) -> Look;
    /// Asks it to finish; false if it does not take part.
    fn ask(&mut self, task: usize) -> bool;
    /// Stops it for good.
    fn stop(&mut self, task: usize);
    /// Something for the log.
    fn tell(&mut self, task: usize, event: Event);
}

/// The next step of the shutdown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Come again at this time, in ticks, or when a task died or said something.
    Wait(u64),
    /// All have ended.
    Over,
}

/// The step that the task under way is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Begin,
    Asked { until: u64, finished: bool },
    Stopped { until: u64 },
}

/// How long the steps may take, in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// [`FINISH_NS`].
    pub finish: u64,
    /// [`QUIET_NS`].
    pub quiet: u64,
}

/// A shutdown under way.
#[derive(Debug)]
pub struct Shutdown {
    order: Vec<usize, TASKS_MAX>,
    limits: Limits,
    at: usize,
    step: Step,
}

impl Shutdown {
    /// A shutdown that has not begun: nobody was asked yet.
    pub const fn new(order: Vec<usize, TASKS_MAX>, limits: Limits) -> Self {
        Self {
            order,
            limits,
            at: 0,
            step: Step::Begin,
        }
    }

    /// A task says that it has finished; false if it is not being asked.
    pub fn finished(&mut self, task: usize) -> bool {
        let asked = self.order.get(self.at) == Some(&task);
        match &mut self.step {
            Step::Asked { finished, .. } if asked => {
                *finished = true;
                true
            }
            _ => false,
        }
    }

    /// Whether this task is to end, and so is not to be started again.
    pub fn ends(&self, task: usize) -> bool {
        self.order.contains(&task)
    }

    /// Goes as far as it can at `now`, ticks.
    pub fn advance(&mut self, now: u64, world: &mut impl World) -> Progress {
        while let Some(&task) = self.order.get(self.at) {
            let next = match self.step {
                Step::Begin => self.begin(task, now, world),
                Step::Asked { until, finished } => {
                    let event = match (finished, world.look(task)) {
                        (true, _) => Event::Finished,
                        (false, Look::Up) if now < until => return Progress::Wait(until),
                        (false, Look::Up) => Event::Late,
                        (false, _) => Event::Died,
                    };
                    world.tell(task, event);
                    Some(self.stop(task, now, world))
                }
                Step::Stopped { until } => match world.look(task) {
                    Look::Held if now < until => return Progress::Wait(until),
                    Look::Held => {
                        world.tell(task, Event::NotQuiet);
                        None
                    }
                    Look::Up | Look::Dead | Look::NeverStarted | Look::Retired => {
                        world.tell(task, Event::Quiet);
                        None
                    }
                },
            };
            self.step = next.unwrap_or(Step::Begin);
            self.at += usize::from(next.is_none());
        }
        Progress::Over
    }

    fn begin(&self, task: usize, now: u64, world: &mut impl World) -> Option<Step> {
        match world.look(task) {
            Look::NeverStarted | Look::Retired => return None,
            Look::Up if world.ask(task) => {}
            Look::Up | Look::Dead | Look::Held => return Some(self.stop(task, now, world)),
        }
        world.tell(task, Event::Asked);
        Some(Step::Asked {
            until: now.saturating_add(self.limits.finish),
            finished: false,
        })
    }

    /// Stops a task, also one that is dead already, because its restart may be due.
    fn stop(&self, task: usize, now: u64, world: &mut impl World) -> Step {
        world.stop(task);
        Step::Stopped {
            until: now.saturating_add(self.limits.quiet),
        }
    }
}

#[cfg(test)]
mod tests;
