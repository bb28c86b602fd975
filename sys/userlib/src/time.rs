//! Time in ticks of the virtual counter, and the task's one timer.

use abi::Syscall;

use crate::stubs;

/// A point on the virtual counter, which starts near 0 at power-on and does not wrap in practice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticks(pub u64);

const NANOSECONDS: u64 = 1_000_000_000;

impl Ticks {
    /// The point `nanoseconds` after this one.
    pub fn after(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(ticks(nanoseconds)))
    }
    /// Nanoseconds since the counter's start.
    pub fn nanoseconds(self) -> u64 {
        scale(self.0, NANOSECONDS, frequency())
    }
}

/// `value * by / over` without overflow in between, for `by` and `over` below 2^32.
fn scale(value: u64, by: u64, over: u64) -> u64 {
    scale_with(value, by, over, |product| product / over)
}

/// Scales like [`scale`], where `divide` divides by `over` and rounds.
fn scale_with(value: u64, by: u64, over: u64, divide: impl FnOnce(u64) -> u64) -> u64 {
    if over == 0 {
        return value;
    }
    (value / over)
        .saturating_mul(by)
        .saturating_add(divide(value % over * by))
}

/// Now.
pub fn now() -> Ticks {
    Ticks(stubs::counter())
}

/// Ticks a second.
pub fn frequency() -> u64 {
    stubs::frequency()
}

/// Nanoseconds as ticks.
pub fn ticks(nanoseconds: u64) -> u64 {
    scale(nanoseconds, frequency(), NANOSECONDS)
}

/// The fewest ticks of a counter of so many a second that are not shorter.
pub(crate) fn ticks_at_least(nanoseconds: u64, frequency: u64) -> u64 {
    scale_with(nanoseconds, frequency, NANOSECONDS, |product| {
        product.div_ceil(NANOSECONDS)
    })
}

/// Sets the task's timer, or stops it. At the deadline `abi::notification::TIMER` is set once.
pub fn set_timer(deadline: Option<Ticks>) {
    let ticks = deadline.map_or(u64::MAX, |deadline| deadline.0);
    stubs::plain::<{ Syscall::Timer as u16 }>([ticks, 0, 0, 0, 0, 0]);
}

/// Looks until there is something or the time is over, and then once more: a task that was not run between a look
/// and the clock has not waited for the device meanwhile. Both may change `context`; `expired` may sleep.
pub fn look_until<C, T>(
    context: &mut C,
    mut expired: impl FnMut(&mut C) -> bool,
    mut look: impl FnMut(&mut C) -> Option<T>,
) -> Option<T> {
    loop {
        if let Some(found) = look(context) {
            return Some(found);
        }
        if expired(context) {
            return look(context);
        }
    }
}

/// Instructions retired at EL0 and EL1 since boot, modulo 2^32; only in an image with `user-counters`
/// (elsewhere reading it faults), and counted by QEMU only under `-icount`.
#[inline(always)]
pub fn instructions() -> u32 {
    stubs::instructions()
}
