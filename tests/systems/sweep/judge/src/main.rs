//! The judge of the sweep, and the supervisor of its image.
//!
//! Parameters: `seed` and `one-in`, which decide what is tried.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use core::fmt::{Arguments, Write};

use abi::privileged::TaskState;
use abi::{FaultKind, TaskId, notification};
use heapless::String;
use sweep_encodings::{
    DONE, End, Fields, LIVED, LOOKED, NEXT, NO_SLOT, WRITABLE, WROTE, end, is_tried, word,
};
use userlib::ipc::{self, Message, Payload, Received};
use userlib::provoke::every_instruction::{EXTENSIONS, SLOT, TEXTS};
use userlib::{config, privileged};

userlib::task!(main);

/// Mistakes that are shown.
const SHOWN: u64 = 40;
/// The prober lets the bystander run once in so many lives.
const LIVES_BETWEEN_PAUSES: u64 = 64;
/// Rounds of the bystander without which it has seen nothing.
const ROUNDS: u64 = 10;

struct Judge {
    prober: usize,
    bystander: usize,
    seed: u64,
    one_in: u64,
    /// Address of the prober's table.
    table: u64,
    /// Slot to go on with.
    next: usize,
    returned: u64,
    deaths: u64,
    mistakes: u64,
    /// Which of [`WRITABLE`] is tried, after all slots.
    writing: Option<usize>,
    /// The prober, while it waits for the bystander to look.
    waiting: Option<TaskId>,
    /// Whether the bystander was told what to read.
    asked: bool,
    rounds: u64,
}

fn say(text: Arguments<'_>) {
    let mut line = String::<160>::new();
    // What does not fit is cut.
    let _ = line.write_fmt(text);
    privileged::console(&line);
    privileged::console("\r\n");
}

fn words(words: [u64; 5]) -> Payload {
    let [a, b, c, d, e] = words;
    [a, b, c, d, e, 0, 0, 0]
}

impl Judge {
    fn mistake(&mut self, slot: usize, what: Arguments<'_>) {
        self.mistakes += 1;
        if self.mistakes > SHOWN {
            return;
        }
        let text = slot
            .checked_sub(EXTENSIONS.start)
            .and_then(|number| TEXTS.get(number))
            .map_or("", |of| of.text);
        say(format_args!(
            "sweep: slot {slot}, {:#010x} {text}: {what}",
            word(slot)
        ));
    }

    /// The prober died.
    fn death(&mut self, fault: [u64; 5]) {
        let [kind, _, pc, ..] = fault;
        let kind = kind & 0xffff;
        self.deaths += 1;
        let slot = (pc.wrapping_sub(self.table) / SLOT) as usize;
        let at = match self.writing {
            Some(number) => write_slot(number).unwrap_or(0),
            None => self.next,
        };
        if self.table == 0 || slot < at || slot >= EXTENSIONS.end {
            say(format_args!("sweep: the prober died of {kind} at {pc:#x}"));
            self.fail();
        }
        let expected = match end(slot) {
            End::UndefinedCall => FaultKind::UndefinedSyscall,
            _ => FaultKind::IllegalInstruction,
        };
        if kind != expected as u64 || end(slot) == End::Returns {
            self.mistake(slot, format_args!("died of {kind}"));
        }
        match self.writing {
            // The processor has no such register.
            Some(number) => self.writing = Some(number + 1),
            None => {
                self.returned(self.next..slot);
                self.next = slot + 1;
            }
        }
        privileged::restart(self.prober);
    }

    /// The prober has the slots behind it, alive: how many of them it was to try. None of them may be one that has to fault,
    /// else one that tries nothing would pass.
    fn returned(&mut self, slots: core::ops::Range<usize>) -> u64 {
        let mut count = 0;
        for slot in slots {
            if !is_tried(slot, self.seed, self.one_in) {
                continue;
            }
            count += 1;
            if matches!(end(slot), End::Faults | End::UndefinedCall) {
                self.mistake(slot, format_args!("was passed over"));
            }
        }
        self.returned += count;
        count
    }

    fn faults(&mut self) {
        for index in [self.prober, self.bystander] {
            let Some(status) = privileged::status(index) else {
                continue;
            };
            if status.state < TaskState::Dead as u64 {
                continue;
            }
            if index != self.prober {
                let [kind, address, pc, ..] = status.fault;
                say(format_args!(
                    "sweep: the bystander died of {}, address {address:#x}, pc {pc:#x}",
                    kind & 0xffff
                ));
                self.fail();
            }
            self.death(status.fault);
        }
    }

