//! Instructions and system calls that no task makes by accident.

use abi::FaultKind;
use suite::{Case, Failure, Part, check_eq, check_is};
use userlib::{config, ipc, provoke};

use crate::help::{KERNEL_HALF, NOWHERE, read_only};
use crate::{CLIENT, SERVER};

/// A client that dies of what it does.
macro_rules! dies {
    ($name:literal, $requirements:expr, $kind:ident, |$stage:pat_param| $act:expr) => {
        Case::new(
            $name,
            $requirements,
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
        &["IPC-FAULT-1"],
        IllegalInstruction,
        |_| { provoke::undefined_instruction() }
    ),
    dies!("breakpoint", &["IPC-FAULT-1"], IllegalInstruction, |_| {
        provoke::breakpoint()
    }),
    dies!(
        "register-of-the-kernel",
        &["IPC-FAULT-1"],
        IllegalInstruction,
        |_| { provoke::privileged_register() }
    ),
    dies!(
        "floating-point",
        &["IPC-FAULT-1"],
        IllegalInstruction,
        |_| { provoke::floating_point() }
    ),
    dies!("execute-null", &["IPC-FAULT-1"], InstructionFetch, |_| {
        provoke::jump(0)
    }),
    dies!(
        "execute-nowhere",
        &["IPC-FAULT-1"],
        InstructionFetch,
        |_| { provoke::jump(NOWHERE) }
    ),
    dies!(
        "execute-the-kernel",
        &["IPC-FAULT-1", "IPC-FAULT-4"],
        InstructionFetch,
        |_| { provoke::jump(KERNEL_HALF) }
    ),
    dies!("execute-data", &["IPC-FAULT-1"], InstructionFetch, |_| {
        provoke::jump(read_only() & !3)
    }),
    dies!(
        "execute-the-stack",
        &["IPC-FAULT-1"],
        InstructionFetch,
        |_| {
            let instruction = core::hint::black_box([0xd65f_03c0_u32; 4]);
            provoke::jump(instruction.as_ptr() as u64)
        }
    ),
    dies!("execute-a-pool", &["IPC-FAULT-1"], InstructionFetch, |_| {
        let pool = check_is!(config::mapping("pool"), Some(pool) => pool);
        provoke::jump(pool.va)
    }),
    dies!("execute-off-by-two", &["IPC-FAULT-1"], Alignment, |_| {
        provoke::jump(abi::layout::TASK_IMAGE_BASE + 2)
    }),
    // Emulators leave this check out for speed (QEMU's `gen_check_sp_alignment`).
    Case::new(
        "unaligned-stack",
        &["IPC-FAULT-1"],
        &[Part::dies(CLIENT, FaultKind::Alignment, |_| {
            provoke::unaligned_stack();
            Err(Failure::skip(
                "the machine does not check the stack pointer",
            ))
        })],
    ),
    dies!(
        "undefined-system-call",
        &["IPC-REG-8"],
        UndefinedSyscall,
        |_| { provoke::undefined_syscall() }
    ),
    dies!(
        "interrupt-neither-on-nor-off",
        &["IPC-REG-9"],
        SyscallUsage,
        |_| { provoke::interrupt(0, 2) }
    ),
    dies!("interrupt-beyond-the-word", &["IPC-INT-3"], NoRight, |_| {
        provoke::interrupt(1 << 40, 1)
    }),
    dies!("post-beyond-the-word", &["IPC-POST-2"], NoRight, |stage| {
        provoke::post(stage.id(SERVER).0, 1 << 40)
    }),
    Case::new(
        "division-by-zero",
        &["IPC-FAULT-2"],
        &[Part::returns(CLIENT, |stage| {
            check_eq!(provoke::divide_by_zero(42), 0);
            check_eq!(ipc::who_am_i().0, stage.id(CLIENT).0);
            Ok(())
        })],
    ),
];
