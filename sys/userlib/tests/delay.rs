//! Delays on a clock that a test turns.

use std::cell::RefCell;

use userlib::delay::{Delay, DelayNs, PATIENCE, Patience, Polling, Timer};
use userlib::time::Ticks;

/// A counter of so many ticks a second, and what was asked of it.
struct Clock {
    frequency: u64,
    now: u64,
    timer: Option<u64>,
    /// Earlier deadlines whose bits are still set: as many sleeps end at once.
    stale: u32,
    sleeps: u32,
    looks: u32,
}

impl Clock {
    fn new(frequency: u64) -> Self {
        Self {
            frequency,
            now: 1_000_003,
            timer: None,
            stale: 0,
            sleeps: 0,
            looks: 0,
        }
    }

    /// Ticks that a delay took.
    fn taken(&self) -> u64 {
        self.now - 1_000_003
    }
}

impl Timer for &mut Clock {
    fn frequency(&self) -> u64 {
        self.frequency
    }
    fn now(&mut self) -> Ticks {
        self.looks += 1;
        let now = Ticks(self.now);
        self.now += u64::from(self.timer.is_none());
        now
    }
    fn set(&mut self, deadline: Ticks) {
        self.timer = Some(deadline.0);
    }
    fn sleep(&mut self) {
        self.sleeps += 1;
        assert!(self.sleeps < 10, "it does not end");
        match self.stale.checked_sub(1) {
            Some(left) => self.stale = left,
            None => {
                let deadline = self.timer.expect("a timer was set");
                assert!(self.now < deadline, "nothing ends this sleep");
                self.now = deadline;
            }
        }
    }
}

/// Whether so many ticks surely last so long, whenever in a tick the wait began.
fn is_long_enough(ticks: u64, frequency: u64, nanoseconds: u64) -> bool {
    let whole = u128::from(ticks.saturating_sub(1));
    whole * 1_000_000_000 >= u128::from(nanoseconds) * u128::from(frequency)
}

#[test]
fn never_shorter_and_at_most_two_ticks_longer() {
    for frequency in [1_000_000, 24_000_000, 62_500_000, 1_000_000_000] {
        for nanoseconds in [
            0,
            1,
            15,
            16,
            17,
            999,
            5_000,
            5_001,
            16_000,
            999_999,
            u32::MAX,
        ] {
            let mut clock = Clock::new(frequency);
            Delay::with(&mut clock).delay_ns(nanoseconds);
            let (ticks, nanoseconds) = (clock.taken(), u64::from(nanoseconds));
            assert!(
                is_long_enough(ticks, frequency, nanoseconds),
                "{frequency} {nanoseconds}: {ticks}"
            );
            let exact = u128::from(nanoseconds) * u128::from(frequency) / 1_000_000_000;
            // The looks of one who spins take a tick each.
            assert!(u128::from(ticks) <= exact + 3, "{frequency} {nanoseconds}");
        }
    }
}

#[test]
fn microseconds_and_milliseconds_are_one_sleep() {
    for (delay, ticks) in [
        (
            (|delay| delay.delay_us(u32::MAX)) as fn(&mut Delay<&mut Clock>),
            4_294_967_295_000,
        ),
        (|delay| delay.delay_ms(u32::MAX), 4_294_967_295_000_000),
    ] {
        let mut clock = Clock::new(1_000_000_000);
        delay(&mut Delay::with(&mut clock));
        assert_eq!((clock.taken(), clock.sleeps), (ticks + 1, 1));
    }
}

#[test]
fn what_an_earlier_deadline_left_ends_no_delay() {
    let mut clock = Clock::new(1_000_000);
    clock.stale = 3;
    Delay::with(&mut clock).delay_ms(1);
    assert_eq!((clock.taken(), clock.sleeps), (1001, 4));
}

#[test]
fn only_short_delays_spin() {
    let mut clock = Clock::new(62_500_000);
    Delay::with(&mut clock).delay_us(5);
    assert_eq!((clock.sleeps, clock.timer), (0, None));
    let mut clock = Clock::new(62_500_000);
    Delay::with(&mut clock).delay_us(6);
    assert_eq!((clock.sleeps, clock.looks), (1, 3));
}

/// Counts.
#[derive(Default)]
struct Waits(RefCell<Vec<u32>>);

impl DelayNs for &Waits {
    fn delay_ns(&mut self, ns: u32) {
        self.0.borrow_mut().push(ns);
    }
}

#[test]
fn polling_looks_once_more_after_the_last_wait() {
    let polling = Polling {
        interval_us: 7,
        waits: 3,
    };
    for ready in 0..6 {
        let waits = Waits::default();
        let mut looks = 0;
        let found = polling.until(&mut &waits, || {
            looks += 1;
            (looks > ready).then_some(looks)
        });
        let waited = ready.min(3);
        assert_eq!(found, (ready < 4).then_some(ready + 1));
        assert_eq!(*waits.0.borrow(), vec![7000; waited], "{ready}");
    }
}

#[test]
fn patience_has_an_end() {
    let waits = Waits::default();
    let mut patience = Patience::new(&waits);
    let mut times = 0;
    while patience.wait() {
        times += 1;
    }
    assert!(!patience.wait());
    assert_eq!(times, PATIENCE.waits);
    let waited: u64 = waits.0.borrow().iter().map(|&ns| u64::from(ns)).sum();
    assert_eq!(waited, 10_000_000_000);
}
