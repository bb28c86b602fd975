//! The parts that all protocols of servers have in common: messages as payload words, one way to call, one kind of
//! failure.
//!
//! A protocol's crate says how its messages travel ([`Wire`]) and what its server refuses with ([`Refusal`]); its
//! client is a struct over a [`Caller`], whose methods return `Result<_, Failure<Error>>`.

use abi::Code;

use crate::ipc::{Answer, LeaseBuffer, Payload};

/// Why a call to a server brought no result. `E` is what the server's protocol refuses with; it is the bare code
/// where no protocol is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure<E = Code> {
    /// The server refused.
    Refused(E),
    /// The server died before it replied. It may or may not have done what it was asked to do.
    Dead,
    /// The server is down and will be started again. It has not seen the request.
    Down,
    /// The server is down and will not come back.
    Retired,
    /// The server's reply is not of its protocol.
    Nonsense,
}

/// The errors with which a server refuses requests: each has a code and a name.
pub trait Refusal: Copy {
    /// The error of a reply's code; none for codes that the protocol does not define.
    fn from_code(code: u32) -> Option<Self>;
    /// The error's name, for a log.
    fn name(self) -> &'static str;
}

impl<E: Copy> Failure<E> {
    /// Whether the server died or is down but will be started again, so that its next life can be asked.
    pub const fn is_outage(self) -> bool {
        matches!(self, Self::Dead | Self::Down)
    }
    /// Whether the server said nothing, so that nobody knows what it did.
    pub const fn is_silence(self) -> bool {
        matches!(self, Self::Dead | Self::Down | Self::Retired)
    }
}

impl<E: Refusal> Failure<E> {
    /// The failure's name, for a log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused(error) => error.name(),
            Self::Dead => "the server died",
            Self::Down => "the server is down",
            Self::Retired => "the server will not come back",
            Self::Nonsense => "the server's reply is not of its protocol",
        }
    }
}

impl Failure {
    /// The failure that a code other than [`Code::OK`] stands for.
    pub const fn from_code(code: Code) -> Self {
        match code {
            Code::DEAD => Self::Dead,
            Code::DOWN => Self::Down,
            Code::RETIRED => Self::Retired,
            code => Self::Refused(code),
        }
    }

    /// Translates the failure into the terms of a protocol; a code that the protocol does not define is
    /// nonsense.
    #[cold]
    pub fn of_protocol<E: Refusal>(self) -> Failure<E> {
        match self {
            Self::Refused(code) => E::from_code(code.0).map_or(Failure::Nonsense, Failure::Refused),
            Self::Dead => Failure::Dead,
            Self::Down => Failure::Down,
            Self::Retired => Failure::Retired,
            Self::Nonsense => Failure::Nonsense,
        }
    }
}

/// A message or reply of a fixed length that travels in payload words.
pub trait Wire: Sized {
    /// Bytes on the wire, at most 64.
    const LEN: usize;
    /// The words; those beyond [`Self::LEN`] are 0.
    fn to_words(&self) -> Payload;
    /// Reads the words back; none if a field is out of range or a reserved bit is set.
    fn from_words(words: &Payload) -> Option<Self>;
    /// Reads a message of `len` bytes; none if it is longer or shorter than such a message is.
    #[inline(always)]
    fn from_message(words: &Payload, len: usize) -> Option<Self> {
        if len == Self::LEN {
            Self::from_words(words)
        } else {
            None
        }
    }
}

/// The message or reply without content.
impl Wire for () {
    const LEN: usize = 0;
    fn to_words(&self) -> Payload {
        [0; 8]
    }
    fn from_words(_: &Payload) -> Option<Self> {
        Some(())
    }
}

