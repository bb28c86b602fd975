//! A shutdown of the real tasks.

use abi::{Code, TaskId};
use supervisor::look::Look;
use supervisor::plan_view::PlanView;
use supervisor::shutdown::{Event, FINISH_NS, Limits, Progress, QUIET_NS, Shutdown, World};
use supervisor_api::{Error, SHUT_DOWN};
use userlib::ipc;
use userlib::time::{self, Ticks};
use userlib::{config, privileged};

use crate::deaths::{Deaths, look_at};

/// The way down, once the power key was pressed.
pub struct Ending {
    plan: PlanView<'static>,
    shutdown: Option<Shutdown>,
}

impl Ending {
    /// The machine is to stay up.
    pub const fn new(plan: PlanView<'static>) -> Self {
        Self {
            plan,
            shutdown: None,
        }
    }

    /// Whether the machine is on its way to be switched off.
    pub fn is_under_way(&self) -> bool {
        self.shutdown.is_some()
    }

    /// The power key was pressed. Another time changes nothing.
    pub fn begin(&mut self, deaths: &mut Deaths) {
        if self.shutdown.is_some() {
            return;
        }
        defmt::info!("power key: all tasks are asked to finish");
        let order = self.plan.shut_down();
        deaths.end(order.clone());
        let limits = Limits {
            finish: time::ticks(FINISH_NS),
            quiet: time::ticks(QUIET_NS),
        };
        self.shutdown = Some(Shutdown::new(order, limits));
    }

    /// A task says that it has finished.
    pub fn finished(&mut self, sender: TaskId) -> Result<(), Error> {
        let shutdown = self.shutdown.as_mut().ok_or(Error::NotAsked)?;
        let asked = shutdown.finished(usize::from(sender.number()));
        asked.then_some(()).ok_or(Error::NotAsked)
    }

    /// Goes as far as it can; none if the machine is to stay up.
    pub fn advance(&mut self) -> Option<Progress> {
        let shutdown = self.shutdown.as_mut()?;
        Some(shutdown.advance(time::now().0, &mut Tasks(self.plan)))
    }
}

/// The time at which to look again, if only this has one.
pub fn wake(progress: Option<Progress>) -> Option<Ticks> {
    match progress {
        Some(Progress::Wait(until)) => Some(Ticks(until)),
        Some(Progress::Over) | None => None,
    }
}

struct Tasks(PlanView<'static>);

impl World for Tasks {
    fn look(&self, task: usize) -> Look {
        // The kernel knows each task that the plan names.
        look_at(task).unwrap_or(Look::Retired)
    }

    fn ask(&mut self, task: usize) -> bool {
        let bit = config::notification_of(task as u32, SHUT_DOWN);
        bit.is_some_and(|bit| ipc::post(ipc::refresh(task).0, bit) == Code::OK)
    }

    fn stop(&mut self, task: usize) {
        privileged::stop(task, true);
    }

    fn tell(&mut self, task: usize, event: Event) {
        let name = self.0.name(task);
        match event {
            Event::Asked => defmt::info!("{=str}: asked to finish", name),
            Event::Finished => defmt::info!("{=str}: has finished", name),
            Event::Died => defmt::warn!("{=str}: died before it had finished", name),
            Event::Late => defmt::error!("{=str}: does not finish in time, and is stopped", name),
            Event::Quiet => defmt::info!("{=str}: has ended", name),
            Event::NotQuiet => defmt::error!(
                "{=str}: has ended, but a device may still reach its memory",
                name
            ),
        }
    }
}
