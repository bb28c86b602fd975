//! Playing a round: all actors start anew, get their scripts, and run until all of them wait.

use abi::privileged::TaskState;
use abi::{Code, TaskId};
use fast_path_calls::compare::{Ended, Played, Way};
use fast_path_calls::draw::{Round, script};
use fast_path_calls::path::has_devices;
use fast_path_calls::wire::{HELLO, Outcome, REPORT};
use fast_path_calls::{ACTORS, BYSTANDER, COUNT, POOL_LEN};
use userlib::ipc::{self, Message, Received};
use userlib::{config, privileged};
use zerocopy::IntoBytes;

use crate::fail;

/// So many calls away that no round reaches it: the fault only keeps the actor off the fast path.
const FAR: u64 = 1 << 40;
/// Bytes that the supervisor reads of another task at once.
const PART: usize = 4096;
/// Where the build puts a task's first pool.
const POOL: u64 = abi::layout::TASK_MAPPINGS;

/// Number of the first word behind the registers of a task, its account's, which another follows.
const TICKS_LEFT: u64 = 34;

/// What is left in each actor's account, and up to when all time was taken from one of them: the judge, and an actor that is
/// trusted with time like it, have the one that has no limit.
#[derive(Default)]
struct Charges {
    left: [u64; COUNT],
    until: u64,
}

impl Charges {
    /// What each has paid since then. `None` if one had nothing left, when a client's account owes what its server's pays, or
    /// began its next period meanwhile and has got something.
    fn since(&self, before: &Self) -> Option<[u64; COUNT]> {
        let is_used_up = |left: &u64| left.cast_signed() <= 0;
        if self.left.iter().chain(&before.left).any(is_used_up) {
            return None;
        }
        let mut paid = [0; COUNT];
        for ((paid, before), now) in paid.iter_mut().zip(before.left).zip(self.left) {
            *paid = before.checked_sub(now)?;
        }
        let all = paid.iter().sum::<u64>();
        let passed = self.until.wrapping_sub(before.until);
        if all != passed {
            fail(format_args!(
                "{passed} ticks passed, and {all} were paid: {paid:?}"
            ));
        }
        Some(paid)
    }
}

/// The actors' places in the plan.
pub struct Stage {
    indices: [usize; COUNT],
}

impl Stage {
    pub fn new() -> Self {
        let index = |name: &&str| match config::peer(name) {
            Some(peer) => peer.index as usize,
            None => panic!("the plan has no {}", *name),
        };
        Self {
            indices: ACTORS.each_ref().map(index),
        }
    }

    /// Addresses of the actors' pools.
    pub fn pools(&self) -> [u64; COUNT] {
        [POOL; COUNT]
    }

    fn actor(&self, id: TaskId) -> Option<usize> {
        self.indices.iter().position(|index| *index == id.index())
    }

    /// Plays a round once; with a fault armed in each actor, all calls pass the kernel's core.
    pub fn play(&self, round: &Round, armed: bool, played: &mut Played) {
        self.stop_all();
        let before = self.charges();
        self.start_all();
        let outcomes = self.hear_all(played);
        for (actor, index) in self.indices.iter().enumerate() {
            let calls = if armed { FAR } else { 0 };
            if privileged::arm_fault(*index, calls) != Code::OK {
                fail(format_args!("{} cannot be armed", ACTORS[actor]));
            }
            let script = script(&round[actor], &played.ids);
            ipc::reply_long(TaskId(played.ids[actor]), 0, script.as_bytes());
        }
        self.wait_for_all(played);
        // Until it replies it works on the account of whoever reported last; this reply reaches nobody.
        ipc::reply(ipc::who_am_i(), 0, &[0; 8], 0);
        self.look_at_all(played, &outcomes);
        played.paid = self.charges().since(&before);
    }

    /// What is left in the accounts; everybody is down. A timer that was set for an actor's account may end while they are read:
    /// then more was taken from one that was read already, and all are read once more.
    fn charges(&self) -> Charges {
        let mut charges = self.read_charges();
        loop {
            // Nothing was taken while these were read if all was taken up to the same moment before them.
            let until = charges.until;
            charges = self.read_charges();
            if charges.until == until {
                return charges;
            }
        }
    }

    fn read_charges(&self) -> Charges {
        let mut charges = Charges::default();
        for (left, index) in charges.left.iter_mut().zip(self.indices) {
            match privileged::registers(index, TICKS_LEFT) {
                Some([ticks, until, ..]) => (*left, charges.until) = (ticks, until),
                None => fail(format_args!("no account of {index} can be read")),
            }
        }
        charges
    }

