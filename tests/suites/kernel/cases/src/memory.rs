//! Faults: accesses, stack, panic, endless loops.

use abi::FaultKind;
use suite::{Case, Part, Stage, check, check_eq, check_is};
use userlib::provoke;

use crate::help::{KERNEL_HALF, NOWHERE, death_of, read_only};
use crate::{CLIENT, LAST, OUTCAST, SERVER};

/// What a task leaves when it panics.
const LAST_WORDS: &[u8] = b"last words of the server";

/// Reads a byte wherever it is; the kernel has to stop it.
fn read(address: u64) -> u8 {
    provoke::load(address)
}

fn write(address: u64) {
    provoke::store(address, 1);
}

/// A task that touches memory it must not, and one that looks at what the supervisor is told.
macro_rules! stopped_at {
    ($name:literal, $address:expr, $touch:expr) => {
        Case::new(
            $name,
            &["IPC-FAULT-1"],
            &[
                Part::dies(CLIENT, FaultKind::MemoryAccess, |_| {
                    core::hint::black_box($touch);
                    Ok(())
                }),
                Part::returns(LAST, |stage| sees(stage, $address)),
            ],
        )
    };
}

fn sees(stage: &Stage, address: u64) -> suite::Result {
    let fault = check_is!(death_of(stage, CLIENT, FaultKind::MemoryAccess), Ok(fault) => fault);
    check_eq!(fault[1], address);
    check_eq!(fault[0] >> 16, 0xffff);
    Ok(())
}

/// Uses more stack with every level; `black_box` keeps every frame.
fn descend(level: u64) -> u64 {
    let frame = core::hint::black_box([level; 64]);
    if level == u64::MAX {
        return frame[0];
    }
    descend(level + 1) + core::hint::black_box(frame)[63]
}

pub const CASES: &[Case] = &[
    stopped_at!("read-nowhere", NOWHERE, read(NOWHERE)),
    stopped_at!("read-the-kernel", KERNEL_HALF, read(KERNEL_HALF)),
    stopped_at!(
        "read-the-kernels-window",
        abi::layout::KERNEL_WINDOW,
        read(abi::layout::KERNEL_WINDOW)
    ),
    stopped_at!("write-the-kernel", KERNEL_HALF, write(KERNEL_HALF)),
    stopped_at!("write-read-only-memory", read_only(), write(read_only())),
    stopped_at!(
        "write-the-program",
        abi::layout::TASK_IMAGE_BASE,
        write(abi::layout::TASK_IMAGE_BASE)
    ),
    stopped_at!(
        "write-the-plan",
        abi::layout::TASK_PLAN_BASE,
        write(abi::layout::TASK_PLAN_BASE)
    ),
    stopped_at!(
        "read-behind-the-stack",
        abi::layout::TASK_STACK_TOP,
        read(abi::layout::TASK_STACK_TOP)
    ),
    Case::new(
        "stack-overflow",
        &["IPC-FAULT-1"],
        &[Part::dies(CLIENT, FaultKind::StackOverflow, |_| {
            check!(descend(core::hint::black_box(0)) != 0);
            Ok(())
        })],
    ),
    Case::new(
        "panic-leaves-its-text",
        &["IPC-FAULT-3", "IPC-PRIV-5"],
        &[
            Part::dies(SERVER, FaultKind::Panic, |_| provoke::panic(LAST_WORDS)),
            Part::returns(CLIENT, |stage| {
                let fault =
                    check_is!(death_of(stage, SERVER, FaultKind::Panic), Ok(fault) => fault);
                check_eq!(fault[4], LAST_WORDS.len() as u64);
                let text = check_is!(stage.read_word(SERVER, fault[1]), Ok(text) => text);
                check_eq!(text, u64::from_le_bytes(*b"last wor"));
                let text = check_is!(stage.read_word(SERVER, fault[1] + 16), Ok(text) => text);
                check_eq!(text, u64::from_le_bytes(*b"e server"));
                Ok(())
            }),
        ],
    ),
    Case::new(
        "endless-loop",
        &["IPC-SCHED-3"],
        &[Part::dies(OUTCAST, FaultKind::MaxRun, |_| {
            loop {
                core::hint::spin_loop();
            }
        })],
    ),
    Case::new(
        "a-task-that-wakes-itself",
        &["IPC-SCHED-3"],
        &[Part::dies(OUTCAST, FaultKind::MaxRun, |_| {
            loop {
                userlib::time::set_timer(Some(userlib::time::Ticks(0)));
                userlib::ipc::receive(abi::notification::TIMER);
            }
        })],
    ),
    Case::new(
        "a-long-run-with-pauses",
        &["IPC-SCHED-3"],
        &[Part::returns(OUTCAST, |stage| {
            for _ in 0..10 {
                let end = userlib::time::now().after(125_000_000);
                while userlib::time::now() < end {
                    core::hint::spin_loop();
                }
                stage.pause(1);
            }
            Ok(())
        })],
    ),
];
