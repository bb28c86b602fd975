//! Random histories of system calls by all tasks, of interrupts and of time, each step compared with a model.

mod budgets;
mod calls;
mod devices;
mod memory;
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::println;

use abi::{Code, Syscall, TaskId, notification};

use plan::kernel::AccountEntry;

use self::budgets::Budget;
use self::devices::INTERRUPTS;
use self::memory::{Place, Pools, WINDOWS};
use self::model::{Doing, Heard, Model, Named};
use super::lives::{self, Combination};
use super::world::*;
use crate::State;

/// Histories of a test, and their length; the interpreter of Miri is some thousand times slower.
const HISTORIES: u64 = if cfg!(miri) { 2 } else { 50 };
const STEPS: usize = if cfg!(miri) { 120 } else { 1000 };

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
    /// A place for at most `most` bytes in the first window.
    fn place(&mut self, most: u64) -> Place {
        let len = self.roll(most + 1);
        Place {
            at: self.roll(WINDOWS[0].len - len + 1),
            len,
        }
    }
}

/// What was done, by which task, and with what.
type Step = (&'static str, usize, [u64; 4]);

/// How often what happened.
type Seen = BTreeMap<&'static str, u64>;

/// What every batch of histories has to come across.
const WORTH_SEEING: [&str; 22] = [
    "received again",
    "message at once",
    "message queued",
    "long message",
    "reply",
    "long reply",
    "reply too long",
    "bits",
    "closed receive of the dead",
    "bytes read from a lease",
    "bytes written to a lease",
    "timer due",
    "interrupt",
    "masked interrupt",
    "pin",
    "unpin",
    "held death",
    "restart",
    "injected fault",
    "a task changes sides",
    "a spent task runs",
    "a server finishes on its own budget",
];

/// Kernel and model, and what happened.
struct History {
    world: World,
    model: Model,
    dice: Dice,
    words: u64,
    last: Step,
    /// Tasks may be stopped for good.
    mortal: bool,
    seen: Seen,
    /// What the tasks were in between two steps.
    combinations: BTreeSet<Combination>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut tables = Tables::new();
        // Time passes as the dice fall, not as tasks run.
        tables.tasks[LOW].max_run = 0;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut budgets = [None; COUNT];
        // One history in four has no budgets. The supervisor's time is never limited.
        for task in (1..COUNT).filter(|_| !seed.is_multiple_of(4)) {
            if dice.one_in(3) {
                continue;
            }
            let period = 200 + dice.roll(2000);
            let most = if dice.one_in(4) {
                period
            } else {
                300.min(period)
            };
            let budget = 1 + dice.roll(most);
            tables.tasks[task].account = tables.accounts.len() as u32;
            tables.accounts.push(AccountEntry { budget, period });
            budgets[task] = Some((budget, period));
        }
        let mut world = tables.boot().unwrap();
        let now = world.kernel.arch().now;
        let generations = core::array::from_fn(|task| world.id(task).generation());
        let pools = Pools::of(&mut world);
        let mut model = Model::new(generations, pools);
        model.budgets =
            budgets.map(|budget| budget.map(|(budget, period)| Budget::new(budget, period, now)));
        model.paid_until = now;
        Self {
            world,
            model,
            dice,
            words: 0,
            last: Step::default(),
            mortal: seed.is_multiple_of(8),
            seen: Seen::new(),
            combinations: BTreeSet::new(),
        }
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// A word that no message had before.
    fn word(&mut self) -> u64 {
        self.words += 1;
        self.words
    }

    /// A task to be named, mostly by its current life.
    fn named(&mut self) -> (Named, TaskId) {
        let task = self.dice.task();
        self.by_name(task)
    }

    fn by_name(&mut self, task: usize) -> (Named, TaskId) {
        let stale = self.dice.one_in(8);
        let id = self.model.id(task);
        let generation = match (stale, self.dice.one_in(2)) {
            (false, _) => id.generation(),
            (true, true) => id.generation() + 1,
            (true, false) => id.generation().wrapping_sub(1),
        };
        (Named { task, stale }, TaskId::new(task as u8, generation))
    }

    /// A task that waits for `server`, so that replies and borrows often find somebody.
    fn client(&mut self, server: usize) -> (Named, TaskId) {
        let waits = Doing::AwaitingReply(server);
        let first = self.dice.task();
        let client = (0..COUNT)
            .map(|offset| (first + offset) % COUNT)
            .find(|task| self.model.tasks[*task].doing == waits);
        match client.filter(|_| !self.dice.one_in(4)) {
            Some(task) => (Named { task, stale: false }, self.model.id(task)),
            None => self.named(),
        }
    }

    /// One call, interrupt or tick.
    fn step(&mut self) {
        let outside = self.model.running.is_none() || self.dice.one_in(12);
        let Some(task) = self.model.running.filter(|_| !outside) else {
            return self.outside();
        };
        self.call(task);
    }

    fn outside(&mut self) {
        match self.dice.roll(7) {
            0 => self.interrupt(),
            1 | 2 => self.time(),
            _ => self.wake(),
        }
    }

    /// What keeps a history from ending when all tasks wait.
    fn wake(&mut self) {
        let first = self.dice.task();
        let waits = |task: &usize| matches!(self.model.tasks[*task].doing, Doing::Receiving { .. });
        let tasks = (0..COUNT).map(|offset| (first + offset) % COUNT);
        let to = tasks.clone().find(waits).unwrap_or(first);
        self.did("gets a bit", to, [0; 4]);
        self.model.notify(to, WAKE);
        self.world.kernel.notify(index(to), u64::from(WAKE));
        self.world.resume();
    }

    fn interrupt(&mut self) {
        let number = self.dice.roll(2) as usize;
        let intid = [DRIVER_INTID, SERVER_INTID][number];
        self.did("interrupt", INTERRUPTS[number].0, [intid.into(), 0, 0, 0]);
        let through = self.model.interrupt(number);
        self.saw(if through {
            "interrupt"
        } else {
            "masked interrupt"
        });
        self.world.interrupt(intid);
    }

    fn time(&mut self) {
        let now = self.world.kernel.arch().now + self.dice.roll(400);
        self.did("time passes", 0, [now, 0, 0, 0]);
        if self.model.pay(now) {
            self.saw("a task changes sides");
        }
        if self.model.time(now) > 0 {
            self.saw("timer due");
        }
        self.world.kernel.arch_mut().now = now;
        // The interrupt comes again as long as the timer is set to what has passed.
        while self.world.kernel.arch().timer <= now {
            let running = self.world.running;
            self.world.running = self.world.kernel.timer_interrupt(running);
        }
    }

    /// The kernel is where the model is, and said the same.
    fn compare(&mut self) {
        self.combinations.extend(lives::check(&self.world));
        self.model.choose();
        let running = self.world.running.map(|task| task.number());
        assert_eq!(running, self.model.running);
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
            let kept = self.world.kernel.task(index(task));
            assert_eq!(kept.pending(), u64::from(expected.bits), "bits of {task}");
            let holds = self.model.devices.holds_of(task) as u64;
            assert_eq!(u64::from(kept.holds()), holds, "holds of {task}");
            let is_spent = self.world.kernel.is_spent(index(task));
            if expected.doing != Doing::Down {
                assert_eq!(is_spent, self.model.is_spent(task), "{task} is spent");
            }
            if let Some(heard) = heard.filter(|_| expected.doing != Doing::Down) {
                assert_eq!(self.heard(task, heard), heard, "heard by {task}");
                self.note(heard);
            }
        }
        self.note_budgets();
        self.compare_outside();
    }

    /// What happens to budgets has to happen often.
    fn note_budgets(&mut self) {
        let Some(running) = self.model.running else {
            return;
        };
        if self.model.is_spent(running) {
            self.saw("a spent task runs");
        } else if self.model.is_exhausted(self.model.works_for[running]) {
            self.saw("a server finishes on its own budget");
        }
    }

    /// Memory and interrupts.
    fn compare_outside(&mut self) {
        for task in 0..COUNT {
            for window in WINDOWS {
                let expected = self.model.pools.window(task, window);
                let found = self.world.memory(task, POOL + window.at, window.len);
                assert_eq!(found, expected, "pool of {task} from {:#x}", window.at);
            }
        }
        for (number, intid) in [DRIVER_INTID, SERVER_INTID].into_iter().enumerate() {
            let unmasked = self.world.kernel.arch().unmasked.get(&intid);
            let expected = self.model.devices.unmasked[number];
            assert_eq!(
                unmasked.is_some_and(|unmasked| *unmasked),
                expected,
                "{intid}"
            );
        }
    }

    /// What the registers of a task say, in the form of `like`.
    fn heard(&self, task: usize, like: Heard) -> Heard {
        let x = |register| self.world.x(task, register);
        let message = || Heard::Message(TaskId(x(8)), x(0), x(9), [x(12), x(13)]);
        match like {
            Heard::Reply(_, reply) => Heard::Reply(Code(x(8) as u32), reply.map(|_| (x(0), x(9)))),
            Heard::Bits(_) if x(8) == TaskId::KERNEL.0 => Heard::Bits(x(9) as u32),
            Heard::Dead if [x(8), x(9), x(10)] == [TaskId::KERNEL.0, 0, Code::DEAD.0.into()] => {
                Heard::Dead
            }
            Heard::Message(..) | Heard::Bits(_) | Heard::Dead => message(),
            Heard::Code(_) => Heard::Code(Code(x(0) as u32)),
            Heard::Unmasked(_) => Heard::Unmasked(x(0) as u32),
            Heard::Pinned(..) if x(0) == 0 => Heard::Pinned(x(1), x(2), x(3)),
            Heard::Pinned(..) => Heard::Code(Code(x(0) as u32)),
        }
    }

    fn note(&mut self, heard: Heard) {
        match heard {
            Heard::Bits(bits) => {
                self.saw("bits");
                if bits & notification::HELD_DEATH != 0 {
                    self.saw("held death");
                }
            }
            Heard::Dead => self.saw("closed receive of the dead"),
            Heard::Reply(_, Some((_, len))) => {
                self.saw(if len > 64 { "long reply" } else { "reply" });
            }
            Heard::Message(_, _, descriptor, _) if abi::SendDescriptor(descriptor).len() > 64 => {
                self.saw("long message");
            }
            _ => {}
        }
    }
}

