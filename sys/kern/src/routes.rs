//! The routes of interrupts to tasks.

use plan::kernel::InterruptClass;
use plan::limits::MESSAGES_MAX;

use crate::fast::MESSAGE_PLACE;
use crate::signal::{Signal, Wanted};
use crate::task_set::TaskIndex;

pub(crate) use crate::fast::FIRST_MESSAGE;

/// Places for INTIDs that are no messages: SPIs end at 1019.
pub(crate) const LINES: usize = MESSAGE_PLACE as usize;
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
    /// Messages to be cut off, and messages to be let through again, a bit each: those whose signal says so.
    cutting: Numbers,
    mending: Numbers,
}

/// Messages, a bit each. A search of all routes would be too long for an entry into the kernel.
type Numbers = [u64; MESSAGES / 64];
const _: () = assert!(MESSAGES.is_multiple_of(64));

impl Routes {
    pub const NONE: Self = Self {
        all: [Route {
            task_plus_one: 0,
            bit: 0,
            unmasked: false,
            signal: Signal::LEVEL,
        }; LINES + MESSAGES],
        late: [0; MESSAGES],
        cutting: [0; MESSAGES / 64],
        mending: [0; MESSAGES / 64],
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

    /// Keeps what has to be done about a message, as its signal has it now.
    pub fn note(&mut self, intid: u32) {
        let Some((route, _)) = self.message(intid) else {
            return;
        };
        let wanted = route.signal.wanted();
        let number = (intid - FIRST_MESSAGE) as usize;
        for (of, messages) in [
            (Wanted::Cut, &mut self.cutting),
            (Wanted::Mend, &mut self.mending),
        ] {
            if let Some(word) = messages.get_mut(number / 64) {
                *word &= !(1 << (number % 64));
                *word |= u64::from(wanted == Some(of)) << (number % 64);
            }
        }
    }

    /// The message that has to be changed first: the first that is to be cut off, else the first that is to be let through
    /// again.
    pub fn wanted(&self) -> Option<(u32, Wanted)> {
        let cut = first(&self.cutting).map(|intid| (intid, Wanted::Cut));
        cut.or_else(|| first(&self.mending).map(|intid| (intid, Wanted::Mend)))
    }
}

/// INTID of the first of some messages.
fn first(messages: &Numbers) -> Option<u32> {
    let mut words = messages.iter().zip((FIRST_MESSAGE..).step_by(64));
    let (word, from) = words.find(|(word, _)| **word != 0)?;
    Some(from + word.trailing_zeros())
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

#[cfg(test)]
mod tests {
    use super::{FIRST_MESSAGE, LINES, MESSAGES, place};
    use crate::fast::{is_routed_message, route_number};

    /// All INTIDs that a controller can acknowledge: 24 bits.
    #[test]
    fn the_fast_path_finds_the_routes_that_the_core_finds() {
        for intid in 0..1u32 << 24 {
            let found = place(intid).filter(|place| *place < LINES + MESSAGES);
            let message = intid >= FIRST_MESSAGE && found.is_some();
            assert_eq!(is_routed_message(intid), message, "{intid}");
            let fast = (intid < LINES as u32 || message).then(|| route_number(intid) as usize);
            assert_eq!(fast, found, "{intid}");
        }
    }
}
