//! How a command ended (Base 2.0, 3.3.3.2.1), and what that is for a client.

use blk_api::Error;

/// The status field of a completion, without the phase: code in bits 7:0, its type in 10:8, "do not retry" in 14.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(pub u16);

/// What is done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The command succeeded.
    Done,
    /// Another time it may succeed: media and path errors, and commands that were aborted.
    Again,
    /// It failed for good.
    Failed(Error),
}

const GENERIC: u16 = 0;
const COMMAND_SPECIFIC: u16 = 1;

impl Status {
    /// Whether the same command would fail again.
    pub const fn do_not_retry(self) -> bool {
        self.0 & 1 << 14 != 0
    }

    /// The verdict. What says that the request itself is wrong fails at once, whether it may be retried or not: it is as
    /// wrong another time.
    #[inline]
    pub const fn verdict(self) -> Verdict {
        let (code, kind) = (self.0 & 0xff, self.0 >> 8 & 7);
        match (kind, code) {
            (GENERIC, 0x00) => Verdict::Done,
            // Invalid opcode.
            (GENERIC, 0x01) => Verdict::Failed(Error::Unsupported),
            // Invalid field; invalid namespace or format; PRP offset invalid.
            (GENERIC, 0x02 | 0x0b | 0x13) => Verdict::Failed(Error::Device),
            // Namespace write protected; attempted write to read-only range.
            (GENERIC, 0x20) | (COMMAND_SPECIFIC, 0x82) => Verdict::Failed(Error::ReadOnly),
            // LBA out of range.
            (GENERIC, 0x80) => Verdict::Failed(Error::OutOfRange),
            _ if self.do_not_retry() => Verdict::Failed(Error::Device),
            _ => Verdict::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_verdict() {
        let again = Verdict::Again;
        let failed = Verdict::Failed;
        for (status, verdict) in [
            (0x0000, Verdict::Done),
            // "More" and a retry delay say nothing of success.
            (0x3800, Verdict::Done),
            (0x0001, failed(Error::Unsupported)),
            (0x4001, failed(Error::Unsupported)),
            (0x0002, failed(Error::Device)),
            (0x000b, failed(Error::Device)),
            (0x0020, failed(Error::ReadOnly)),
            (0x0182, failed(Error::ReadOnly)),
            (0x0080, failed(Error::OutOfRange)),
            // Data transfer error, internal error, aborted by request, aborted with its queue, interrupted.
            (0x0004, again),
            (0x0006, again),
            (0x0007, again),
            (0x0008, again),
            (0x0021, again),
            // Unrecovered read error; the same, not to be tried again.
            (0x0281, again),
            (0x4281, failed(Error::Device)),
            // A path error, a vendor's own.
            (0x0300, again),
            (0x0701, again),
            (0x4701, failed(Error::Device)),
        ] {
            assert_eq!(Status(status).verdict(), verdict, "{status:#x}");
        }
    }
}