/// Says where a history went wrong.
struct At(u64, usize, Step);

impl Drop for At {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}, step {}: {:x?}", self.0, self.1, self.2);
        }
    }
}

/// Plays a batch of seeds.
fn play(batch: u64) {
    let mut seen = Seen::new();
    let mut combinations = BTreeSet::new();
    for seed in batch * HISTORIES + 1..=(batch + 1) * HISTORIES {
        let mut history = History::new(seed);
        let mut at = At(seed, 0, Step::default());
        for step in 0..STEPS {
            history.step();
            (at.1, at.2) = (step, history.last);
            history.compare();
        }
        for (what, times) in history.seen {
            *seen.entry(what).or_default() += times;
        }
        combinations.extend(history.combinations);
    }
    println!("{seen:?}");
    for what in WORTH_SEEING {
        assert!(cfg!(miri) || seen.contains_key(what), "never: {what}");
    }
    for combination in lives::table() {
        let reached = cfg!(miri) || combinations.contains(combination);
        assert!(reached, "no task was ever in {combination:?}");
    }
}

/// Batches are tests of their own, so that they run beside each other.
macro_rules! batches {
    ($($name:ident $number:literal,)*) => {
        $(
            #[test]
            fn $name() {
                play($number);
            }
        )*
    };
}

batches! {
    histories_agree_with_the_model_1 0,
    histories_agree_with_the_model_2 1,
    histories_agree_with_the_model_3 2,
    histories_agree_with_the_model_4 3,
}
