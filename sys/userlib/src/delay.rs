//! Waiting for so long and no shorter, as `embedded-hal` has it.
//!
//! The core of a driver takes an `impl DelayNs` and is tested on the host with one that only counts. On the target that
//! is [`Delay`], which sleeps by the task's timer, so that others run meanwhile.

use core::hint;

pub use embedded_hal::delay::DelayNs;

use crate::ipc;
use crate::time::{self, Ticks};

/// Longest wait that is spun through, nanoseconds: setting the timer and being switched away and back takes about as
/// long, and a sleep could not end in time.
const SPIN_MAX: u64 = 5_000;

/// Clock and timer that a [`Delay`] is made of.
pub trait Timer {
    /// Ticks a second.
    fn frequency(&self) -> u64;
    /// Now.
    fn now(&mut self) -> Ticks;
    /// Sets the timer.
    fn set(&mut self, deadline: Ticks);
    /// Sleeps until the timer has told. It may tell too early: of a deadline set before this one.
    fn sleep(&mut self);
}

/// The task's own clock and timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TaskTimer;

impl Timer for TaskTimer {
    fn frequency(&self) -> u64 {
        time::frequency()
    }
    fn now(&mut self) -> Ticks {
        time::now()
    }
    fn set(&mut self, deadline: Ticks) {
        time::set_timer(Some(deadline));
    }
    fn sleep(&mut self) {
        // Nobody sends to itself, and no other bit is asked for: messages and notifications stay where they are.
        let _ = ipc::receive_from(ipc::who_am_i(), abi::notification::TIMER);
    }
}

/// Waits by the task's timer: a deadline that the task had set for something else is lost by that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delay<T = TaskTimer> {
    timer: T,
}

impl Delay {
    /// A delay by the calling task's own timer.
    pub const fn new() -> Self {
        Self { timer: TaskTimer }
    }
}

impl<T: Timer> Delay<T> {
    /// A delay by this timer.
    pub const fn with(timer: T) -> Self {
        Self { timer }
    }

    fn wait(&mut self, nanoseconds: u64) {
        let ticks = time::ticks_at_least(nanoseconds, self.timer.frequency());
        // The tick that is under way has begun before now and does not count.
        let ticks = ticks.saturating_add(1);
        let deadline = Ticks(self.timer.now().0.saturating_add(ticks));
        if nanoseconds > SPIN_MAX {
            self.timer.set(deadline);
            while self.timer.now() < deadline {
                self.timer.sleep();
            }
        } else {
            while self.timer.now() < deadline {
                hint::spin_loop();
            }
        }
    }
}

impl<T: Timer> DelayNs for Delay<T> {
    fn delay_ns(&mut self, ns: u32) {
        self.wait(u64::from(ns));
    }
    fn delay_us(&mut self, us: u32) {
        self.wait(u64::from(us) * 1_000);
    }
    fn delay_ms(&mut self, ms: u32) {
        self.wait(u64::from(ms) * 1_000_000);
    }
}

/// How often a program looks at something that changes by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Polling {
    /// Microseconds between two looks.
    pub interval_us: u32,
    /// Waits after which the look that follows is the last.
    pub waits: u32,
}

impl Polling {
    /// Looks until there is something, at last after all waits. Only what was waited counts: time in which the task was
    /// not run is nobody's fault that it looks at.
    pub fn until<T>(
        self,
        delay: &mut impl DelayNs,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        for _ in 0..self.waits {
            let found = look();
            if found.is_some() {
                return found;
            }
            delay.delay_us(self.interval_us);
        }
        look()
    }
}

/// How often a client tries to reach a server that is down: in all as long as the supervisor may leave one down.
pub const PATIENCE: Polling = Polling {
    interval_us: 1000,
    waits: 10_000,
};

/// A client's waits for a server that is down, since its last answer.
#[derive(Debug)]
pub struct Patience<D> {
    delay: D,
    left: u32,
}

impl<D: DelayNs> Patience<D> {
    /// A patience of which nothing was used yet.
    pub const fn new(delay: D) -> Self {
        Self {
            delay,
            left: PATIENCE.waits,
        }
    }

    /// Lets the server come up; false, without waiting, if it has had its time.
    pub fn wait(&mut self) -> bool {
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        self.delay.delay_us(PATIENCE.interval_us);
        true
    }
}
