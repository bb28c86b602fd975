//! What the server did to its surroundings, in one order.

use std::cell::RefCell;
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

/// Shared by the SMMU, the kernel and the PCI task.
#[derive(Clone, Default)]
pub struct Journal(Rc<RefCell<Vec<Did>>>);

impl Journal {
    pub fn note(&self, did: Did) {
        self.0.borrow_mut().push(did);
    }
    /// Forgets what was done so far.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }
    /// All deeds but writes of registers.
    pub fn deeds(&self) -> Vec<Did> {
        let all = self.0.borrow();
        let deeds = all.iter().copied();
        deeds
            .filter(|did| !matches!(did, Did::Register(..)))
            .collect()
    }
    /// Registers and commands.
    pub fn at_the_smmu(&self) -> Vec<Did> {
        let all = self.0.borrow();
        let deeds = all.iter().copied();
        deeds
            .filter(|did| matches!(did, Did::Register(..) | Did::Command(_)))
            .collect()
    }
}
