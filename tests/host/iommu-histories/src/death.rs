//! The server's death at any point inside what it does.
//!
//! When its fuse has burnt down the server's code is left by unwinding, before the next operation, and everything around
//! it stays as it is at that moment: for its successor.

use std::cell::RefMut;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::fuse::Fuse;
use super::world::{Shared, World};

/// What unwinding carries, so that a panic of the server is not taken for its death.
struct Death;

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
