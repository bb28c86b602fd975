//! Rounds from a seed: mostly calls that are right, each field at its edges, and words that mean nothing.

mod paid;

use abi::layout::{KERNEL_WINDOW, TASK_IMAGE_BASE};
use abi::{
    Lease, LeaseAttributes, MESSAGE_MAX, ReplyDescriptor, SendDescriptor, TAKES_WIDE, WIDE_BYTES,
};
use heapless::Vec;
use oorandom::Rand64;

use crate::ids::{Ids, LIFE, Variation};
use crate::wire::{self, FROM_LAST, Script, WORKS};
use crate::{
    BYSTANDER, CALLER, COUNT, Call, LIMITED, POOL_LEN, QUEUER, Registers, SECOND, SERVER,
    STEPS_MAX, mark,
};

pub use paid::Owed;

/// Where a field of 16 bits changes its meaning, and where a sum leaves it.
pub const EDGES: [u16; 16] = [
    0, 1, 63, 64, 65, 127, 128, 4095, 4096, 4097, 0xffbf, 0xffc0, 0xffc1, 0xffc2, 0xfffe, 0xffff,
];

/// A step before the ids are known.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What is done.
    pub call: Call,
    /// Registers but for ids.
    pub registers: Registers,
    /// Registers that hold an id: number, actor, how.
    ids: [Option<(u8, u8, Variation)>; 2],
    from_last: bool,
    works: bool,
}

/// The scripts of all actors.
pub type Round = [Vec<Step, STEPS_MAX>; COUNT];

/// Draws rounds.
pub struct Draw {
    random: Rand64,
    /// Addresses of the actors' pools.
    pools: [u64; COUNT],
    owed: Option<Owed>,
}

/// Registers of a step as they are when it is made, but for a sender that is not known before.
pub fn resolve(step: &Step, ids: &Ids) -> Registers {
    let mut registers = step.registers;
    for (number, actor, variation) in step.ids.iter().flatten() {
        let id = ids.get(usize::from(*actor)).copied().unwrap_or(0);
        if let Some(register) = registers.get_mut(usize::from(*number)) {
            *register = variation.of(id);
        }
    }
    registers
}

/// A script for its actor.
pub fn script(steps: &[Step], ids: &Ids) -> Script {
    let mut script = Script::NONE;
    script.count = steps.len() as u64;
    for (to, step) in script.steps.iter_mut().zip(steps) {
        *to = wire::Step {
            call: step.call as u64
                | if step.from_last { FROM_LAST } else { 0 }
                | if step.works { WORKS } else { 0 },
            registers: resolve(step, ids),
        };
    }
    script
}

impl Draw {
    /// From a seed.
    pub fn new(seed: u64, pools: [u64; COUNT]) -> Self {
        Self {
            random: Rand64::new(u128::from(seed)),
            pools,
            owed: None,
        }
    }

    /// What is known of who pays for the last round.
    pub const fn owed(&self) -> Option<Owed> {
        self.owed
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.rand_range(0..end)
    }
    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
    fn pick<T: Copy>(&mut self, of: &[T], otherwise: T) -> T {
        let which = self.below(of.len().max(1) as u64) as usize;
        of.get(which).copied().unwrap_or(otherwise)
    }

    /// Any word: one bit, all but one, all, or what comes.
    fn word(&mut self) -> u64 {
        let bit = 1 << self.below(64);
        match self.below(6) {
            0 => 0,
            1 | 2 => bit,
            3 => !bit,
            4 => u64::MAX,
            _ => self.random.rand_u64(),
        }
    }

