//! What the server did to its surroundings, in one order, and its death in the midst of that.

use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::vec::Vec;

use smmu::Command;

/// One deed. Numbers are those of devices, but of pins those of slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Did {
    Hold(u32),
    Lift(u32),
    Pin(u32),
    Unpin(u32),
    BusMaster(u32, bool),
    /// Asked the PCI task to make a device quiet.
    Quiesce(u32),
    /// Heard that it is.
    HeardQuiet(u32),
    /// Wrote a 32-bit register.
    Register(usize, u32),
    /// The SMMU carried it out.
    Command(Command),
    /// A code, to the task of this index.
    Reply(usize, u32),
}

/// What unwinding carries, so that a failed test is not taken for the server's death.
struct Death;

/// Shared by the SMMU, the kernel and the PCI task.
#[derive(Clone, Default)]
pub struct Journal {
    deeds: Rc<RefCell<Vec<Did>>>,
    /// Steps that the server has left; it lives for ever if there is no number.
    steps: Rc<Cell<Option<u32>>>,
}

impl Journal {
    pub fn note(&self, did: Did) {
        self.deeds.borrow_mut().push(did);
    }
    /// Forgets what was done so far.
    pub fn clear(&self) {
        self.deeds.borrow_mut().clear();
    }
    /// The server is about to change something outside itself, unless it dies first.
    pub fn step(&self) {
        let Some(left) = self.steps.get() else { return };
        self.steps.set(left.checked_sub(1));
        if left == 0 {
            // Without the panic hook: nothing is printed.
            resume_unwind(Box::new(Death));
        }
    }
    /// Lets the server do something that it dies of after so many steps. False if it did.
    pub fn survives(&self, steps: u32, act: impl FnOnce()) -> bool {
        self.steps.set(Some(steps));
        let result = catch_unwind(AssertUnwindSafe(act));
        self.steps.set(None);
        match result {
            Ok(()) => true,
            Err(payload) if payload.is::<Death>() => false,
            Err(payload) => resume_unwind(payload),
        }
    }
    /// All deeds but writes of registers.
    pub fn deeds(&self) -> Vec<Did> {
        let all = self.deeds.borrow();
        let deeds = all.iter().copied();
        deeds
            .filter(|did| !matches!(did, Did::Register(..)))
            .collect()
    }
    /// Registers and commands.
    pub fn at_the_smmu(&self) -> Vec<Did> {
        let all = self.deeds.borrow();
        let deeds = all.iter().copied();
        deeds
            .filter(|did| matches!(did, Did::Register(..) | Did::Command(_)))
            .collect()
    }
}
