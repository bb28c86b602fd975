//! An actor: makes the calls of its script, keeps the registers after each, and reports them.
//!
//! Plan: a pool, in which all its slices are.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use fast_path_calls::wire::{FROM_LAST, HELLO, Outcome, REPORT, Script, WORK, WORKS};
use fast_path_calls::{Call, POOL_LEN, Registers};
use userlib::abi::Syscall;
use userlib::memory::{Memory, PoolMemory};
use userlib::plan::task::MappingKind;
use userlib::{config, ipc, provoke};
use zerocopy::IntoBytes;

userlib::task!(main);

/// The judge is the supervisor.
const JUDGE: usize = 0;

fn make(call: Call, registers: &Registers) -> Registers {
    match call {
        Call::WhoAmI => provoke::call_with::<{ Syscall::WhoAmI as u16 }>(registers),
        Call::Send => provoke::call_with::<{ Syscall::Send as u16 }>(registers),
        Call::Receive => provoke::call_with::<{ Syscall::Receive as u16 }>(registers),
        Call::Reply => provoke::call_with::<{ Syscall::Reply as u16 }>(registers),
        Call::ReplyReceive => provoke::call_with::<{ Syscall::ReplyReceive as u16 }>(registers),
        Call::ReplyAgain => provoke::call_with::<{ Syscall::ReplyAgain as u16 }>(registers),
        Call::Interrupt => provoke::call_with::<{ Syscall::Interrupt as u16 }>(registers),
        Call::Post => provoke::call_with::<{ Syscall::Post as u16 }>(registers),
        Call::Spin => provoke::spin_with(registers),
    }
}

fn main() -> ! {
    let own = u64::from(config::own().index);
    let Some(mapping) = config::mappings(MappingKind::Pool).next() else {
        panic!("the plan has no pool");
    };
    let pool = PoolMemory::of(mapping);
    // Its own at each place, and the same in every life.
    for offset in (0..POOL_LEN).step_by(8) {
        pool.write64(offset as usize, own << 56 | offset << 24 | !offset & 0xffff);
    }
    let judge = ipc::refresh(JUDGE).0;
    let mut script = Script::NONE;
    let mut outcome = Outcome::NONE;
    let has_devices = config::mappings(MappingKind::Registers).next().is_some();
    let hello = [
        core::ptr::from_ref(&outcome) as u64,
        mapping.va,
        u64::from(has_devices),
    ];
    ipc::call_long(judge, HELLO, hello.as_bytes(), script.as_mut_bytes(), &[]);

    let mut last = 0;
    for (step, after) in script.steps.iter().take(script.count as usize).zip(0..) {
        let Some(call) = Call::of(step.call & 0xff) else {
            panic!("the judge named no call");
        };
        if step.call & WORKS != 0 {
            let mut busy = [0; 31];
            busy[0] = WORK;
            provoke::spin_with(&busy);
        }
        let mut registers = step.registers;
        if step.call & FROM_LAST != 0 {
            registers[8] = last;
        }
        let found = make(call, &registers);
        if call.receives() && found[8] != u64::MAX {
            last = found[8];
        }
        if let Some(place) = outcome.after.get_mut(after as usize) {
            *place = found;
        }
        outcome.count += 1;
    }
    ipc::call_long(judge, REPORT, outcome.as_bytes(), &mut [], &[]);
    loop {
        ipc::receive_from(judge, 0);
    }
}