    fn stop_all(&self) {
        for index in self.indices {
            privileged::stop(index, false);
        }
    }

    fn start_all(&self) {
        for (actor, index) in self.indices.into_iter().enumerate() {
            if privileged::restart(index) != Code::OK {
                fail(format_args!("{} cannot be started", ACTORS[actor]));
            }
        }
    }

    /// Everybody says hello and waits for the script. Gives where their outcomes are.
    fn hear_all(&self, played: &mut Played) -> [u64; COUNT] {
        let mut outcomes = [0; COUNT];
        for ended in &mut played.actors {
            *ended = Ended::NONE;
            ended.way = Way::Waits;
        }
        for _ in 0..COUNT {
            let Received::Message(message) = ipc::receive(0) else {
                fail(format_args!("no hello"));
            };
            match (self.actor(message.sender), message.operation) {
                (Some(actor), HELLO) => {
                    if message.payload[1] != POOL {
                        fail(format_args!("{} has its pool elsewhere", ACTORS[actor]));
                    }
                    if message.payload[2] != u64::from(has_devices(actor)) {
                        fail(format_args!(
                            "{} has device registers, or has none",
                            ACTORS[actor]
                        ));
                    }
                    outcomes[actor] = message.payload[0];
                    played.ids[actor] = message.sender.0;
                }
                _ => fail(format_args!("no hello but {:#x}", message.operation)),
            }
        }
        outcomes
    }

    /// Takes reports until that of the bystander, which runs when nobody else can.
    fn wait_for_all(&self, played: &mut Played) {
        loop {
            let mut outcome = Outcome::NONE;
            let received = ipc::receive_into(0, outcome.as_mut_bytes());
            let Received::Message(message) = received else {
                fail(format_args!("no report"));
            };
            match self.reporter(&message) {
                Some(actor) => {
                    played.actors[actor].way = Way::Reported;
                    played.actors[actor].outcome = outcome;
                    if actor == BYSTANDER {
                        return;
                    }
                }
                // A word that was drawn named the judge.
                None => ipc::reply(message.sender, 5, &[0; 8], 0),
            }
        }
    }

    fn reporter(&self, message: &Message) -> Option<usize> {
        let is_report = message.operation == REPORT && message.len == size_of::<Outcome>();
        self.actor(message.sender).filter(|_| is_report)
    }

    /// Stops everybody and looks at what is left.
    fn look_at_all(&self, played: &mut Played, outcomes: &[u64; COUNT]) {
        for (actor, index) in self.indices.into_iter().enumerate() {
            let ended = &mut played.actors[actor];
            if ended.way == Way::Reported {
                continue;
            }
            match privileged::status(index) {
                Some(status) if status.state == TaskState::Dead as u64 => {
                    ended.way = Way::Died;
                    ended.fault = status.fault;
                }
                Some(status) if status.state == TaskState::Blocked as u64 => {}
                _ => fail(format_args!("{} runs on", ACTORS[actor])),
            }
        }
        // Those that wait before those that they wait for, whose death would let them go on.
        for index in self.indices.into_iter().rev() {
            privileged::stop(index, false);
        }
        for (actor, index) in self.indices.into_iter().enumerate() {
            let ended = &mut played.actors[actor];
            if ended.way != Way::Reported {
                let outcome = ended.outcome.as_mut_bytes();
                read(actor, index, outcomes[actor], outcome);
                registers(index, &mut ended.registers);
            }
            ended.memory = digest(actor, index);
        }
    }
}

fn read(actor: usize, index: usize, address: u64, to: &mut [u8]) {
    if privileged::read_memory(index, address, to) != Code::OK {
        fail(format_args!("memory of {} cannot be read", ACTORS[actor]));
    }
}

/// Registers of the dead, `sp` and `pc` included.
fn registers(index: usize, to: &mut [u64; 33]) {
    for (chunk, first) in to.chunks_mut(7).zip((0..).step_by(7)) {
        if let Some(found) = privileged::registers(index, first) {
            for (to, from) in chunk.iter_mut().zip(found) {
                *to = from;
            }
        }
    }
}

/// Digest of a dead actor's pool; each word counts by its place.
fn digest(actor: usize, index: usize) -> u64 {
    let mut digest = 0u64;
    let mut part = [0u64; PART / 8];
    for offset in (0..POOL_LEN).step_by(PART) {
        read(actor, index, POOL + offset, part.as_mut_bytes());
        for word in part {
            digest = (digest.rotate_left(7) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    digest
}
