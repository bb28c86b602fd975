//! Ctrl-C: a run ends in order, so that no emulator and no file is left behind.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Watches for interrupts: from now on one is noted instead of ending the process.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Where no handler can be set, an interrupt ends the process as it always does.
        let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    });
}

/// Whether the user has asked to stop.
pub fn asked() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