    /// The next round.
    pub fn round(&mut self) -> Round {
        let mut round = Round::default();
        // In one of eight every other step is preceded by work, which one of the accounts pays.
        let busy = self.one_in(8);
        for (actor, steps) in round.iter_mut().enumerate() {
            let count = match actor {
                SERVER | LIMITED => self.below(4) + 5,
                QUEUER => self.below(4),
                CALLER => self.below(6) + 3,
                SECOND => self.below(6),
                _ => 1,
            };
            for number in 0..count {
                let mut step = self.step(actor, number);
                step.works = busy && actor != BYSTANDER && self.one_in(2);
                if steps.push(step).is_err() {
                    break;
                }
            }
            if matches!(actor, SERVER | LIMITED) && self.one_in(3) {
                self.found_at_once(actor, steps);
            }
        }
        let known = busy && self.one_in(3);
        self.owed = known.then(|| self.paid(&mut round));
        round
    }

    /// Makes some of a server's steps these: it posts itself bits, which its next receive finds at once, and receives again
    /// with the same mask, which is seldom that of the receive before.
    fn found_at_once(&mut self, actor: usize, steps: &mut [Step]) {
        let start = 1 + self.below(3) as usize;
        let bits = self.pick(&[1, 2, 3], 1);
        let calls = [Call::Post, Call::Receive, Call::ReplyAgain];
        for (step, (call, number)) in steps.iter_mut().skip(start).zip(calls.into_iter().zip(0..)) {
            let works = step.works;
            *step = self.step_of(actor, call, number);
            step.works = works;
            match call {
                Call::Post => {
                    step.ids = [Some((8, actor as u8, Variation::Current)), None];
                    step.registers[9] = bits;
                }
                Call::Receive => {
                    step.registers[8] = step.registers[8] & !3 | bits;
                    (step.registers[9], step.ids) = (u64::MAX, [None; 2]);
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, actor: usize, number: u64) -> Step {
        let call = match actor {
            BYSTANDER => Call::Spin,
            // In one round of eight the servers do not wait at first.
            SERVER | LIMITED if number == 0 => {
                if self.one_in(8) {
                    Call::WhoAmI
                } else {
                    Call::Receive
                }
            }
            SERVER | LIMITED => match self.below(20) {
                0 => Call::WhoAmI,
                1 => Call::Receive,
                2 | 3 => Call::Reply,
                4 => Call::Post,
                12 => Call::Interrupt,
                5 if actor == LIMITED => Call::Send,
                6..=11 => Call::ReplyAgain,
                _ => Call::ReplyReceive,
            },
            QUEUER => match self.below(8) {
                0 => Call::WhoAmI,
                1 => Call::Post,
                2 | 3 => Call::Receive,
                _ => Call::Send,
            },
            _ => match self.below(16) {
                0 | 1 => Call::WhoAmI,
                2..=4 => Call::Post,
                6 => Call::Interrupt,
                5 if self.one_in(4) => Call::ReplyReceive,
                5 if self.one_in(4) => Call::ReplyAgain,
                _ => Call::Send,
            },
        };
        self.step_of(actor, call, number)
    }

    fn step_of(&mut self, actor: usize, call: Call, number: u64) -> Step {
        let mut step = Step {
            call,
            registers: core::array::from_fn(|register| {
                mark(actor) << 32 | number << 8 | register as u64
            }),
            ids: [None; 2],
            from_last: false,
            works: false,
        };
        match call {
            Call::WhoAmI => {
                let register = self.below(31) as usize;
                let word = self.word();
                if let Some(register) = step.registers.get_mut(register) {
                    *register = word;
                }
            }
            Call::Spin => step.registers[0] = 3,
            Call::Send => self.send(actor, &mut step),
            Call::Post => self.post(actor, &mut step),
            Call::Interrupt => {
                // The first line of whoever has one; none of them rises.
                let any = self.word();
                step.registers[8] = self.pick(&[1 << 16, 1 << 16, 1 << 16, 1 << 17, 0, any], 0);
                step.registers[9] = self.pick(&[1, 1, 1, 1, 0, 2, any], 1);
            }
            Call::Receive => self.receive(actor, &mut step, 8),
            Call::Reply | Call::ReplyAgain => self.reply(actor, &mut step),
            Call::ReplyReceive => {
                self.reply(actor, &mut step);
                self.receive(actor, &mut step, 11);
            }
        }
        step
    }

    /// An id in `x8` or in a filter, mostly one of `good`.
    fn id(&mut self, step: &mut Step, register: u8, good: &[usize]) {
        let place = usize::from(step.ids[0].is_some());
        let actor = if self.one_in(10) {
            self.below(COUNT as u64) as usize
        } else {
            self.pick(good, SERVER)
        };
        let variation = match self.below(24) {
            0 => Variation::Stale,
            1 => Variation::Next,
            2 => Variation::Alias,
            // The lowest of the generation makes the next life's id of one, and a stale one of another.
            3 => match self.below(64) as u8 {
                bit if 1 << bit == LIFE => Variation::Next,
                bit => Variation::Bit(bit),
            },
            4 => {
                let word = self.word();
                // An id of the judge's is none of an actor's business.
                step.registers[usize::from(register)] = word.max(1);
                return;
            }
            _ => Variation::Current,
        };
        step.ids[place] = Some((register, actor as u8, variation));
    }

    /// Where a slice of `len` bytes is: mostly in the actor's pool, and of those many at its ends.
    fn address(&mut self, actor: usize, len: u64) -> u64 {
        let pool = self.pools.get(actor).copied().unwrap_or(0);
        let room = POOL_LEN.saturating_sub(len);
        match self.below(16) {
            0..=8 => pool + self.below(room + 1),
            9 | 10 => pool,
            11 | 12 => pool + room,
            // One byte too far, or too near.
            13 => pool + room + 1,
            14 => pool - 1,
            _ => {
                let kernel = KERNEL_WINDOW + self.below(1 << 38);
                let near_the_end = u64::MAX - self.below(64);
                self.pick(&[0, TASK_IMAGE_BASE, kernel, near_the_end], 0)
            }
        }
    }

    fn long_len(&mut self) -> u16 {
        let any = self.below(MESSAGE_MAX as u64 + 1) as u16;
        self.pick(&[65, 128, 4095, 4096, any, any % 256], 65)
    }
    fn short_len(&mut self) -> u16 {
        let any = self.below(65) as u16;
        self.pick(&[0, 8, 63, 64, any], 0)
    }

    fn wide_len(&mut self) -> u16 {
        let any = self.below(WIDE_BYTES as u64 + 1) as u16;
        let edge = self.pick(&EDGES, 0);
        self.pick(&[0, 64, 65, 127, 128, 128, 128, any, any, edge], 128)
    }

    fn descriptor(&mut self) -> u64 {
        let operation = self.random.rand_u64() as u16;
        let edges = (self.pick(&EDGES, 0), self.pick(&EDGES, 0));
        let (len, capacity, leases) = match self.below(32) {
            0..=4 => {
                let lens = (self.wide_len(), self.wide_len());
                let leases = if self.one_in(16) { 1 } else { 0 };
                return SendDescriptor::new(operation, lens.0, lens.1, leases)
                    .wide()
                    .0;
            }
            5..=15 => (self.short_len(), self.short_len(), 0),
            16..=18 => (self.long_len(), self.short_len(), 0),
            19..=21 => (self.short_len(), self.long_len(), 0),
            22 | 23 => (self.long_len(), self.long_len(), 0),
            24 => (self.short_len(), self.short_len(), 1 + self.below(2) as u8),
            25 | 26 => (edges.0, edges.1, 0),
            27 => (edges.0, edges.1, self.below(4) as u8),
            28 => {
                let upper = self.word() & 0xffff << 48;
                return SendDescriptor::new(operation, edges.0, edges.1, 0).0 | upper;
            }
            29 => {
                let good = SendDescriptor::new(operation, 8, 8, 0).0;
                return good ^ 1 << self.below(64);
            }
            _ => return self.word(),
        };
        SendDescriptor::new(operation, len, capacity, leases).0
    }

    fn send(&mut self, actor: usize, step: &mut Step) {
        let good: &[usize] = match actor {
            LIMITED => &[SERVER],
            CALLER => &[SERVER, SERVER, LIMITED, QUEUER],
            _ => &[SERVER, LIMITED],
        };
        self.id(step, 8, good);
        let descriptor = SendDescriptor(self.descriptor());
        step.registers[9] = descriptor.0;
        step.registers[10] = self.address(actor, descriptor.len() as u64);
        step.registers[11] = self.address(actor, descriptor.reply_capacity() as u64);
        for register in [12, 14] {
            let len = self.below(POOL_LEN + 2);
            let attributes = LeaseAttributes::from_bits_truncate(self.below(4) as u32);
            let reserved = if self.one_in(32) { 1 << 40 } else { 0 };
            step.registers[register] = self.address(actor, len);
            step.registers[register + 1] = Lease::new(len as u32, attributes).0 | reserved;
        }
    }

    fn post(&mut self, actor: usize, step: &mut Step) {
        let good: &[usize] = match actor {
            SERVER => &[QUEUER, CALLER],
            LIMITED => &[QUEUER, SERVER],
            _ => &[SERVER, SERVER, LIMITED],
        };
        self.id(step, 8, good);
        let any = self.word();
        step.registers[9] = self.pick(&[1, 1, 1, 1, 0, 0, 2, 3, 4, any], 0);
    }

    fn reply(&mut self, actor: usize, step: &mut Step) {
        if self.one_in(8) {
            self.id(step, 8, &[QUEUER, CALLER, SECOND]);
        } else {
            step.from_last = true;
        }
        let code = self.pick(&[0, 0, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_feff], 0);
        let len = match self.below(16) {
            0..=10 => self.pick(&[0, 0, 0, 8], 0),
            11 => self.short_len(),
            12 | 13 => self.long_len(),
            14 => self.pick(&EDGES, 0),
            _ => 0,
        };
        let mut descriptor = ReplyDescriptor::new(code, len).0;
        if self.one_in(4) {
            let len = self.wide_len();
            let len = self.pick(&[0, 8, len, len], 0);
            descriptor = ReplyDescriptor::new(code, len).wide().0;
        }
        if self.one_in(24) {
            descriptor ^= 1 << self.below(64);
        }
        step.registers[9] = descriptor;
        step.registers[10] = self.address(actor, u64::from(len));
    }

    /// Mask, filter, buffer and its capacity from register `first` on.
    fn receive(&mut self, actor: usize, step: &mut Step, first: usize) {
        let any = self.word();
        step.registers[first] = self.pick(&[0, 0, 1, 2, 3, 0xffff, 1 << 33, 0xffff_ffff, any], 0);
        // Mostly it takes wide messages.
        if !self.one_in(3) {
            step.registers[first] |= TAKES_WIDE;
        }
        let filter = first + 1;
        step.registers[filter] = u64::MAX;
        match self.below(20) {
            0..=2 => self.id(step, filter as u8, &[QUEUER, CALLER, SECOND]),
            3 => step.registers[filter] = self.pick(&[0xff, 0xfe, 0x3f, 0x40], 0xff),
            _ => {}
        }
        let capacity = match self.below(16) {
            0..=10 => 4096,
            11 => u64::from(self.long_len()),
            12 | 13 => 0,
            14 => u64::from(self.short_len()),
            _ => u64::from(self.pick(&EDGES, 0)),
        };
        step.registers[first + 3] = capacity;
        // One buffer all the time, as a server has, so that it is found valid once.
        step.registers[first + 2] = if self.one_in(8) {
            self.address(actor, capacity)
        } else {
            self.pools.get(actor).copied().unwrap_or(0)
        };
    }
}

#[cfg(test)]
mod tests;
