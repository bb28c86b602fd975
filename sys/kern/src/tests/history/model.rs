//! What the reference says of tasks, without registers or speed: docs/reference/ipc.md, in the fewest words.
//! Here their lives, messages and notifications; memory and what belongs to devices is beside.

use std::vec::Vec;

use abi::{Code, Lease, TaskId, notification};

use super::budgets::Budget;
use super::devices::Devices;
use super::memory::{Place, Pools};
use crate::tests::world::{AUTHORITY, COUNT, DRIVER, PRIORITIES, SERVER, SUPERVISOR};

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
    /// Of a send: code, and the reply's first word and length if there is one.
    Reply(Code, Option<(u64, u64)>),
    /// Of a receive: sender, first word, descriptor, leases.
    Message(TaskId, u64, u64, [u64; 2]),
    Bits(u32),
    Dead,
    /// Of any other call.
    Code(Code),
    /// Of an unmasking: the bits that are unmasked.
    Unmasked(u32),
    /// Of a pin: slot, physical address, attributes.
    Pinned(u64, u64, u64),
}

/// What a task sends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message {
    /// First word of the payload.
    pub word: u64,
    /// The send descriptor.
    pub descriptor: u64,
    /// Where it lies if it is long.
    pub long: Option<Place>,
    /// Bytes that are taken in the reply, and where if they are many.
    pub reply: Place,
    /// Offset in the pool and descriptor of what it lends.
    pub leases: [(u64, u64); 2],
    pub lease_count: usize,
}

#[derive(Clone, Debug)]
pub struct Task {
    pub generation: u64,
    pub doing: Doing,
    pub bits: u32,
    /// When it became ready, or was queued.
    since: u64,
    pub retired: bool,
    /// What it sent last.
    pub message: Message,
    /// Where it receives long messages.
    pub buffer: Place,
    /// Bits that its last receive took.
    pub mask: u32,
    /// At which of its calls from now it is made to die; 0 at none.
    pub armed: u64,
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
    pub pools: Pools,
    pub devices: Devices,
    /// The account of each task; none if its time is not limited.
    pub budgets: [Option<Budget>; COUNT],
    /// Whose account each works on.
    pub works_for: [usize; COUNT],
    /// Up to when time is paid for.
    pub paid_until: u64,
    clock: u64,
}

