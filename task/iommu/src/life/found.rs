//! Transitions by what is found: what an earlier life of this server left, and what the PCI task says.

use abi::TaskId;

use super::Life;

impl Life {
    /// Takes what the streams, the kernel and the PCI task say after a restart of this server.
    pub(crate) fn found(&mut self, open: bool, always_open: bool, presumed: bool) {
        self.open = open;
        self.always_open = always_open;
        // An earlier life let it: that holds until the PCI task says otherwise of this device.
        self.may_be_always_open |= always_open;
        self.used_before = true;
        self.presumed = presumed && self.reaches_memory();
        self.check();
    }

    /// A task that is held for it has the claim again.
    pub(crate) fn inherit(&mut self, owner: TaskId) {
        self.become_claimed(owner);
        self.revoked = !self.open;
        self.check();
    }

    /// An earlier life may have opened it, and nobody can tell. False if that was known.
    pub(crate) fn assume_used(&mut self) -> bool {
        !core::mem::replace(&mut self.used_before, true)
    }

    /// The PCI task confirms what was presumed.
    pub(crate) fn confirm(&mut self) {
        self.presumed = false;
    }

    /// Whether the PCI task found that it is bus master.
    pub(crate) fn found_master(&mut self, on: bool) {
        self.found_on = on;
    }
}
