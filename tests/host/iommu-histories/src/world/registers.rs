//! Accesses to registers and barriers that a fault changes.

use super::World;
use crate::layout::TABLES;
use crate::sabotage::{CR0, Kind, PREFETCH};

impl World {
    pub(crate) fn barrier(&mut self) {
        if matches!(self.sabotage.kind(), Some(Kind::NoPublish)) {
            self.sabotage.struck += 1;
        } else {
            self.model.publish();
        }
    }

    pub(crate) fn acquire_barrier(&mut self) {
        if matches!(self.sabotage.kind(), Some(Kind::NoAcquire)) {
            self.sabotage.struck += 1;
        } else {
            self.model.acquire();
        }
    }

    pub(crate) fn write_register(&mut self, register: usize, value: u32) {
        self.sabotage.fresh = false;
        if let Some(Kind::Unchecked(change)) = self.sabotage.kind()
            && register == CR0
            && value & !self.model.control() & 1 == 1
        {
            self.sabotage.struck += 1;
            change(&self.layout, &mut self.model.memory);
        }
        let written = match self.sabotage.kind() {
            Some(Kind::Write(change)) => change(&self.view(), register, value),
            _ => Some(value),
        };
        self.sabotage.struck += u64::from(written != Some(value));
        if let Some(written) = written {
            self.model.write32(register, written);
        }
        if register == 0x98 && matches!(self.sabotage.kind(), Some(Kind::EditSubmitted)) {
            self.sabotage.struck += 1;
            let (queue, bytes) = self.layout.command_queue();
            let slot = u64::from(value.wrapping_sub(1)) * 16 % bytes;
            self.model.store(TABLES + queue + slot, PREFETCH[0]);
            self.model.publish();
        }
    }

    pub(crate) fn write_register64(&mut self, register: usize, value: u64) {
        let written = match self.sabotage.kind() {
            Some(Kind::Write64(change)) => change(register, value),
            _ => value,
        };
        self.sabotage.struck += u64::from(written != value);
        self.model.write64(register, written);
    }

    pub(crate) fn read_register(&mut self, register: usize, value: u32) -> u32 {
        match self.sabotage.kind() {
            Some(Kind::Read(change)) => {
                let changed = change(&self.view(), register, value);
                self.sabotage.struck += u64::from(changed != value);
                changed
            }
            Some(Kind::FreshRead(change)) if self.sabotage.adopts() && self.sabotage.fresh => {
                let changed = change(&self.view(), register, value);
                self.sabotage.struck += u64::from(changed != value);
                changed
            }
            _ => value,
        }
    }
}
