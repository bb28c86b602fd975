//! How an interrupt is signalled, and every state that a message can be in.

use plan::kernel::InterruptClass;

/// How an interrupt is signalled, and what became of a message. The machine's fast path lets through what is exactly
/// [`Signal::MESSAGE`], and leaves every other message to the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Signal(u8);

impl Signal {
    pub const LEVEL: Self = Self(0);
    pub const EDGE: Self = Self(1);
    /// A message that arrives, and of which none is remembered.
    pub const MESSAGE: Self = Self(2);
    /// One has arrived of which its task is to be told when it lets the interrupt through.
    const REMEMBERED: u8 = 4;
    /// It is to be cut off.
    const CUTTING: u8 = 8;
    /// It is cut off.
    const CUT: u8 = 16;
    /// It is cut off, and to arrive again.
    const MENDING: u8 = 32;
    /// The life of its task during which it was cut off is over.
    const OVER: u8 = 64;

    pub const fn of(class: InterruptClass) -> Self {
        match class {
            InterruptClass::Level => Self::LEVEL,
            InterruptClass::Edge => Self::EDGE,
            InterruptClass::Message => Self::MESSAGE,
        }
    }

    pub const fn number(self) -> u8 {
        self.0
    }

    pub const fn is_message(self) -> bool {
        self.0 & Self::MESSAGE.0 != 0
    }

    const fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    /// Its task is to be told of one that has arrived.
    pub fn remember(&mut self) {
        self.0 |= Self::REMEMBERED;
    }

    /// Whether one was remembered, which it is no longer.
    pub fn recall(&mut self) -> bool {
        let remembered = self.has(Self::REMEMBERED);
        self.0 &= !Self::REMEMBERED;
        remembered
    }

    /// It arrives too often; `is_over` if its task is down, so that the next life has nothing to do with it.
    pub fn cut(&mut self, is_over: bool) {
        self.0 |= Self::CUTTING | if is_over { Self::OVER } else { 0 };
    }

    /// Its task's life is over: nothing that arrived is for the next one, which may have it again.
    pub fn end_life(&mut self) {
        self.recall();
        if self.has(Self::CUTTING | Self::CUT) {
            self.0 |= Self::OVER;
        }
    }

    /// Whether the task that has it now may let it through; one that was cut off in an earlier life arrives again,
    /// soon.
    pub fn open(&mut self) -> Opening {
        if !self.has(Self::CUTTING | Self::CUT) {
            Opening::Open
        } else if self.has(Self::OVER) {
            self.0 |= Self::MENDING;
            Opening::Mending
        } else {
            Opening::Cut
        }
    }

    /// What has to be done about it.
    #[inline(always)]
    pub fn wanted(self) -> Option<Wanted> {
        if self.has(Self::CUTTING) {
            Some(Wanted::Cut)
        } else {
            self.has(Self::MENDING).then_some(Wanted::Mend)
        }
    }

    /// What was wanted is done; false if nothing was.
    pub fn done(&mut self) -> bool {
        if self.has(Self::CUTTING) {
            self.0 = self.0 & !(Self::CUTTING | Self::REMEMBERED) | Self::CUT;
        } else if self.has(Self::MENDING) {
            self.0 = Self::MESSAGE.0;
        } else {
            return false;
        }
        true
    }
}

/// What its task may have of a message.
pub(crate) enum Opening {
    Open,
    Mending,
    Cut,
}

/// What the owner of the interrupt translation service has to do about a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// Cut it off.
    Cut,
    /// Let it through again.
    Mend,
}

#[cfg(test)]
mod tests {
    use super::{Opening, Signal};

    /// Whatever is known of a message: the fast path lets through exactly those of which there is nothing to tell or to ask.
    #[test]
    fn only_of_a_plain_message_there_is_nothing_to_tell_or_to_ask() {
        let bits = [
            Signal::REMEMBERED,
            Signal::CUTTING,
            Signal::CUT,
            Signal::MENDING,
            Signal::OVER,
        ];
        for chosen in 0..1u32 << bits.len() {
            let some = bits.iter().enumerate();
            let some = some.filter(|(place, _)| chosen >> place & 1 != 0);
            let signal = Signal(some.fold(Signal::MESSAGE.0, |byte, (_, bit)| byte | bit));
            let mut opened = signal;
            let opens = matches!(opened.open(), Opening::Open) && !opened.recall();
            // Of a message that is not cut off nothing else is known.
            let is_possible = signal.has(Signal::CUTTING | Signal::CUT)
                || !signal.has(Signal::MENDING | Signal::OVER);
            if is_possible {
                assert_eq!(signal == Signal::MESSAGE, opens, "{signal:?}");
            }
        }
    }
}
