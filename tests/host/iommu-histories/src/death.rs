//! The server's death at any point inside what it does.
//!
//! A fuse counts its operations: stores, barriers, accesses to registers, calls to the system. When it has
//! burnt down the server's code is left by unwinding, before the next operation, and everything around it
//! stays as it is at that moment: for its successor.

use std::cell::RefMut;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::world::{Shared, World};
use smmu_model::Chooser;

/// What unwinding carries, so that a panic of the server is not taken for its death.
struct Death;

/// Operations that the server lives for; for ever if there is no number.
#[derive(Clone, Copy, Default, Debug)]
pub struct Fuse(Option<usize>);

/// Longest lives that a fuse chooses from: requests make about ten operations, lists some hundred, a start
/// up to a thousand.
const SCALES: [usize; 4] = [12, 40, 150, 1000];

impl Fuse {
    /// Once in `rarity` one that burns.
    pub fn light(&mut self, chooser: &mut Chooser, rarity: u32) {
        self.0 = None;
        if chooser.once_in(rarity) {
            let scale = chooser.pick(&SCALES).copied().unwrap_or(1);
            self.0 = Some(chooser.below(scale));
        }
    }

    fn burns_out(&mut self) -> bool {
        match &mut self.0 {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}

impl Shared {
    /// An operation of the server begins, unless it is dead.
    pub(super) fn enter(&self) -> RefMut<'_, World> {
        let mut world = self.0.borrow_mut();
        if world.fuse.burns_out() {
            drop(world);
            // Without the panic hook: nothing is printed.
            resume_unwind(Box::new(Death));
        }
        world
    }

    /// Lets the server do something: `None` if it died of it.
    pub fn outlive<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(act));
        self.0.borrow_mut().fuse = Fuse::default();
        match result {
            Ok(value) => Some(value),
            Err(payload) if payload.is::<Death>() => None,
            Err(payload) => resume_unwind(payload),
        }
    }
}
