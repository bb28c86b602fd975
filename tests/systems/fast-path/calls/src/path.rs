//! Which way through the kernel's assembly a call takes by its arguments and its caller. Whether it comes to its end there
//! or is given up to the core depends on its peer's state.

use abi::{MESSAGE_MAX, REGISTER_BYTES, ReplyDescriptor, SendDescriptor, WIDE, WIDE_BYTES};

use crate::{CALLER, Call, LIMITED, Registers};

/// A way for the arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Path {
    /// The caller's own id.
    WhoAmI,
    /// Message and room for the reply fit in registers.
    ShortSend,
    /// One of them does not.
    LongSend,
    /// A reply in registers, then a receive.
    ShortReply,
    /// A longer one.
    LongReply,
    /// A reply in registers, then the receive of the last time.
    ShortAgain,
    /// Notifications.
    Post,
    /// An open receive.
    Receive,
    /// An interrupt is let through.
    Unmask,
    /// A send of up to 128 bytes each way in registers.
    WideSend,
    /// A reply of such, then the receive of the last time.
    WideAgain,
}

impl Path {
    /// All, by their numbers.
    pub const ALL: [Self; 11] = [
        Self::WhoAmI,
        Self::ShortSend,
        Self::LongSend,
        Self::ShortReply,
        Self::LongReply,
        Self::ShortAgain,
        Self::Post,
        Self::Receive,
        Self::Unmask,
        Self::WideSend,
        Self::WideAgain,
    ];

    /// `None` if only the core makes such a call.
    pub fn of(call: Call, registers: &Registers) -> Option<Self> {
        let (short, long) = (REGISTER_BYTES, MESSAGE_MAX);
        match call {
            Call::WhoAmI => Some(Self::WhoAmI),
            Call::Post => Some(Self::Post),
            Call::Send => {
                let descriptor = SendDescriptor(registers[9]);
                let longest = descriptor.len().max(descriptor.reply_capacity());
                if descriptor.0 >> 48 == WIDE >> 48 {
                    return (longest <= WIDE_BYTES).then_some(Self::WideSend);
                }
                let plain = descriptor.0 >> 48 == 0;
                (plain && longest <= long).then_some(if longest <= short {
                    Self::ShortSend
                } else {
                    Self::LongSend
                })
            }
            Call::ReplyReceive => {
                let descriptor = ReplyDescriptor(registers[9]);
                let plain = descriptor.0 >> 48 == 0 && descriptor.len() <= long;
                plain.then_some(if descriptor.len() <= short {
                    Self::ShortReply
                } else {
                    Self::LongReply
                })
            }
            Call::ReplyAgain => {
                let descriptor = ReplyDescriptor(registers[9]);
                if descriptor.0 >> 48 == WIDE >> 48 {
                    return (descriptor.len() <= WIDE_BYTES).then_some(Self::WideAgain);
                }
                let plain = descriptor.0 >> 48 == 0 && descriptor.len() <= short;
                plain.then_some(Self::ShortAgain)
            }
            Call::Receive => (registers[9] == u64::MAX).then_some(Self::Receive),
            Call::Interrupt => (registers[9] == 1).then_some(Self::Unmask),
            Call::Reply | Call::Spin => None,
        }
    }
}

/// Whether an actor has device registers: its accesses have to be complete before another task runs, for which the assembly
/// has ways of its own.
pub const fn has_devices(actor: usize) -> bool {
    actor == CALLER || actor == LIMITED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_lead_one_way_or_to_the_core() {
        let of = |call, word| {
            let mut registers = [u64::MAX; 31];
            registers[9] = word;
            Path::of(call, &registers)
        };
        let send =
            |len, capacity, leases| of(Call::Send, SendDescriptor::new(3, len, capacity, leases).0);
        assert_eq!(send(64, 64, 0), Some(Path::ShortSend));
        assert_eq!(send(65, 64, 0), Some(Path::LongSend));
        assert_eq!(send(0, 4096, 0), Some(Path::LongSend));
        assert_eq!((send(4097, 0, 0), send(0, 4097, 0)), (None, None));
        assert_eq!((send(0, 0, 1), of(Call::Send, 1 << 63)), (None, None));
        let reply = |len| of(Call::ReplyReceive, ReplyDescriptor::new(7, len).0);
        assert_eq!(
            (reply(64), reply(65)),
            (Some(Path::ShortReply), Some(Path::LongReply))
        );
        assert_eq!((reply(4096), reply(4097)), (Some(Path::LongReply), None));
        assert_eq!(of(Call::ReplyReceive, 1 << 48), None);
        let again = |len| of(Call::ReplyAgain, ReplyDescriptor::new(7, len).0);
        assert_eq!((again(64), again(65)), (Some(Path::ShortAgain), None));
        assert_eq!(
            of(Call::Send, 128 << 16 | 128 << 32 | WIDE),
            Some(Path::WideSend)
        );
        assert_eq!(of(Call::Send, 129 << 16 | WIDE), None);
        assert_eq!(of(Call::Send, 1 << 48 | WIDE), None);
        assert_eq!(
            of(Call::ReplyAgain, 128 << 32 | WIDE),
            Some(Path::WideAgain)
        );
        assert_eq!(of(Call::ReplyAgain, 129 << 32 | WIDE), None);
        for call in [Call::Receive, Call::Reply, Call::Spin] {
            assert_eq!(of(call, 0), None);
        }
        let numbers = Path::ALL.map(|path| path as usize);
        assert_eq!(numbers, core::array::from_fn(|number| number));
    }
}
