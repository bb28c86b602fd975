//! From a disk in use to one that may lose its power.
//!
//! What the device says of a write is that it has it, maybe in a cache that does not outlive the power. So once the
//! driver was asked to finish it takes no new requests, lets those in flight end, and has the cache written out
//! before it gives the device up.

/// The driver's progress on the way to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ending {
    /// The driver serves as usual.
    #[default]
    No,
    /// Requests of clients are in flight.
    Draining,
    /// The cache is being written out.
    Flushing,
    /// Nothing is left to be done.
    Over,
}

/// The next step on the way to the driver's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing; something will be finished by itself.
    Wait,
    /// Have the device write out its cache.
    Flush,
    /// Give the device up and say that all is done.
    Finish,
}

impl Ending {
    /// The driver was asked to finish. Another time changes nothing.
    pub fn ask(&mut self) {
        if *self == Self::No {
            *self = Self::Draining;
        }
    }

    /// Whether new requests are refused.
    pub fn refuses(self) -> bool {
        self != Self::No
    }

    /// The step that is to be taken now, returned once for each step. `idle`: the device has no request;
    /// `has_cache`: it knows the flush request.
    pub fn next(&mut self, idle: bool, has_cache: bool) -> Step {
        let (next, step) = match self {
            Self::Draining if idle && has_cache => (Self::Flushing, Step::Flush),
            Self::Draining | Self::Flushing if idle => (Self::Over, Step::Finish),
            _ => return Step::Wait,
        };
        *self = next;
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_written_out_after_the_last_request() {
        let mut ending = Ending::default();
        assert_eq!(ending.next(true, true), Step::Wait, "nobody asked");
        assert!(!ending.refuses());
        ending.ask();
        assert!(ending.refuses());
        assert_eq!(ending.next(false, true), Step::Wait);
        assert_eq!(ending.next(true, true), Step::Flush);
        assert_eq!(
            ending.next(false, true),
            Step::Wait,
            "the flush is in flight"
        );
        ending.ask();
        assert_eq!(ending.next(true, true), Step::Finish);
        ending.ask();
        assert_eq!(ending.next(true, true), Step::Wait, "once");
        assert!(ending.refuses());
    }

    #[test]
    fn without_a_cache_the_last_request_is_enough() {
        let mut ending = Ending::default();
        ending.ask();
        assert_eq!(ending.next(false, false), Step::Wait);
        assert_eq!(ending.next(true, false), Step::Finish);
        assert_eq!(ending.next(true, false), Step::Wait);
    }
}
