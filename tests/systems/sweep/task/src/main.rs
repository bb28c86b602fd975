//! As prober: tries instructions from where the judge says until one is its fault. As bystander: looks whether anything of
//! that arrives.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::notification;
use sweep_encodings::{
    DONE, End, Fields, LIVED, LOOKED, NEXT, NO_SLOT, WROTE, Wrong, end, is_tried,
};
use userlib::ipc::{self, Payload};
use userlib::provoke::every_instruction::{self, EXTENSIONS, perform};
use userlib::provoke::{self, Registers};
use userlib::{config, time};

userlib::task!(main);

/// Index of the judge: the supervisor.
const JUDGE: usize = 0;

/// Memory that an instruction may write.
#[repr(align(64))]
struct Spare([u8; 256]);

fn main() -> ! {
    if config::own().name.as_str() == "prober" {
        probe()
    }
    stand_by()
}

fn tell(operation: u16, words: [u64; 3]) -> Payload {
    let judge = ipc::refresh(JUDGE).0;
    let [a, b, c] = words;
    ipc::call(judge, operation, &[a, b, c, 0, 0, 0, 0, 0], 24, 64, &[]).payload
}

/// Lets the bystander run.
fn pause(nanoseconds: u64) {
    time::set_timer(Some(time::now().after(nanoseconds)));
    ipc::receive(notification::TIMER);
}

fn probe() -> ! {
    let mut first_memory = Spare([0; 256]);
    let mut second_memory = Spare([0; 256]);
    let first_address = core::hint::black_box(first_memory.0.as_mut_ptr()) as u64;
    let second_address = core::hint::black_box(second_memory.0.as_mut_ptr()) as u64;
    loop {
        let [first, seed, one_in, write, wait, ..] =
            tell(NEXT, [every_instruction::address(), 0, 0]);
        if wait != 0 {
            pause(300_000);
        }
        if write != NO_SLOT {
            perform(write as usize, u64::MAX, second_address);
            tell(WROTE, [0; 3]);
            continue;
        }
        let slots = first as usize..EXTENSIONS.end;
        let mut tried = 0;
        for slot in slots.filter(|&slot| is_tried(slot, seed, one_in)) {
            tried += 1;
            perform(slot, first_address, second_address);
            if matches!(end(slot), End::Faults | End::UndefinedCall) {
                tell(LIVED, [slot as u64, 0, 0]);
            }
        }
        tell(DONE, [tried, 0, 0]);
    }
}

/// Marks in every general register.
fn marked() -> Registers {
    core::array::from_fn(|number| 0xb51d_b51d_0000_0000 | number as u64)
}

fn stand_by() -> ! {
    let memory: [u64; 256] = core::array::from_fn(|number| !(number as u64) << 8);
    let thread_register = Fields::register_of_el0(true, 13, 0, 2);
    let frequency = Fields::register_of_el0(true, 14, 0, 0);
    let counter = Fields::register_of_el0(true, 14, 0, 2);
    let hertz = perform(frequency, 0, 0);
    let mut counted = 0;
    let mut read = NO_SLOT;
    for round in 1_u64.. {
        // First of all, before anything can have changed it again.
        let value = match read {
            NO_SLOT => 0,
            slot => perform(slot as usize, 0, 0),
        };
        let mut wrong = None;
        if perform(thread_register, 0, 0) != 0 {
            wrong = Some(Wrong::ThreadRegister);
        }
        let mut before = marked();
        before[0] = 50_000;
        let after = provoke::spin_with(&before);
        if after[0] != 0 || after[1..] != before[1..] {
            wrong = Some(Wrong::Register);
        }
        let kept = core::hint::black_box(&memory).iter().enumerate();
        if kept
            .clone()
            .any(|(number, word)| *word != !(number as u64) << 8)
        {
            wrong = Some(Wrong::Memory);
        }
        let now = perform(counter, 0, 0);
        if now < counted || perform(frequency, 0, 0) != hertz {
            wrong = Some(Wrong::Counter);
        }
        counted = now;
        if round.is_multiple_of(16) && !timer_works(hertz) {
            wrong = Some(Wrong::Timer);
        }
        let wrong = wrong.map_or(0, |wrong| wrong as u64);
        [read, ..] = tell(LOOKED, [round, wrong, value]);
    }
    unreachable!("rounds do not end")
}

/// Whether a timer of two milliseconds comes after them, and soon: the prober comes first, and a busy host may let
/// much time pass.
fn timer_works(hertz: u64) -> bool {
    let counter = Fields::register_of_el0(true, 14, 0, 2);
    let before = perform(counter, 0, 0);
    pause(2_000_000);
    let passed = perform(counter, 0, 0).wrapping_sub(before);
    (hertz / 500..hertz * 60).contains(&passed)
}
