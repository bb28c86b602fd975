//! When everything that was logged before a request is on the console.
//!
//! The log task answers a request with a bit, and a bit does not tell which request it answers: whoever else may
//! post one makes the log task answer as well. Of the answers that arrive after a request the first may have been
//! waiting here, and the second may be of copying that had ended before the request. The third cannot: its
//! copying began after the second was posted.

/// Answers after which the log has drained.
const ANSWERS: u32 = 3;

/// The next step after an answer of the log task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Ask the log task once more.
    Ask,
    /// All is on the console.
    Drained,
}

/// A wait for the log, from the first request on.
#[derive(Debug, Default)]
pub struct Drain {
    answers: u32,
}

impl Drain {
    /// The request was posted; no answer has arrived.
    pub const fn new() -> Self {
        Self { answers: 0 }
    }

    /// An answer arrived.
    pub fn answered(&mut self) -> Step {
        self.answers += 1;
        if self.answers < ANSWERS {
            Step::Ask
        } else {
            Step::Drained
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the log task is.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum At {
        Receive,
        Copy,
        Post,
    }

    /// The log task, the bits, and what is true of the verdict's record.
    #[derive(Clone, Copy)]
    struct World {
        log: At,
        asked: bool,
        answered: bool,
        written: bool,
        printed: bool,
    }

    impl World {
        /// One step of the log task; nothing if it waits.
        fn step(&mut self) {
            match self.log {
                At::Receive if self.asked => (self.asked, self.log) = (false, At::Copy),
                At::Receive => {}
                At::Copy => (self.printed, self.log) = (self.printed || self.written, At::Post),
                At::Post => (self.answered, self.log) = (true, At::Receive),
            }
        }

        /// The supervisor, which preempts everybody, takes an answer that waits; true if it is content.
        fn supervise(&mut self, drain: &mut Drain) -> bool {
            if !std::mem::take(&mut self.answered) {
                return false;
            }
            match drain.answered() {
                Step::Ask => {
                    self.asked = true;
                    false
                }
                Step::Drained => true,
            }
        }
    }

    /// In every state that the log task may be in when the record is written, and with a stranger who asks, or does
    /// not, before every step of the log task: content means printed, and comes in time.
    #[test]
    fn whoever_else_asks_the_record_is_printed_first() {
        const STEPS: usize = 12;
        for log in [At::Receive, At::Copy, At::Post] {
            for bits in 0..4u32 {
                for stranger in 0..1u32 << STEPS {
                    let mut world = World {
                        log,
                        asked: bits & 1 != 0,
                        answered: bits & 2 != 0,
                        written: true,
                        printed: false,
                    };
                    let mut drain = Drain::new();
                    world.asked = true;
                    let content = (0..STEPS).any(|step| {
                        if world.supervise(&mut drain) {
                            assert!(world.printed, "{log:?} {bits} {stranger:#x}");
                            return true;
                        }
                        world.asked |= stranger >> step & 1 != 0;
                        world.step();
                        false
                    });
                    assert!(content, "{log:?} {bits} {stranger:#x}");
                }
            }
        }
    }
}
