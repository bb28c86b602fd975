//! Random histories of system calls by all tasks, each step compared with a model.

mod model;

use std::string::String;
use std::{format, println};

use abi::privileged::Privileged;
use abi::{Code, ReplyDescriptor, SendDescriptor, Syscall, TaskId, notification};

use self::model::{Doing, Heard, Model, Named};
use super::world::*;
use crate::State;

/// Histories and their length; the interpreter of Miri is some thousand times slower.
const HISTORIES: u64 = if cfg!(miri) { 4 } else { 400 };
const STEPS: usize = if cfg!(miri) { 80 } else { 1000 };

/// Numbers that a seed determines (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
    fn task(&mut self) -> usize {
        self.roll(COUNT as u64) as usize
    }
}

/// Kernel and model, and what happened.
struct History {
    world: World,
    model: Model,
    dice: Dice,
    words: u64,
    last: String,
}

impl History {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let generations = core::array::from_fn(|task| world.id(task).generation());
        Self {
            world,
            model: Model::new(generations),
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            words: 0,
            last: String::new(),
        }
    }

    fn word(&mut self) -> u64 {
        self.words += 1;
        self.words
    }

    /// A task to be named, mostly by its current life.
    fn named(&mut self) -> (Named, TaskId) {
        let task = self.dice.task();
        let stale = self.dice.one_in(8);
        let id = self.model.id(task);
        let generation = match (stale, self.dice.one_in(2)) {
            (false, _) => id.generation(),
            (true, true) => id.generation() + 1,
            (true, false) => id.generation().wrapping_sub(1),
        };
        (Named { task, stale }, TaskId::new(task as u8, generation))
    }

    /// A task that waits for `server`, so that replies often reach somebody.
    fn client(&mut self, server: usize) -> (Named, TaskId) {
        let waits = Doing::AwaitingReply(server);
        let client = (0..COUNT).find(|task| self.model.tasks[*task].doing == waits);
        match client.filter(|_| !self.dice.one_in(4)) {
            Some(task) => (Named { task, stale: false }, self.model.id(task)),
            None => self.named(),
        }
    }

    /// Whom to receive from: bits, and perhaps one task only, which is not the receiver.
    fn filter(&mut self, task: usize) -> (u32, Option<Named>, TaskId) {
        let mask = self.dice.roll(256) as u32
            | WAKE
            | if self.dice.one_in(2) {
                notification::FAULT | notification::PEER_UP
            } else {
                0
            };
        if self.dice.one_in(4) {
            let (from, id) = self.named();
            if from.task != task {
                return (mask, Some(from), id);
            }
        }
        (mask, None, TaskId::ANY)
    }

    fn step(&mut self) {
        let Some(task) = self.model.running else {
            let to = self.dice.task();
            self.last = format!("interrupt of {to}");
            self.model.notify(to, WAKE);
            self.world.kernel.notify(index(to), u64::from(WAKE));
            self.world.resume();
            return;
        };
        match self.dice.roll(if task == SUPERVISOR { 9 } else { 12 }) {
            0..=2 => self.receive(task),
            3 => self.reply(task),
            4 => self.reply_receive(task),
            5 => self.post(task),
            6..=8 if task == SUPERVISOR => self.supervise(),
            6..=10 => self.send(task),
            _ => self.crash(task),
        }
    }

    fn receive(&mut self, task: usize) {
        let (mask, from, id) = self.filter(task);
        self.last = format!("{task} receives {mask:#x} {from:?}");
        self.model.receive(task, mask, from);
        self.world.receive(task, mask, id, 0, 0);
    }

    fn send(&mut self, task: usize) {
        let (to, id) = self.named();
        let word = self.word();
        self.last = format!("{task} sends {word} to {to:?}");
        self.model.send(task, to, word);
        self.world.set_payload(task, [word; 8]);
        self.world.send(task, id, SendDescriptor::new(1, 64, 64, 0));
    }

    fn reply(&mut self, task: usize) {
        let (to, id) = self.client(task);
        let (code, word) = (Code(self.dice.roll(3) as u32), self.word());
        self.last = format!("{task} replies {word} to {to:?}");
        self.model.reply(task, to, code, word);
        self.world.set_payload(task, [word; 8]);
        self.world
            .reply(task, id, ReplyDescriptor::new(code.0, 64).0, 0);
    }

    fn reply_receive(&mut self, task: usize) {
        let (to, id) = self.client(task);
        let (mask, from, only) = self.filter(task);
        let word = self.word();
        self.last = format!("{task} replies {word} to {to:?} and receives {mask:#x} {from:?}");
        self.model.reply(task, to, Code::OK, word);
        self.model.receive(task, mask, from);
        self.world.set_payload(task, [word; 8]);
        let descriptor = ReplyDescriptor::new(0, 64).0;
        let arguments = [id.0, descriptor, 0, u64::from(mask), only.0, 0, 0];
        self.world
            .call(task, Syscall::ReplyReceive as u16, &arguments);
    }

    fn post(&mut self, task: usize) {
        let (to, id) = self.named();
        let bits = self.dice.roll(256) as u32;
        self.last = format!("{task} posts {bits:#x} to {to:?}");
        self.model.post(task, to, bits);
        let arguments = [id.0, u64::from(bits)];
        self.world.call(task, Syscall::Post as u16, &arguments);
    }

    fn supervise(&mut self) {
        let task = self.dice.task();
        if self.dice.one_in(3) {
            let for_good = self.dice.one_in(100);
            self.last = format!("stop of {task}, for good {for_good}");
            self.model.stop(task, for_good);
            let arguments = [task as u64, u64::from(for_good)];
            self.world
                .privileged(SUPERVISOR, Privileged::Stop, &arguments);
        } else {
            self.last = format!("restart of {task}");
            self.model.restart(task);
            self.world
                .privileged(SUPERVISOR, Privileged::Restart, &[task as u64]);
        }
    }

    fn crash(&mut self, task: usize) {
        self.last = format!("{task} crashes");
        self.model.die(task);
        self.world.crash(task);
    }

    /// The kernel is where the model is, and said the same.
    fn compare(&mut self) {
        self.model.choose();
        assert_eq!(
            self.world.running.map(|task| task.number()),
            self.model.running
        );
        for task in 0..COUNT {
            let heard = self.model.tasks[task].heard.take();
            let expected = &self.model.tasks[task];
            assert_eq!(self.world.id(task), self.model.id(task));
            let state = match expected.doing {
                Doing::Ready => State::Runnable,
                Doing::Sending(_) => State::Sending,
                Doing::AwaitingReply(_) => State::AwaitingReply,
                Doing::Receiving { from: None, .. } => State::Receiving,
                Doing::Receiving { .. } => State::ReceivingFrom,
                Doing::Down => State::Down,
            };
            assert_eq!(self.world.state(task), state, "state of {task}");
            let bits = self.world.kernel.task(index(task)).notifications;
            assert_eq!(bits, u64::from(expected.bits), "bits of {task}");
            if let Some(heard) = heard.filter(|_| expected.doing != Doing::Down) {
                assert_eq!(self.heard(task, heard), heard, "heard by {task}");
            }
        }
    }

    /// What the registers of a task say, in the form of `like`.
    fn heard(&self, task: usize, like: Heard) -> Heard {
        let x = |register| self.world.x(task, register);
        match like {
            Heard::Reply(_, word) => Heard::Reply(Code(x(8) as u32), word.map(|_| x(0))),
            Heard::Message(..) => Heard::Message(TaskId(x(8)), x(0)),
            Heard::Bits(_) if x(8) == TaskId::KERNEL.0 => Heard::Bits(x(9) as u32),
            Heard::Dead if [x(8), x(9), x(10)] == [TaskId::KERNEL.0, 0, Code::DEAD.0.into()] => {
                Heard::Dead
            }
            Heard::Bits(_) | Heard::Dead => Heard::Message(TaskId(x(8)), x(0)),
            Heard::Code(_) => Heard::Code(Code(x(0) as u32)),
        }
    }
}

/// Says where a history went wrong.
struct Place(u64, usize, String);

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}, step {}: {}", self.0, self.1, self.2);
        }
    }
}

#[test]
fn histories_agree_with_the_model() {
    for seed in 1..=HISTORIES {
        let mut history = History::new(seed);
        let mut place = Place(seed, 0, String::new());
        for step in 0..STEPS {
            history.step();
            (place.1, place.2) = (step, history.last.clone());
            history.compare();
        }
    }
}
