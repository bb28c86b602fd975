//! Pauses of a driver whose timer has something else to tell.

use core::sync::atomic::{AtomicBool, Ordering};

use userlib::delay::{Delay, DelayNs};

/// Whether a pause was made since that was last forgotten. A task has one timer.
static MADE: AtomicBool = AtomicBool::new(false);

/// A [`Delay`], of which it is known afterwards that the deadline which the timer had is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pause(Delay);

impl Pause {
    /// A pause by the task's own timer.
    pub const fn new() -> Self {
        Self(Delay::new())
    }
    /// Whether one was made.
    #[inline(always)]
    pub fn was_made() -> bool {
        MADE.load(Ordering::Relaxed)
    }
    /// The timer is set anew.
    pub fn forget() {
        MADE.store(false, Ordering::Relaxed);
    }
}

impl DelayNs for Pause {
    fn delay_ns(&mut self, ns: u32) {
        MADE.store(true, Ordering::Relaxed);
        self.0.delay_ns(ns);
    }
    fn delay_us(&mut self, us: u32) {
        MADE.store(true, Ordering::Relaxed);
        self.0.delay_us(us);
    }
    fn delay_ms(&mut self, ms: u32) {
        MADE.store(true, Ordering::Relaxed);
        self.0.delay_ms(ms);
    }
}
