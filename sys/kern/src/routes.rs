//! The routes of interrupts to tasks.

use plan::kernel::InterruptClass;
use plan::limits::{MESSAGE_INTERRUPTS, MESSAGES_MAX};

use crate::signal::{Signal, Wanted};
use crate::task_set::TaskIndex;

/// Places for INTIDs that are no messages: SPIs end at 1019.
pub(crate) const LINES: usize = 1024;
/// The first INTID of a message interrupt.
pub(crate) const FIRST_MESSAGE: u32 = *MESSAGE_INTERRUPTS.start();
/// How many message interrupts have a route.
pub(crate) const MESSAGES: usize = MESSAGES_MAX;

/// The task that gets an interrupt, and its bit there. The machine's fast path reads it too, by the
/// offsets of [`crate::offsets`].
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4))]
pub(crate) struct Route {
    /// Index of the task plus 1; 0 for nobody.
    pub(crate) task_plus_one: u8,
    /// Number of its notification bit.
    pub(crate) bit: u8,
    /// Whether the task lets it through: never without a task. What arrives of a line while it does not is told to
    /// nobody, since holding back in the controller may take effect late.
    pub unmasked: bool,
    /// How it is signalled.
    pub signal: Signal,
}

/// Routes by INTID, so that an interrupt finds its task without a search: lines, then messages.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Routes {
    all: [Route; LINES + MESSAGES],
    /// How often each message arrived since its task let it through last, while the task did not.
    late: [u8; MESSAGES],
}

impl Routes {
    pub const NONE: Self = Self {
        all: [Route {
            task_plus_one: 0,
            bit: 0,
            unmasked: false,
            signal: Signal::LEVEL,
        }; LINES + MESSAGES],
        late: [0; MESSAGES],
    };

    /// Routes an interrupt; `false` if the INTID is out of range or has a route.
    pub fn add(&mut self, intid: u32, task: TaskIndex, bit: u32, class: InterruptClass) -> bool {
        match place(intid).and_then(|place| self.all.get_mut(place)) {
            Some(route) if route.task_plus_one == 0 => {
                route.task_plus_one = task.number() as u8 + 1;
                route.bit = bit as u8;
                route.signal = Signal::of(class);
                true
            }
            _ => false,
        }
    }

    pub fn find(&mut self, intid: u32) -> Option<(TaskIndex, &mut Route)> {
        let route = self.all.get_mut(place(intid)?)?;
        let task = TaskIndex::new(usize::from(route.task_plus_one).checked_sub(1)?)?;
        Some((task, route))
    }

    /// The route of a message and how often it came late; none if nobody gets it.
    pub fn message(&mut self, intid: u32) -> Option<(&mut Route, &mut u8)> {
        let number = intid.checked_sub(FIRST_MESSAGE)? as usize;
        let late = self.late.get_mut(number)?;
        let route = self.all.get_mut(LINES + number)?;
        (route.task_plus_one != 0).then_some((route, late))
    }

    /// The message that has to be changed first, in one pass: the first that is to be cut off, else the first that is to be let
    /// through again.
    pub fn wanted(&self) -> Option<(u32, Wanted)> {
        let messages = self.all.iter().skip(LINES);
        let mut mending = None;
        for (route, intid) in messages.zip(FIRST_MESSAGE..) {
            match route.signal.wanted() {
                Some(Wanted::Cut) => return Some((intid, Wanted::Cut)),
                Some(Wanted::Mend) if mending.is_none() => mending = Some(intid),
                _ => {}
            }
        }
        mending.map(|intid| (intid, Wanted::Mend))
    }
}

/// The place of an INTID among the routes.
const fn place(intid: u32) -> Option<usize> {
    if intid >= FIRST_MESSAGE {
        Some((intid - FIRST_MESSAGE) as usize + LINES)
    } else if intid < LINES as u32 {
        Some(intid as usize)
    } else {
        None
    }
}
