//! Instructions and system calls that no task makes by accident.

use abi::FaultKind;
use suite::{Case, Failure, Part, check_eq, check_is};
use userlib::{config, ipc, provoke};

use crate::help::{KERNEL_HALF, NOWHERE, read_only};
use crate::{CLIENT, SERVER};

/// A client that dies of what it does.
macro_rules! dies {
    ($name:literal, $requirement:literal, $kind:ident, |$stage:pat_param| $act:expr) => {
        Case::new(
            $name,
            &[$requirement],
            &[Part::dies(CLIENT, FaultKind::$kind, |$stage| {
                $act;
                Ok(())
            })],
        )
    };
}

pub const CASES: &[Case] = &[
    dies!(
        "undefined-instruction",
        "FAULT-5",
        IllegalInstruction,
        |_| { provoke::undefined_instruction() }
    ),
    dies!("breakpoint", "FAULT-5", IllegalInstruction, |_| {
        provoke::breakpoint()
    }),
    dies!(
        "register-of-the-kernel",
        "FAULT-5",
        IllegalInstruction,
        |_| { provoke::privileged_register() }
    ),
    dies!("floating-point", "FAULT-5", IllegalInstruction, |_| {
        provoke::floating_point()
    }),
    dies!("execute-null", "FAULT-5", InstructionFetch, |_| {
        provoke::jump(0)
    }),
    dies!("execute-nowhere", "FAULT-5", InstructionFetch, |_| {
        provoke::jump(NOWHERE)
    }),
    dies!("execute-the-kernel", "FAULT-5", InstructionFetch, |_| {
        provoke::jump(KERNEL_HALF)
    }),
    dies!("execute-data", "FAULT-5", InstructionFetch, |_| {
        provoke::jump(read_only() & !3)
    }),
    dies!("execute-the-stack", "FAULT-5", InstructionFetch, |_| {
        let instruction = core::hint::black_box([0xd65f_03c0_u32; 4]);
        provoke::jump(instruction.as_ptr() as u64)
    }),
    dies!("execute-a-pool", "FAULT-5", InstructionFetch, |_| {
        let pool = check_is!(config::mapping("pool"), Some(pool) => pool);
        provoke::jump(pool.va)
    }),
    dies!("execute-off-by-two", "FAULT-5", Alignment, |_| {
        provoke::jump(abi::layout::TASK_IMAGE_BASE + 2)
    }),
    // Emulators leave this check out for speed (QEMU's `gen_check_sp_alignment`).
    Case::new(
        "unaligned-stack",
        &["FAULT-5"],
        &[Part::dies(CLIENT, FaultKind::Alignment, |_| {
            provoke::unaligned_stack();
            Err(Failure::skip(
                "the machine does not check the stack pointer",
            ))
        })],
    ),
    dies!("undefined-system-call", "FAULT-6", UndefinedSyscall, |_| {
        provoke::undefined_syscall()
    }),
    dies!(
        "interrupt-neither-on-nor-off",
        "FAULT-6",
        SyscallUsage,
        |_| { provoke::interrupt(0, 2) }
    ),
    dies!("interrupt-beyond-the-word", "FAULT-6", NoRight, |_| {
        provoke::interrupt(1 << 40, 1)
    }),
    dies!("post-beyond-the-word", "FAULT-6", NoRight, |stage| {
        provoke::post(stage.id(SERVER).0, 1 << 40)
    }),
    Case::new(
        "division-by-zero",
        &["FAULT-7"],
        &[Part::returns(CLIENT, |stage| {
            check_eq!(provoke::divide_by_zero(42), 0);
            check_eq!(ipc::who_am_i().0, stage.id(CLIENT).0);
            Ok(())
        })],
    ),
];