    fn message(&mut self, message: &Message) {
        let from = message.sender.index();
        let [first, second, third, ..] = message.payload;
        let answer = match message.operation {
            NEXT if from == self.prober => {
                self.table = first;
                self.step()
            }
            LIVED if from == self.prober => {
                self.mistake(first as usize, format_args!("returned"));
                [0; 5]
            }
            DONE if from == self.prober => {
                let rest = self.returned(self.next..EXTENSIONS.end);
                if first != rest {
                    self.mistake(
                        self.next,
                        format_args!("{first} of {rest} from here were tried"),
                    );
                }
                self.next = EXTENSIONS.end;
                self.writing = Some(0);
                [0; 5]
            }
            WROTE if from == self.prober => {
                self.waiting = Some(message.sender);
                self.asked = false;
                return;
            }
            LOOKED if from == self.bystander => self.looked(first, second, third),
            operation => {
                say(format_args!("sweep: task {from} says {operation}"));
                self.fail()
            }
        };
        ipc::reply(message.sender, 0, &words(answer), 40);
    }

    /// What the prober does next.
    fn step(&mut self) -> [u64; 5] {
        let write = match self.writing {
            Some(number) => match write_slot(number) {
                Some(slot) => slot as u64,
                None => self.end(),
            },
            None => NO_SLOT,
        };
        let wait = self.deaths.is_multiple_of(LIVES_BETWEEN_PAUSES);
        [
            self.next as u64,
            self.seed,
            self.one_in,
            write,
            u64::from(wait),
        ]
    }

    /// The bystander has looked; returns what it reads next.
    fn looked(&mut self, rounds: u64, wrong: u64, value: u64) -> [u64; 5] {
        self.rounds = rounds;
        if wrong != 0 {
            self.mistake(self.next, format_args!("the bystander noticed: {wrong}"));
        }
        let read = match (self.waiting, self.writing) {
            (Some(_), Some(number)) if !self.asked => {
                self.asked = true;
                read_slot(number)
            }
            (Some(prober), Some(number)) => {
                if value != 0 {
                    let slot = read_slot(number).unwrap_or(0);
                    self.mistake(slot, format_args!("another task read {value:#x}"));
                }
                self.waiting = None;
                self.writing = Some(number + 1);
                ipc::reply(prober, 0, &[0; 8], 0);
                None
            }
            _ => None,
        };
        let read = read.map_or(NO_SLOT, |slot| slot as u64);
        [read, 0, 0, 0, 0]
    }

    fn end(&mut self) -> ! {
        let tried = self.returned + self.deaths;
        say(format_args!(
            "sweep: {tried} tried (seed {}, one in {}), {} returned, {} faulted, {} rounds of the bystander, {} mistakes",
            self.seed, self.one_in, self.returned, self.deaths, self.rounds, self.mistakes
        ));
        if self.mistakes > 0 || self.rounds < ROUNDS {
            self.fail()
        }
        say(format_args!("supervisor: verdict: pass"));
        privileged::exit(0)
    }

    fn fail(&mut self) -> ! {
        say(format_args!(
            "sweep: failed at slot {} (seed {}, one in {})",
            self.next, self.seed, self.one_in
        ));
        say(format_args!("supervisor: verdict: FAIL"));
        privileged::exit(1)
    }
}

fn write_slot(number: usize) -> Option<usize> {
    let (crn, crm, op2) = *WRITABLE.get(number)?;
    Some(Fields::register_of_el0(false, crn, crm, op2))
}

fn read_slot(number: usize) -> Option<usize> {
    let (crn, crm, op2) = *WRITABLE.get(number)?;
    Some(Fields::register_of_el0(true, crn, crm, op2))
}

/// A parameter without which the image makes no sense.
fn parameter(name: &str) -> u64 {
    match config::parameter(name) {
        Some(value) => value,
        None => panic!("the plan has no parameter {}", name),
    }
}

fn index_of(name: &str) -> usize {
    match config::peer(name) {
        Some(peer) => peer.index as usize,
        None => panic!("the plan has no {}", name),
    }
}

fn main() -> ! {
    let mut judge = Judge {
        prober: index_of("prober"),
        bystander: index_of("bystander"),
        seed: parameter("seed"),
        one_in: parameter("one-in"),
        table: 0,
        next: 0,
        returned: 0,
        deaths: 0,
        mistakes: 0,
        writing: None,
        waiting: None,
        asked: false,
        rounds: 0,
    };
    loop {
        match ipc::receive(notification::FAULT) {
            Received::Message(message) => judge.message(&message),
            Received::Notification(_) => judge.faults(),
            _ => {}
        }
    }
}
