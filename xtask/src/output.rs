//! Standard output. Its reader may be gone (`run | head`) or the disk behind it full: the macros of the
//! standard library panic then, in the middle of a run. Here the loss is remembered, and the tool fails
//! at its end.

use std::fmt::Arguments;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

static LOST: AtomicBool = AtomicBool::new(false);

/// Writes text as it is; [`say`] and [`say_text`] are how to call it.
pub fn write(text: Arguments<'_>) {
    note(std::io::stdout().write_fmt(text).is_ok());
}

/// Whether everything said has arrived.
pub fn complete() -> bool {
    note(std::io::stdout().flush().is_ok());
    !LOST.load(Ordering::Relaxed)
}

fn note(written: bool) {
    if !written {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// A line, as `println!`.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::write(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Text without an end of its own, as `print!`.
macro_rules! say_text {
    ($($text:tt)*) => {
        $crate::output::write(format_args!($($text)*))
    };
}

pub(crate) use {say, say_text};
