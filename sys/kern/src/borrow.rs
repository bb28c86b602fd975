//! Borrowing: copies between a lease and the borrower's memory, while the lender waits.

use abi::{Code, FaultKind, Lease, LeaseAttributes, MESSAGE_MAX, TaskId};
use plan::kernel::RegionAttributes;

use crate::claim::Claim;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation, violation};
use crate::task::HeldLease;
use crate::task_set::TaskIndex;

/// Most bytes that one borrow copies: as any copy, it bounds the time with interrupts masked. Who wants more asks
/// again, and whoever is more urgent runs between.
const BORROW_MAX: u64 = MESSAGE_MAX as u64;

impl<A: Arch> Kernel<'_, A> {
    /// `BorrowRead`: arguments as in [`abi::Syscall::BorrowRead`].
    pub(crate) fn borrow_read(&mut self, caller: TaskIndex) -> Outcome {
        self.borrow(caller, LeaseAttributes::READ, RegionAttributes::WRITE)
    }

    /// `BorrowWrite`.
    pub(crate) fn borrow_write(&mut self, caller: TaskIndex) -> Outcome {
        self.borrow(caller, LeaseAttributes::WRITE, RegionAttributes::READ)
    }

    /// The borrower's own memory is its responsibility, a mistake there is a fault. What concerns the
    /// lease is a code: the lender may have died or have lent less than expected.
    fn borrow(
        &mut self,
        caller: TaskIndex,
        access: LeaseAttributes,
        local_access: RegionAttributes,
    ) -> Outcome {
        let task = self.task_mut(caller);
        let x = &task.frame.x;
        let (lender_id, number, offset, local, len) = (TaskId(x[8]), x[9], x[10], x[11], x[12]);
        if len > BORROW_MAX {
            return Err(violation(FaultKind::SyscallUsage, len));
        }
        let local = task
            .check(Claim::new(local, len), local_access)
            .ok_or(violation(FaultKind::BadSlice, local))?;
        let code = match self.lease_of(caller, lender_id, number)? {
            Err(code) => code,
            Ok(lease) => match within(&lease, access, offset, len) {
                None => Code::LEASE_BOUNDS,
                Some(remote) => {
                    if access == LeaseAttributes::READ {
                        self.arch.copy(local.physical, remote, len);
                    } else {
                        self.arch.copy(remote, local.physical, len);
                    }
                    Code::OK
                }
            },
        };
        self.task_mut(caller).frame.set_result(u64::from(code.0));
        Ok(NextTask::Same)
    }

    /// A lease of a task that waits for `borrower`'s reply.
    pub(crate) fn lease_of(
        &self,
        borrower: TaskIndex,
        lender_id: TaskId,
        number: u64,
    ) -> Result<Result<HeldLease, Code>, Violation> {
        let lender = self.task(self.id_argument(lender_id)?);
        if lender.id() != lender_id {
            return Ok(Err(Code::DEAD));
        }
        if !lender.awaits_reply_of(self.task(borrower).id()) {
            return Ok(Err(Code::NO_LEASE));
        }
        Ok(lender.lease(number).ok_or(Code::NO_LEASE))
    }
}

/// Physical address of `len` bytes at `offset` in a lease, if it has them and grants `access`.
pub(crate) fn within(
    lease: &HeldLease,
    access: LeaseAttributes,
    offset: u64,
    len: u64,
) -> Option<u64> {
    let descriptor = Lease(lease.descriptor);
    let room = descriptor.len().checked_sub(offset)?;
    (len <= room && descriptor.attributes().contains(access))
        .then(|| lease.physical.wrapping_add(offset))
}
