//! Privileged calls: each names the right it needs; the caller is faulted without it.

use abi::privileged::Privileged;
use abi::{FaultKind, Rights};

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{Outcome, violation};
use crate::task_set::TaskIndex;

impl<A: Arch> Kernel<'_, A> {
    /// `Privileged`: `x8` which.
    pub(crate) fn privileged(&mut self, caller: TaskIndex) -> Outcome {
        let task = self.task(caller);
        let number = task.frame.x[8];
        let call = usize::try_from(number)
            .ok()
            .and_then(|number| Privileged::ALL.get(number))
            .copied()
            .ok_or(violation(FaultKind::SyscallUsage, number))?;
        if !Rights::from_bits_truncate(task.rights()).contains(call.needed()) {
            return Err(violation(FaultKind::NoRight, number));
        }
        match call {
            Privileged::Status => self.status(caller),
            Privileged::Restart => self.restart(caller),
            Privileged::Stop => self.stop(caller),
            Privileged::ReadMemory => self.read_memory(caller),
            Privileged::Console => self.write_console(caller),
            Privileged::Exit => self.end_run(caller),
            Privileged::ArmFault => self.arm_fault(caller),
            Privileged::Registers => self.read_registers(caller),
            Privileged::Hold => self.hold(caller),
            Privileged::Lift => self.lift(caller),
            Privileged::Pin => self.pin(caller),
            Privileged::Unpin => self.unpin(caller),
            Privileged::Enumerate => self.enumerate(caller),
            Privileged::SystemErrors => self.system_errors(caller),
            Privileged::NextMessage => self.next_message(caller),
        }
    }
}

const _: () = {
    let mut number = 0;
    while number < Privileged::ALL.len() {
        assert!(Privileged::ALL[number] as usize == number);
        number += 1;
    }
};
