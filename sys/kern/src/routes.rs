//! The routes of interrupts to tasks.

use crate::task_set::TaskIndex;

/// Number of INTIDs that can be routed: SPIs end at 1019.
const INTIDS: usize = 1020;

/// The task that gets an interrupt, and its bit there. The machine's fast path reads it too, by the
/// offsets of [`crate::offsets`].
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4))]
pub(crate) struct Route {
    /// Index of the task plus 1; 0 for nobody.
    pub(crate) task_plus_one: u8,
    /// Number of its notification bit.
    pub(crate) bit: u8,
    /// Whether the task lets it through: never without a task. What arrives while it does not is told to
    /// nobody, since holding back in the controller may take effect late.
    pub unmasked: bool,
    /// Whether it is edge-triggered.
    pub edge: bool,
}

/// Routes by INTID, so that an interrupt finds its task without a search.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Routes([Route; INTIDS]);

impl Routes {
    pub const NONE: Self = Self(
        [Route {
            task_plus_one: 0,
            bit: 0,
            unmasked: false,
            edge: false,
        }; INTIDS],
    );

    /// Routes an interrupt; `false` if the INTID is out of range or has a route.
    pub fn add(&mut self, intid: u32, task: TaskIndex, bit: u32, edge: bool) -> bool {
        match self.0.get_mut(intid as usize) {
            Some(route) if route.task_plus_one == 0 => {
                route.task_plus_one = task.number() as u8 + 1;
                route.bit = bit as u8;
                route.edge = edge;
                true
            }
            _ => false,
        }
    }

    pub fn find(&mut self, intid: u32) -> Option<(TaskIndex, &mut Route)> {
        let route = self.0.get_mut(intid as usize)?;
        let task = TaskIndex::new(usize::from(route.task_plus_one).checked_sub(1)?)?;
        Some((task, route))
    }
}