impl Model {
    /// All tasks start, in order.
    pub fn new(generations: [u64; COUNT], pools: Pools) -> Self {
        let task = |(index, generation)| Task {
            generation,
            doing: Doing::Ready,
            bits: 0,
            since: index as u64,
            retired: false,
            message: Message::default(),
            buffer: Place::default(),
            mask: 0,
            armed: 0,
            heard: None,
        };
        Self {
            tasks: generations.into_iter().enumerate().map(task).collect(),
            running: Some(SUPERVISOR),
            pools,
            devices: Devices::new(),
            budgets: [None; COUNT],
            works_for: core::array::from_fn(|task| task),
            paid_until: 0,
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
    pub fn hears(&mut self, task: usize, heard: Heard) {
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
    /// Of all ready tasks the one of the highest priority, among equals the one that became ready first; of those that are
    /// spent only if all are. The running one goes on if nobody is strictly before it.
    pub fn choose(&mut self) {
        let order = |task: usize| (self.is_spent(task), PRIORITIES[task]);
        let ready = (0..COUNT).filter(|task| self.tasks[*task].doing == Doing::Ready);
        let first = ready.min_by_key(|task| (order(*task), self.tasks[*task].since));
        if let (Some(running), Some(first)) = (self.running, first)
            && self.tasks[running].doing == Doing::Ready
            && order(running) == order(first)
        {
            return;
        }
        self.running = first;
    }
    /// Behind its equals.
    pub fn comes_last(&mut self, task: usize) {
        self.tasks[task].since = self.now();
    }
    /// Why nothing reaches a task, if nothing does.
    pub fn away(&self, to: Named) -> Option<Code> {
        let task = &self.tasks[to.task];
        match (to.stale, task.doing, task.retired) {
            (true, ..) => Some(Code::DEAD),
            (false, Doing::Down, true) => Some(Code::RETIRED),
            (false, Doing::Down, false) => Some(Code::DOWN),
            _ => None,
        }
    }

    /// A call begins; false if the caller is made to die of it.
    pub fn begins(&mut self, task: usize) -> bool {
        let armed = &mut self.tasks[task].armed;
        if *armed == 1 {
            self.die(task);
            return false;
        }
        *armed = armed.saturating_sub(1);
        true
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

    pub fn send(&mut self, from: usize, to: Named, message: Message) {
        if PRIORITIES[to.task] >= PRIORITIES[from] {
            return self.die(from);
        }
        self.tasks[from].message = message;
        if let Some(code) = self.away(to) {
            return self.hears(from, Heard::Reply(code, None));
        }
        match self.tasks[to.task].doing {
            Doing::Receiving { from: filter, .. } if filter.is_none_or(|only| only == from) => {
                let heard = self.deliver(from, to.task);
                self.wakes(to.task, heard);
            }
            _ => {
                self.tasks[from].since = self.now();
                self.tasks[from].doing = Doing::Sending(to.task);
            }
        }
    }

    /// The message goes over; its sender waits for the reply.
    fn deliver(&mut self, from: usize, to: usize) -> Heard {
        self.tasks[from].doing = Doing::AwaitingReply(to);
        // Who finishes something on its own account calls on that.
        let pays_itself = self.is_exhausted(self.works_for[from]) && self.budgets[from].is_some();
        self.works_for[to] = if pays_itself {
            from
        } else {
            self.works_for[from]
        };
        let message = self.tasks[from].message;
        if let Some(long) = message.long {
            let buffer = self.tasks[to].buffer;
            let len = long.len.min(buffer.len);
            self.pools.copy(from, long.at, to, buffer.at, len);
        }
        let lease = |number: usize| {
            if number < message.lease_count {
                message.leases[number].1
            } else {
                0
            }
        };
        let leases = [lease(0), lease(1)];
        Heard::Message(self.id(from), message.word, message.descriptor, leases)
    }

    /// Mask and buffer of the last receive in this life.
    pub fn last_receive(&self, task: usize) -> (u32, Place) {
        (self.tasks[task].mask, self.tasks[task].buffer)
    }

    pub fn receive(&mut self, task: usize, mask: u32, from: Option<Named>, buffer: Place) {
        self.tasks[task].buffer = buffer;
        self.tasks[task].mask = mask;
        self.works_for[task] = task;
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
                let heard = self.deliver(sender, task);
                self.hears(task, heard);
            }
            None => self.tasks[task].doing = Doing::Receiving { mask, from },
        }
    }

    /// False if the replier died of it.
    pub fn reply(&mut self, from: usize, to: Named, code: Code, word: u64, reply: Place) -> bool {
        self.works_for[from] = from;
        if to.stale || self.tasks[to.task].doing != Doing::AwaitingReply(from) {
            return true;
        }
        let room = self.tasks[to.task].message.reply;
        if reply.len > room.len {
            self.die(from);
            return false;
        }
        if reply.len > abi::REGISTER_BYTES as u64 {
            self.pools.copy(from, reply.at, to.task, room.at, reply.len);
        }
        self.wakes(to.task, Heard::Reply(code, Some((word, reply.len))));
        true
    }

    pub fn post(&mut self, from: usize, to: Named, bits: u32) {
        let code = self.away(to).unwrap_or(Code::OK);
        self.hears(from, Heard::Code(code));
        if code == Code::OK {
            self.notify(to.task, bits);
        }
    }

    /// What `lender` lends to `borrower`: offset in its pool, and the descriptor.
    pub fn lent(
        &self,
        borrower: usize,
        lender: Named,
        number: usize,
    ) -> Result<(u64, Lease), Code> {
        let task = &self.tasks[lender.task];
        if lender.stale {
            Err(Code::DEAD)
        } else if task.doing != Doing::AwaitingReply(borrower) || number >= task.message.lease_count
        {
            Err(Code::NO_LEASE)
        } else {
            let (at, lease) = task.message.leases[number];
            Ok((at, Lease(lease)))
        }
    }

    /// A fault.
    pub fn die(&mut self, task: usize) {
        self.end(task);
        if self.devices.holds_of(task) == 0 {
            self.notify(SUPERVISOR, notification::FAULT);
        }
    }
    fn end(&mut self, task: usize) {
        let dead = &mut self.tasks[task];
        dead.generation += 1;
        (dead.mask, dead.buffer) = (0, Place::default());
        (dead.doing, dead.bits, dead.armed) = (Doing::Down, 0, 0);
        self.devices.end(task);
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
        if self.devices.holds_of(task) != 0 {
            self.notify(AUTHORITY, notification::HELD_DEATH);
        }
    }

    /// By the supervisor, which hears nothing of it.
    pub fn stop(&mut self, task: usize, for_good: bool) {
        if task == SUPERVISOR {
            return self.hears(SUPERVISOR, Heard::Code(Code::REFUSED));
        }
        self.hears(SUPERVISOR, Heard::Code(Code::OK));
        if for_good && !self.tasks[task].retired {
            self.tasks[task].retired = true;
            if task == SERVER {
                self.notify(DRIVER, notification::PEER);
            }
        }
        if self.is_up(task) {
            self.end(task);
        }
    }
    /// By the supervisor.
    pub fn restart(&mut self, task: usize) {
        let held = self.devices.holds_of(task) != 0;
        if self.is_up(task) || self.tasks[task].retired || held {
            return self.hears(SUPERVISOR, Heard::Code(Code::REFUSED));
        }
        self.hears(SUPERVISOR, Heard::Code(Code::OK));
        self.tasks[task].since = self.now();
        self.tasks[task].doing = Doing::Ready;
        self.works_for[task] = task;
        if task == SERVER {
            self.notify(DRIVER, notification::PEER);
        }
    }
    /// By the supervisor.
    pub fn arm(&mut self, task: usize, calls: u64) {
        let code = if self.is_up(task) {
            self.tasks[task].armed = calls;
            Code::OK
        } else {
            Code::REFUSED
        };
        self.hears(SUPERVISOR, Heard::Code(code));
    }
}
