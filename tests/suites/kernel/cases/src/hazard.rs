//! Instructions and system calls that no task makes by accident.

use abi::{FaultKind, Syscall};
use suite::{Case, Failure, Part, check_eq, check_is};
use userlib::registers::{MappedRegisters, Registers};
use userlib::{config, ipc, provoke};

use crate::help::{KERNEL_HALF, NOWHERE, notes, read_only, told};
use crate::{CLIENT, LAST, SERVER};

/// A client that dies of what it does, as the supervisor is told: in which system call, or in none, and at
/// which address or of which argument, where it is known.
macro_rules! dies {
    ($name:literal, $requirements:expr, $kind:ident($call:expr, $address:expr), |$stage:pat_param| $act:expr) => {
        Case::new(
            $name,
            $requirements,
            &[
                Part::dies(CLIENT, FaultKind::$kind, |$stage| {
                    $act;
                    Ok(())
                }),
                Part::returns(LAST, |stage| {
                    told(stage, CLIENT, FaultKind::$kind, $call, $address)
                }),
            ],
        )
    };
}

/// In no system call.
const NONE: u16 = 0xffff;
const INTERRUPT: u16 = Syscall::Interrupt as u16;
const POST: u16 = Syscall::Post as u16;

pub const CASES: &[Case] = &[
    // The SMMU has registers of four and eight bytes (IHI 0070 section 6.2); the bus refuses a byte of one.
    Case::new(
        "bus-error",
        &["IPC-FAULT-1", "IPC-FAULT-5"],
        &[
            Part::dies(SERVER, FaultKind::BusError, |stage| {
                let smmu = check_is!(config::mapping("smmu"), Some(smmu) => smmu);
                stage.note(smmu.va);
                let registers = MappedRegisters::of(smmu);
                core::hint::black_box(registers.read8(0));
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                notes(stage, 1);
                let [smmu, ..] = stage.notes().1;
                told(stage, SERVER, FaultKind::BusError, NONE, Some(smmu))
            }),
        ],
    ),
    dies!(
        "undefined-instruction",
        &["IPC-FAULT-1"],
        IllegalInstruction(NONE, None),
        |_| { provoke::undefined_instruction() }
    ),
    dies!(
        "breakpoint",
        &["IPC-FAULT-1"],
        IllegalInstruction(NONE, None),
        |_| { provoke::breakpoint() }
    ),
    dies!(
        "register-of-the-kernel",
        &["IPC-FAULT-1"],
        IllegalInstruction(NONE, None),
        |_| { provoke::privileged_register() }
    ),
    dies!(
        "floating-point",
        &["IPC-FAULT-1"],
        IllegalInstruction(NONE, None),
        |_| { provoke::floating_point() }
    ),
    // The one instruction of pointer authentication that EL1 cannot turn off.
    Case::new(
        "generic-authentication",
        &["IPC-FAULT-8"],
        &[Part::returns_or_dies(
            CLIENT,
            FaultKind::IllegalInstruction,
            |_| {
                provoke::generic_authentication();
                Ok(())
            },
        )],
    ),
    dies!(
        "debug-channel",
        &["IPC-FAULT-1", "IPC-FAULT-8"],
        IllegalInstruction(NONE, None),
        |_| { provoke::debug_channel() }
    ),
    dies!(
        "execute-null",
        &["IPC-FAULT-1", "IPC-FAULT-5"],
        InstructionFetch(NONE, Some(0)),
        |_| { provoke::jump(0) }
    ),
    dies!(
        "execute-nowhere",
        &["IPC-FAULT-1"],
        InstructionFetch(NONE, Some(NOWHERE)),
        |_| { provoke::jump(NOWHERE) }
    ),
    dies!(
        "execute-the-kernel",
        &["IPC-FAULT-1", "IPC-FAULT-4"],
        InstructionFetch(NONE, Some(KERNEL_HALF)),
        |_| { provoke::jump(KERNEL_HALF) }
    ),
    dies!(
        "execute-data",
        &["IPC-FAULT-1"],
        InstructionFetch(NONE, Some(read_only() & !3)),
        |_| { provoke::jump(read_only() & !3) }
    ),
    dies!(
        "execute-the-stack",
        &["IPC-FAULT-1"],
        InstructionFetch(NONE, None),
        |_| {
            let instruction = core::hint::black_box([0xd65f_03c0_u32; 4]);
            provoke::jump(instruction.as_ptr() as u64)
        }
    ),
    dies!(
        "execute-a-pool",
        &["IPC-FAULT-1"],
        InstructionFetch(NONE, None),
        |_| {
            let pool = check_is!(config::mapping("pool"), Some(pool) => pool);
            provoke::jump(pool.va)
        }
    ),
    dies!(
        "execute-off-by-two",
        &["IPC-FAULT-1"],
        Alignment(NONE, Some(abi::layout::TASK_IMAGE_BASE + 2)),
        |_| { provoke::jump(abi::layout::TASK_IMAGE_BASE + 2) }
    ),
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
        &["IPC-REG-8", "IPC-FAULT-5"],
        UndefinedSyscall(0xfff0, Some(0xfff0)),
        |_| { provoke::undefined_syscall() }
    ),
    dies!(
        "interrupt-neither-on-nor-off",
        &["IPC-REG-9"],
        SyscallUsage(INTERRUPT, Some(2)),
        |_| { provoke::interrupt(0, 2) }
    ),
    dies!(
        "interrupt-beyond-the-word",
        &["IPC-INT-3"],
        NoRight(INTERRUPT, Some(1 << 40)),
        |_| { provoke::interrupt(1 << 40, 1) }
    ),
    dies!(
        "post-beyond-the-word",
        &["IPC-POST-2"],
        NoRight(POST, Some(1 << 40)),
        |stage| { provoke::post(stage.id(SERVER).0, 1 << 40) }
    ),
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
