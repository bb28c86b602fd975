//! Lives of the role tasks.

use abi::privileged::TaskState;
use abi::{Code, TaskId};
use userlib::privileged::Status;

use super::line::Line;
use super::{Runner, System};

/// A role task.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub name: &'static str,
    pub index: usize,
    /// Its current life.
    pub id: TaskId,
    /// It waits for its part.
    pub waiting: bool,
    /// It will not come back.
    pub retired: bool,
    /// Number of its part in the case under way.
    pub part: Option<usize>,
    /// Lives begun in this case.
    pub lives: u64,
    /// How its part ended.
    pub ended: Option<Ended>,
}

/// How a part ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Returned,
    Failed(Line),
    Skipped(Line),
    Died(Status),
}

impl<S: System> Runner<'_, S> {
    /// Finds the tasks of all roles; gives the name of one that is missing.
    pub(crate) fn find_roles(&mut self) -> Result<(), &'static str> {
        for name in self.suite.roles {
            let index = self.system.index_of(name).ok_or(*name)?;
            let role = Role {
                name,
                index,
                id: TaskId::KERNEL,
                waiting: false,
                retired: false,
                part: None,
                lives: 0,
                ended: None,
            };
            self.roles.push(role).map_err(|_| *name)?;
        }
        Ok(())
    }

    /// The role whose current life has this id.
    pub(crate) fn role_of(&mut self, id: TaskId) -> Option<&mut Role> {
        self.roles.iter_mut().find(|role| role.index == id.index())
    }

    /// Stops all roles and starts those that are not held; false if one is still held.
    pub(crate) fn restart_roles(&mut self) -> bool {
        let mut all = true;
        for role in self.roles.iter_mut().filter(|role| !role.retired) {
            if role.waiting {
                continue;
            }
            if self
                .system
                .status(role.index)
                .is_some_and(|s| s.state <= TaskState::Blocked as u64)
            {
                continue;
            }
            if self.system.restart(role.index) != Code::OK {
                all = false;
            }
        }
        all
    }

    /// Ends the lives of all roles.
    pub(crate) fn stop_roles(&mut self) {
        for role in self.roles.iter_mut().filter(|role| !role.retired) {
            self.system.stop(role.index, false);
            role.waiting = false;
            role.part = None;
            role.lives = 0;
            role.ended = None;
        }
    }

    /// Notes who died since the last look.
    pub(crate) fn look_for_deaths(&mut self) {
        for role in &mut self.roles {
            let Some(status) = self.system.status(role.index) else {
                continue;
            };
            let is_dead = status.state >= TaskState::Dead as u64;
            if is_dead && status.id != role.id && role.part.is_some() {
                role.id = status.id;
                role.waiting = false;
                // A part that had reported was over; what kills it afterwards is the case's business.
                if role.ended.is_none() {
                    role.ended = Some(Ended::Died(status));
                }
            }
        }
    }
}
