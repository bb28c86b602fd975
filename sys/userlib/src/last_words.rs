//! How a task ends its life by itself.

use core::fmt::{Arguments, Write};

/// Most bytes of the words that are kept.
const LAST_WORDS: usize = 256;

struct Words {
    text: [u8; LAST_WORDS],
    len: usize,
}

impl Write for Words {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        for (to, from) in self.text.iter_mut().skip(self.len).zip(s.as_bytes()) {
            *to = *from;
            self.len += 1;
        }
        Ok(())
    }
}

/// Ends the task's life, as [`give_up!`](crate::give_up) does; words beyond 256 bytes are cut off.
pub fn give_up(why: Arguments<'_>) -> ! {
    let mut words = Words {
        text: [0; LAST_WORDS],
        len: 0,
    };
    let _ = words.write_fmt(why);
    crate::stubs::panic(words.text.get(..words.len).unwrap_or(&[]))
}

/// Ends the task's life with words for the log, formatted as by `format!`. The kernel and the supervisor treat it as any death: what the task
/// held is taken away, and it is started again by policy.
///
/// A server or driver that cannot go on says so with this and never with `panic!`: the build's check that it
/// contains no panic then finds those that nobody meant.
#[macro_export]
macro_rules! give_up {
    ($($words:tt)*) => {
        $crate::last_words::give_up(::core::format_args!($($words)*))
    };
}
