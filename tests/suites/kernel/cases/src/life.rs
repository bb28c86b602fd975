//! Generations, restarts, injected faults, reading the dead.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::privileged::TaskState;
use abi::{Code, FaultKind, notification};
use suite::{Case, Part, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::registers::{MappedRegisters, Registers};
use userlib::{config, time};

use crate::help::{call, call_server, death_of, next_message, notes, reply, serve};
use crate::notify::{ping, post_ping};
use crate::{CLIENT, LAST, SECOND, SERVER};

static INITIALISED: AtomicU64 = AtomicU64::new(7);
static CLEARED: AtomicU64 = AtomicU64::new(0);

pub const CASES: &[Case] = &[
    Case::new(
        "generation-advances-at-death",
        &["IPC-ID-2", "IPC-PRIV-2", "IPC-PRIV-3", "IPC-PRIV-4"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let alive = stage.id(SERVER);
                check_eq!(stage.status(SERVER).id.0, alive.0);
                check_eq!(stage.stop(SERVER).0, 0);
                let dead = stage.status(SERVER);
                check_eq!(dead.state, TaskState::Dead as u64);
                check_eq!(dead.id.generation(), alive.generation() + 1);
                check_eq!(dead.fault[0] & 0xffff, FaultKind::Stopped as u64);
                check_eq!(stage.restart(SERVER).0, 0);
                check_eq!(stage.id(SERVER).0, dead.id.0);
                check_eq!(ipc::refresh(stage.index(SERVER)).1.0, Code::OK.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "restart-restores-data",
        &["IPC-DEATH-4"],
        &[
            Part::returns(SERVER, |stage| {
                check_eq!(INITIALISED.swap(9, Ordering::Relaxed), 7);
                check_eq!(CLEARED.swap(9, Ordering::Relaxed), 0);
                if stage.life == 0 {
                    serve(stage)?;
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(call_server(stage, 1, 1).payload[0], 2);
                check_eq!(stage.stop(SERVER).0, 0);
                check_eq!(stage.restart(SERVER).0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "restart-forgets-notifications",
        &["IPC-POST-3", "IPC-DEATH-4"],
        &[
            Part::returns(SERVER, |stage| {
                if stage.life == 0 {
                    // Not waiting for the bit: it stays pending until the life is over.
                    next_message()?;
                }
                let message =
                    check_is!(ipc::receive(ping()?), Received::Message(message) => message);
                check_eq!(message.operation, 2);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(post_ping(stage)?.0, Code::OK.0);
                check_eq!(stage.stop(SERVER).0, 0);
                check_eq!(stage.restart(SERVER).0, 0);
                check_eq!(call_server(stage, 2, 0).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "dependants-are-told",
        &["IPC-DEATH-5"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let (up, timer) = (notification::PEER, notification::TIMER);
                time::set_timer(Some(time::Ticks(0)));
                let bits =
                    check_is!(ipc::receive(up | timer), Received::Notification(bits) => bits);
                check_eq!(bits, timer);
                check_eq!(stage.stop(SERVER).0, 0);
                check_eq!(stage.restart(SERVER).0, 0);
                let bits = check_is!(ipc::receive(up), Received::Notification(bits) => bits);
                check_eq!(bits, up);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "fault-at-the-third-call",
        &["IPC-PRIV-6"],
        &[
            Part::dies(SERVER, FaultKind::Injected, serve),
            Part::returns(CLIENT, |stage| {
                // The server waits in its first receive; each round is a reply and a receive.
                check_eq!(stage.arm_fault(SERVER, 3).0, 0);
                check_eq!(call_server(stage, 1, 1).payload[0], 2);
                check_eq!(call_server(stage, 1, 1).code.0, Code::DEAD.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "fault-disarmed",
        &["IPC-PRIV-6"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                check_eq!(stage.arm_fault(SERVER, 2).0, 0);
                check_eq!(stage.arm_fault(SERVER, 0).0, 0);
                for value in 0..5 {
                    check_eq!(call_server(stage, 1, value).payload[0], value + 1);
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "registers-of-the-dead",
        &["IPC-PRIV-7"],
        &[
            Part::dies(CLIENT, FaultKind::NoRight, |stage| {
                call(stage.id(SECOND), 0x123, 0x4567);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let fault =
                    check_is!(death_of(stage, CLIENT, FaultKind::NoRight), Ok(fault) => fault);
                let low = check_is!(stage.registers(CLIENT, 0), Ok(registers) => registers);
                check_eq!(low[0], 0x4567);
                let arguments = check_is!(stage.registers(CLIENT, 8), Ok(registers) => registers);
                check_eq!(arguments[0], stage.id(SECOND).0);
                check_eq!(arguments[1] & 0xffff, 0x123);
                let special = check_is!(stage.registers(CLIENT, 31), Ok(registers) => registers);
                check_eq!(special[0], fault[3]);
                check_eq!(special[1], fault[2]);
                // Two words of its account, then nothing.
                check!(special[5..] == [0; 2]);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "registers-and-memory-of-the-living",
        &["IPC-PRIV-5", "IPC-PRIV-7"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                check!(stage.registers(SERVER, 0) == Err(Code::REFUSED));
                let image = abi::layout::TASK_IMAGE_BASE;
                check!(stage.read_word(SERVER, image) == Err(Code::REFUSED));
                Ok(())
            }),
        ],
    ),
    Case::new(
        "restart-of-the-living",
        &["IPC-PRIV-3"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let id = stage.id(SERVER);
                check_eq!(stage.restart(SERVER).0, Code::REFUSED.0);
                check_eq!(stage.id(SERVER).0, id.0);
                check_eq!(call_server(stage, 1, 1).payload[0], 2);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "the-supervisor-stops-itself",
        &["IPC-PRIV-4"],
        &[Part::returns(CLIENT, |stage| {
            let stop = abi::privileged::Privileged::Stop as u64;
            let runner = stage.runner().index() as u64;
            check_eq!(stage.privileged(stop, runner).0, Code::REFUSED.0);
            Ok(())
        })],
    ),
    Case::new(
        "refresh-of-no-task",
        &["IPC-ID-3"],
        &[Part::dies(CLIENT, FaultKind::SyscallUsage, |_| {
            ipc::refresh(200);
            Ok(())
        })],
    ),
    Case::new(
        "who-am-i",
        &["IPC-ID-1"],
        &[Part::returns(CLIENT, |stage| {
            check_eq!(ipc::who_am_i().0, stage.id(CLIENT).0);
            Ok(())
        })],
    ),
    Case::new(
        "persistent-memory-survives",
        &["IPC-DEATH-4"],
        &[
            Part::returns(CLIENT, |stage| {
                let memory = check_is!(config::mapping("diary"), Some(memory) => memory);
                let words = MappedRegisters::of(memory);
                for at in (0..memory.len as usize).step_by(8) {
                    if stage.life == 1 {
                        check_eq!(words.read64(at), !(at as u64));
                    }
                    words.write64(at, !(at as u64));
                }
                if stage.life == 0 {
                    stage.note(1);
                    serve(stage)?;
                }
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                notes(stage, 1);
                check_eq!(stage.stop(CLIENT).0, 0);
                check_eq!(stage.restart(CLIENT).0, 0);
                Ok(())
            }),
        ],
    ),
    // Every life of a task has its own number, however many there were.
    Case::new(
        "many-lives",
        &["IPC-ID-2", "IPC-ID-4", "IPC-PRIV-3"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let first = stage.id(SERVER);
                for life in 1..=20 {
                    check_eq!(stage.stop(SERVER).0, 0);
                    check_eq!(stage.restart(SERVER).0, 0);
                    check_eq!(stage.id(SERVER).generation(), first.generation() + life);
                    check_eq!(call(first, 1, 1).code.0, Code::DEAD.0);
                    check_eq!(call_server(stage, 1, 1).payload[0], 2);
                }
                Ok(())
            }),
        ],
    ),
];
