//! What the reference says of tasks, without registers, memory or speed: docs/reference/ipc.md, sections 2
//! to 5 and 7 to 10, in the fewest words.

use std::vec::Vec;

use abi::{Code, TaskId, notification};

use crate::tests::world::{COUNT, DRIVER, PRIORITIES, SERVER, SUPERVISOR};

/// What a task does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    Ready,
    Sending(usize),
    AwaitingReply(usize),
    Receiving { mask: u32, from: Option<usize> },
    Down,
}

/// What a call returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Of a send: code, and the word of the reply if there is one.
    Reply(Code, Option<u64>),
    /// Of a receive.
    Message(TaskId, u64),
    Bits(u32),
    Dead,
    /// Of any other call.
    Code(Code),
}

#[derive(Clone, Debug)]
pub struct Task {
    pub generation: u64,
    pub doing: Doing,
    pub bits: u32,
    /// When it became ready, or was queued.
    since: u64,
    retired: bool,
    /// First word of its message.
    word: u64,
    /// What it heard in the last step.
    pub heard: Option<Heard>,
}

/// A task as an argument: its current life, or one that is not.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub task: usize,
    pub stale: bool,
}

#[derive(Debug)]
pub struct Model {
    pub tasks: Vec<Task>,
    pub running: Option<usize>,
    clock: u64,
}

impl Model {
    /// All tasks start, in order.
    pub fn new(generations: [u64; COUNT]) -> Self {
        let task = |(index, generation)| Task {
            generation,
            doing: Doing::Ready,
            bits: 0,
            since: index as u64,
            retired: false,
            word: 0,
            heard: None,
        };
        Self {
            tasks: generations.into_iter().enumerate().map(task).collect(),
            running: Some(SUPERVISOR),
            clock: COUNT as u64,
        }
    }

    pub fn id(&self, task: usize) -> TaskId {
        TaskId::new(task as u8, self.tasks[task].generation)
    }
    pub fn is_up(&self, task: usize) -> bool {
        self.tasks[task].doing != Doing::Down
    }

    fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
    fn hears(&mut self, task: usize, heard: Heard) {
        self.tasks[task].heard = Some(heard);
    }
    fn wakes(&mut self, task: usize, heard: Heard) {
        self.tasks[task].since = self.now();
        self.tasks[task].doing = Doing::Ready;
        self.hears(task, heard);
    }
    fn first(&self, among: impl Fn(&Task) -> bool) -> Option<usize> {
        (0..COUNT)
            .filter(|task| among(&self.tasks[*task]))
            .min_by_key(|task| (PRIORITIES[*task], self.tasks[*task].since))
    }
    /// Of all ready tasks the one of the highest priority, among equals the one that became ready first.
    pub fn choose(&mut self) {
        self.running = self.first(|task| task.doing == Doing::Ready);
    }
    /// Why nothing reaches a task, if nothing does.
    fn away(&self, to: Named) -> Option<Code> {
        let task = &self.tasks[to.task];
        match (to.stale, task.doing, task.retired) {
            (true, ..) => Some(Code::DEAD),
            (false, Doing::Down, true) => Some(Code::HELD),
            (false, Doing::Down, false) => Some(Code::DOWN),
            _ => None,
        }
    }

    pub fn notify(&mut self, to: usize, bits: u32) {
        if !self.is_up(to) {
            return;
        }
        self.tasks[to].bits |= bits;
        if let Doing::Receiving { mask, .. } = self.tasks[to].doing
            && self.tasks[to].bits & mask != 0
        {
            let heard = self.take(to, mask);
            self.wakes(to, heard);
        }
    }
    fn take(&mut self, task: usize, mask: u32) -> Heard {
        let bits = self.tasks[task].bits & mask;
        self.tasks[task].bits &= !mask;
        Heard::Bits(bits)
    }

    pub fn send(&mut self, from: usize, to: Named, word: u64) {
        if PRIORITIES[to.task] >= PRIORITIES[from] {
            return self.die(from);
        }
        if let Some(code) = self.away(to) {
            return self.hears(from, Heard::Reply(code, None));
        }
        match self.tasks[to.task].doing {
            Doing::Receiving { from: filter, .. } if filter.is_none_or(|only| only == from) => {
                self.wakes(to.task, Heard::Message(self.id(from), word));
                self.tasks[from].doing = Doing::AwaitingReply(to.task);
            }
            _ => {
                self.tasks[from].since = self.now();
                self.tasks[from].word = word;
                self.tasks[from].doing = Doing::Sending(to.task);
            }
        }
    }

    pub fn receive(&mut self, task: usize, mask: u32, from: Option<Named>) {
        if self.tasks[task].bits & mask != 0 {
            let heard = self.take(task, mask);
            return self.hears(task, heard);
        }
        if from.is_some_and(|from| self.away(from).is_some()) {
            return self.hears(task, Heard::Dead);
        }
        let from = from.map(|from| from.task);
        let sender = match from {
            Some(only) => Some(only).filter(|only| self.tasks[*only].doing == Doing::Sending(task)),
            None => self.first(|other| other.doing == Doing::Sending(task)),
        };
        match sender {
            Some(sender) => {
                self.tasks[sender].doing = Doing::AwaitingReply(task);
                self.hears(
                    task,
                    Heard::Message(self.id(sender), self.tasks[sender].word),
                );
            }
            None => self.tasks[task].doing = Doing::Receiving { mask, from },
        }
    }

    pub fn reply(&mut self, from: usize, to: Named, code: Code, word: u64) {
        if !to.stale && self.tasks[to.task].doing == Doing::AwaitingReply(from) {
            self.wakes(to.task, Heard::Reply(code, Some(word)));
        }
    }

    pub fn post(&mut self, from: usize, to: Named, bits: u32) {
        let code = self.away(to).unwrap_or(Code::OK);
        self.hears(from, Heard::Code(code));
        if code == Code::OK {
            self.notify(to.task, bits);
        }
    }

    /// A fault.
    pub fn die(&mut self, task: usize) {
        self.end(task);
        self.notify(SUPERVISOR, notification::FAULT);
    }
    fn end(&mut self, task: usize) {
        let dead = &mut self.tasks[task];
        dead.generation += 1;
        (dead.doing, dead.bits) = (Doing::Down, 0);
        for peer in 0..COUNT {
            match self.tasks[peer].doing {
                Doing::Sending(to) | Doing::AwaitingReply(to) if to == task => {
                    self.wakes(peer, Heard::Reply(Code::DEAD, None));
                }
                Doing::Receiving { from, .. } if from == Some(task) => {
                    self.wakes(peer, Heard::Dead);
                }
                _ => {}
            }
        }
    }

    /// By the supervisor, which hears nothing of it.
    pub fn stop(&mut self, task: usize, for_good: bool) {
        if task == SUPERVISOR {
            return self.hears(SUPERVISOR, Heard::Code(Code::REFUSED));
        }
        self.hears(SUPERVISOR, Heard::Code(Code::OK));
        self.tasks[task].retired |= for_good;
        if self.is_up(task) {
            self.end(task);
        }
    }
    /// By the supervisor.
    pub fn restart(&mut self, task: usize) {
        if self.is_up(task) || self.tasks[task].retired {
            return self.hears(SUPERVISOR, Heard::Code(Code::REFUSED));
        }
        self.hears(SUPERVISOR, Heard::Code(Code::OK));
        self.tasks[task].since = self.now();
        self.tasks[task].doing = Doing::Ready;
        if task == SERVER {
            self.notify(DRIVER, notification::PEER_UP);
        }
    }
}
