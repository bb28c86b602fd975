//! Pins: whole pages of a lease that a device may reach. The lender is held until they are lifted.

use abi::layout::PAGE;
use abi::privileged::{Held, HeldKind};
use abi::{Code, FaultKind, Lease, LeaseAttributes, TaskId};
use plan::kernel::RegionAttributes;
use plan::limits::{HOLDS_MAX, PINS_MAX};

use crate::borrow::within;
use crate::hold::device_argument;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation, violation};
use crate::pin_table::Pin;
use crate::task_set::TaskIndex;

impl<A: Arch> Kernel<'_, A> {
    /// `Pin`: arguments as in [`abi::privileged::Privileged::Pin`].
    ///
    /// The chain is what makes it legitimate: the lender lent to the driver and waits for it, the
    /// driver asked the caller and waits for that. Neither can have been replaced meanwhile, since
    /// ids name lives.
    pub(crate) fn pin(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let device = device_argument(x[11] >> 32)?;
        let lease = x[11] & u64::from(u32::MAX);
        let (ids, offset, len) = ([TaskId(x[9]), TaskId(x[10])], x[12], x[13]);
        let result = self.try_pin(caller, ids, lease, device, offset, len)?;
        let x = &mut self.task_mut(caller).frame.x;
        match result {
            Err(code) => x[0] = u64::from(code.0),
            Ok((slot, physical, attributes)) => {
                x[0] = u64::from(Code::OK.0);
                x[1] = slot as u64;
                x[2] = physical;
                x[3] = u64::from(attributes.bits());
            }
        }
        Ok(NextTask::Same)
    }

    fn try_pin(
        &mut self,
        caller: TaskIndex,
        [driver_id, lender_id]: [TaskId; 2],
        number: u64,
        device: u32,
        offset: u64,
        len: u64,
    ) -> Result<Result<(usize, u64, LeaseAttributes), Code>, Violation> {
        let driver_index = self.id_argument(driver_id)?;
        let driver = self.task(driver_index);
        if driver.id() != driver_id {
            return Ok(Err(Code::DEAD));
        }
        if !driver.awaits_reply_of(self.task(caller).id()) {
            return Ok(Err(Code::NO_LEASE));
        }
        let lease = match self.lease_of(driver_index, lender_id, number)? {
            Ok(lease) => lease,
            Err(code) => return Ok(Err(code)),
        };
        let lender = TaskIndex::of(lender_id);
        let granted = Lease(lease.descriptor).attributes();
        let Some(physical) = within(&lease, LeaseAttributes::empty(), offset, len) else {
            return Ok(Err(Code::LEASE_BOUNDS));
        };
        // Pages are the unit of a device's reach: a part of one would open the rest of it.
        let pool = RegionAttributes::from_bits_truncate(lease.region as u32)
            .contains(RegionAttributes::DMA);
        if !pool || len == 0 || physical % PAGE != 0 || !len.is_multiple_of(PAGE) {
            return Ok(Err(Code::LEASE_BOUNDS));
        }
        let pin = Pin {
            lender: lender_id.number(),
            access: granted.bits() as u16,
            device,
            physical,
            len,
        };
        Ok(match self.pins.add(pin) {
            None => Err(Code::EXHAUSTED),
            Some(slot) => {
                self.add_hold(lender);
                Ok((slot, physical, granted))
            }
        })
    }

    /// `Unpin`: `x9` slot.
    pub(crate) fn unpin(&mut self, caller: TaskIndex) -> Outcome {
        let argument = self.task(caller).frame.x[9];
        let slot = usize::try_from(argument)
            .ok()
            .filter(|slot| *slot < PINS_MAX)
            .ok_or(violation(FaultKind::SyscallUsage, argument))?;
        let removed = self.pins.remove(slot);
        let code = match removed {
            Some(_) => Code::OK,
            None => Code::REFUSED,
        };
        self.task_mut(caller).frame.set_result(u64::from(code.0));
        match removed.and_then(|pin| TaskIndex::new(pin.lender as usize)) {
            Some(lender) => Ok(self.drop_hold(lender, caller)),
            None => Ok(NextTask::Same),
        }
    }

    /// `Enumerate`: `x9` cursor. Holds come first, then pins; a cursor is a slot number, so that what
    /// changes between two calls is seen or not, and never twice.
    pub(crate) fn enumerate(&mut self, caller: TaskIndex) -> Outcome {
        let cursor = usize::try_from(self.task(caller).frame.x[9]).unwrap_or(usize::MAX);
        let hold = self.holds.next(cursor);
        let mut result = Held::END.to_words();
        if let Some((slot, hold)) = hold
            && let Some(held) = TaskIndex::new(hold.task as usize)
        {
            let held = self.task(held);
            result = Held {
                next: slot as u64 + 1,
                kind: HeldKind::Hold,
                task: held.id(),
                device: hold.device,
                dead: !held.is_up(),
                ..Held::END
            }
            .to_words();
        } else if let Some((slot, pin)) = self.pins.next(cursor.saturating_sub(HOLDS_MAX))
            && let Some(lender) = TaskIndex::new(pin.lender as usize)
        {
            let held = self.task(lender);
            result = Held {
                next: (HOLDS_MAX + slot) as u64 + 1,
                kind: HeldKind::Pin,
                task: held.id(),
                device: pin.device,
                slot: slot as u32,
                dead: !held.is_up(),
                access: LeaseAttributes::from_bits_truncate(pin.access.into()),
                pa: pin.physical,
                len: pin.len,
            }
            .to_words();
        }
        let [next, kind, task, which, state, pa, len] = result;
        let x = &mut self.task_mut(caller).frame.x;
        if let Some(registers) = x.first_chunk_mut() {
            let code = u64::from(Code::OK.0);
            *registers = [code, next, kind, task, which, state, pa, len];
        }
        Ok(NextTask::Same)
    }
}
