//! The states of all planned functions, and which of them a message or a step can be about.
//!
//! A message changes a function or two of up to 128, and mostly no quiesce is under way. So what was handed out to be
//! changed is marked, and only that is looked at afterwards; nothing can change a state unmarked.

use heapless::Vec;
use pci_api::Mismatch;
use plan::limits::FUNCTIONS_MAX;

use crate::before::Before;
use crate::progress::Progress;

/// Numbers of functions, a bit each.
type Set = u128;

const _: () = assert!(FUNCTIONS_MAX <= Set::BITS as usize);

/// The plan has more than [`FUNCTIONS_MAX`] functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge;

/// The state of one planned function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// The function is absent, as the plan allows.
    pub absent: bool,
    /// Why the function stays off.
    pub reason: Option<Mismatch>,
    /// Vendor and device id as found; 0xffff where nothing answered.
    pub vendor_id: u16,
    pub device_id: u16,
    /// A bridge whose bus numbers are set, so that what is below it can be seen.
    pub visible: bool,
    /// Offset of its PCI Express capability, 0: none.
    pub express: u16,
    /// The authority wants it to issue requests.
    pub master: bool,
    /// The function's owner does not want its INTx.
    pub intx_off: bool,
    /// A reset of a bridge above it is under way.
    pub covered: bool,
    /// How its last quiesce goes or went.
    pub progress: Progress,
    /// The knowledge of the function from an earlier life of this task.
    pub before: Before,
    /// The function is as the earlier life left it, and was not touched.
    pub kept: bool,
}

impl State {
    const UNKNOWN: Self = Self {
        absent: false,
        reason: None,
        vendor_id: u16::MAX,
        device_id: u16::MAX,
        visible: false,
        express: 0,
        master: false,
        intx_off: false,
        covered: false,
        progress: Progress::Never,
        before: Before::NOTHING,
        kept: false,
    };
}

/// The states by the functions' places in the plan.
pub(crate) struct States {
    all: Vec<State, FUNCTIONS_MAX>,
    /// Handed out to be changed since [`Self::note`].
    changed: Set,
    /// Of the others: those whose quiesce is under way, and those that are bus masters.
    running: Set,
    masters: Set,
}

impl States {
    /// So many functions of which nothing is known.
    pub(crate) fn new(functions: usize) -> Result<Self, TooLarge> {
        let mut states = Self {
            all: Vec::new(),
            changed: 0,
            running: 0,
            masters: 0,
        };
        let made = states.all.resize(functions, State::UNKNOWN);
        made.map_err(|_| TooLarge)?;
        states.mark_all();
        Ok(states)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&State> {
        self.all.get(index)
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, State> {
        self.all.iter()
    }

    /// A state that may be changed.
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut State> {
        let state = self.all.get_mut(index)?;
        self.changed |= bit(index);
        Some(state)
    }

    /// All of them, to be changed.
    pub(crate) fn iter_mut(&mut self) -> core::slice::IterMut<'_, State> {
        self.mark_all();
        self.all.iter_mut()
    }

    fn mark_all(&mut self) {
        for index in 0..self.all.len() {
            self.changed |= bit(index);
        }
    }

    /// Tells the functions that may have changed since the last call.
    pub(crate) fn note(&mut self, mut each: impl FnMut(usize, &State)) {
        let changed = core::mem::take(&mut self.changed);
        self.running &= !changed;
        self.masters &= !changed;
        for index in numbers(changed) {
            let Some(state) = self.all.get(index) else {
                continue;
            };
            if state.progress.is_running() {
                self.running |= bit(index);
            }
            if state.master {
                self.masters |= bit(index);
            }
            each(index, state);
        }
    }

    /// Whether the quiesce of any function may be under way.
    pub(crate) fn may_run(&self) -> bool {
        self.running | self.changed != 0
    }

    /// The next function from `from` on whose quiesce may be under way.
    pub(crate) fn next_running(&self, from: usize) -> Option<usize> {
        let rest = Set::MAX.checked_shl(from as u32)?;
        numbers((self.running | self.changed) & rest).next()
    }

    /// The functions that are bus masters.
    pub(crate) fn masters(&self) -> impl Iterator<Item = usize> + '_ {
        let masters = numbers(self.masters | self.changed);
        masters.filter(|index| self.all.get(*index).is_some_and(|state| state.master))
    }
}

/// The bit of a number that is in range, as all numbers of functions are.
fn bit(index: usize) -> Set {
    (1 as Set).checked_shl(index as u32).unwrap_or(0)
}

fn numbers(mut set: Set) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let number = set.trailing_zeros() as usize;
        let found = set != 0;
        set &= set.wrapping_sub(1);
        found.then_some(number)
    })
}

impl<'a> IntoIterator for &'a States {
    type Item = &'a State;
    type IntoIter = core::slice::Iter<'a, State>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
impl core::ops::Index<usize> for States {
    type Output = State;

    fn index(&self, index: usize) -> &State {
        &self.all[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// What the marks say is what a look at every state says.
    fn check(states: &States) {
        let every = |is: fn(&State) -> bool| {
            let all = states.iter().enumerate();
            let found = all.filter(move |(_, state)| is(state));
            found.map(|(index, _)| index).collect::<Vec<_>>()
        };
        assert_eq!(
            states.masters().collect::<Vec<_>>(),
            every(|state| state.master)
        );
        let mut running = Vec::new();
        let mut from = 0;
        while let Some(index) = states.next_running(from) {
            from = index + 1;
            running.push(index);
        }
        let missed = every(|state| state.progress.is_running());
        assert!(missed.iter().all(|index| running.contains(index)));
    }

    #[test]
    fn marks_are_what_every_state_says() {
        let mut random = 1_u32;
        let mut states = States::new(FUNCTIONS_MAX).unwrap_or_else(|_| panic!("they fit"));
        let mut noted = 0;
        states.note(|_, _| noted += 1);
        assert_eq!(noted, FUNCTIONS_MAX, "nothing is known of any");
        for _ in 0..2000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = (random >> 8) as usize % FUNCTIONS_MAX;
            let state = states.get_mut(index).unwrap();
            state.master = random & 1 << 20 != 0;
            state.progress = match random >> 21 & 1 {
                0 => Progress::Quiet,
                _ => Progress::returning(0, false),
            };
            check(&states);
            if random >> 24 & 3 == 0 {
                states.note(|_, _| ());
                check(&states);
            }
        }
        for state in states.iter_mut() {
            state.master = true;
        }
        check(&states);
        let mut noted = Vec::new();
        states.note(|index, state| noted.push((index, state.master)));
        assert_eq!(noted.len(), FUNCTIONS_MAX);
        states.note(|index, _| panic!("{index} has not changed"));
        assert!(states.get_mut(FUNCTIONS_MAX).is_none());
        assert!(States::new(FUNCTIONS_MAX + 1).is_err());
    }
}