/// Somebody who can be called: a [`Server`](crate::server::Server), or what stands for one in a test.
pub trait Caller {
    /// Calls with the first `len` bytes of `payload`; the reply has up to `reply_capacity` bytes, 64 at most. Whatever
    /// the code of the answer is, it is an answer.
    fn call_once(
        &self,
        operation: u16,
        payload: &Payload,
        len: usize,
        reply_capacity: usize,
        leases: &[LeaseBuffer<'_>],
    ) -> Answer;

    /// Hears that the one called died: its next life has another id.
    fn died(&self) {}

    /// The failure that a code other than [`Code::OK`] stands for.
    #[cold]
    fn failed(&self, code: Code) -> Failure {
        if code == Code::DEAD {
            self.died();
        }
        Failure::from_code(code)
    }

    /// Sends a request and reads its reply, which has just the length that the protocol gives it.
    #[inline(always)]
    fn exchange<Q: Wire, R: Wire, E: Refusal>(
        &self,
        operation: u16,
        request: &Q,
        leases: &[LeaseBuffer<'_>],
    ) -> Result<R, Failure<E>> {
        let answer = self.call_once(operation, &request.to_words(), Q::LEN, R::LEN, leases);
        if answer.code == Code::OK {
            R::from_message(&answer.payload, answer.len).ok_or(Failure::Nonsense)
        } else {
            Err(self.failed(answer.code).of_protocol())
        }
    }
}

impl<C: Caller> Caller for &C {
    #[inline(always)]
    fn call_once(
        &self,
        operation: u16,
        payload: &Payload,
        len: usize,
        reply_capacity: usize,
        leases: &[LeaseBuffer<'_>],
    ) -> Answer {
        C::call_once(self, operation, payload, len, reply_capacity, leases)
    }
    fn died(&self) {
        C::died(self);
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Full;

    impl Refusal for Full {
        fn from_code(code: u32) -> Option<Self> {
            (code == 7).then_some(Self)
        }
        fn name(self) -> &'static str {
            "full"
        }
    }

    /// A reply of eight bytes, below 100.
    #[derive(PartialEq, Eq, Debug)]
    struct Small(u64);

    impl Wire for Small {
        const LEN: usize = 8;
        fn to_words(&self) -> Payload {
            [self.0, 0, 0, 0, 0, 0, 0, 0]
        }
        fn from_words(words: &Payload) -> Option<Self> {
            (words[0] < 100).then_some(Self(words[0]))
        }
    }

    /// Answers each call with this, and keeps what it was asked.
    struct Fake(Answer, Cell<(u16, u64, usize, usize)>);

    impl Caller for Fake {
        fn call_once(
            &self,
            operation: u16,
            payload: &Payload,
            len: usize,
            reply_capacity: usize,
            _: &[LeaseBuffer<'_>],
        ) -> Answer {
            self.1.set((operation, payload[0], len, reply_capacity));
            self.0
        }
    }

    fn asked(code: Code, word: u64, len: usize) -> Result<Small, Failure<Full>> {
        let payload = [word, 0, 0, 0, 0, 0, 0, 0];
        let fake = Fake(Answer { code, payload, len }, Cell::default());
        let result = fake.exchange(3, &Small(5), &[]);
        assert_eq!(fake.1.get(), (3, 5, 8, 8));
        result
    }

    #[test]
    fn a_reply_is_of_the_protocol_or_nonsense() {
        assert_eq!(asked(Code::OK, 99, 8), Ok(Small(99)));
        for (word, len) in [(100, 8), (99, 0), (99, 16)] {
            assert_eq!(asked(Code::OK, word, len), Err(Failure::Nonsense));
        }
    }

    #[test]
    fn every_code_is_one_failure() {
        for (code, failure, outage, silence) in [
            (Code(7), Failure::Refused(Full), false, false),
            (Code(8), Failure::Nonsense, false, false),
            (Code::DEAD, Failure::Dead, true, true),
            (Code::DOWN, Failure::Down, true, true),
            (Code::RETIRED, Failure::Retired, false, true),
            // The kernel gives it to those who borrow, never to those who call.
            (Code::NO_LEASE, Failure::Nonsense, false, false),
        ] {
            assert_eq!(asked(code, 0, 0), Err(failure), "{code:?}");
            assert_eq!(
                (failure.is_outage(), failure.is_silence()),
                (outage, silence)
            );
        }
    }
}
