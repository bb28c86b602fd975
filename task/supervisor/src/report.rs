//! How a task reports its part of the verdict. Who reports is the sender's id, so that no task can speak
//! for another.

use userlib::config;
use userlib::ipc::{self, Payload};
use userlib::plan::Text;
use userlib::plan::task::PeerEntry;
use userlib::server::{CallError, Server};

/// The one operation: word 0 is an [`Outcome`], words 1 to 7 a [`Detail`].
pub const REPORT: u16 = 1;
/// Bytes of the message.
pub const REPORT_BYTES: usize = 64;
/// Code of the reply to a message that is no report.
pub const MALFORMED: u32 = 1;

/// What was done or what went wrong, for a person; up to 56 bytes.
pub type Detail = Text<56>;

/// Part of a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Outcome {
    /// The task did what it is there for.
    Pass = 0,
    /// It did not.
    Fail = 1,
}

/// A report as it travels.
pub fn encode(outcome: Outcome, detail: &Detail) -> Payload {
    let mut bytes = [0; REPORT_BYTES];
    let text = detail.as_str().as_bytes();
    for (to, from) in bytes.iter_mut().skip(8).zip(text) {
        *to = *from;
    }
    let mut payload = ipc::payload_of(&bytes);
    payload[0] = outcome as u64;
    payload
}

/// A report from a message of `len` bytes; `None` if it is none.
pub fn decode(payload: &Payload, len: usize) -> Option<(Outcome, Detail)> {
    let [outcome, words @ ..] = payload;
    let outcome = match outcome {
        0 => Outcome::Pass,
        1 => Outcome::Fail,
        _ => return None,
    };
    let mut bytes = [0; 56];
    for (to, word) in bytes.chunks_mut(8).zip(words) {
        for (to, from) in to.iter_mut().zip(word.to_le_bytes()) {
            *to = from;
        }
    }
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    let text = core::str::from_utf8(bytes.get(..end)?).ok()?;
    // Control characters could fake lines of their own in the log.
    let printable = !text.chars().any(char::is_control);
    (len == REPORT_BYTES && printable).then(|| (outcome, Detail::new(text)))
}

/// Whether the plan lets the calling task report; one that does so without the right dies.
pub fn is_allowed() -> bool {
    let supervisor = config::own().supervisor;
    config::table::<PeerEntry>()
        .iter()
        .any(|peer| peer.index == supervisor && peer.may_send == 1)
}

/// Reports the calling task's outcome to the supervisor. The first report of a task counts; a later one
/// can only turn pass into fail.
pub fn send(outcome: Outcome, detail: &str) -> Result<(), CallError> {
    let supervisor = Server::at(config::own().supervisor as usize);
    let payload = encode(outcome, &Detail::new(detail));
    supervisor
        .call(REPORT, &payload, REPORT_BYTES, 0, &[])
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_registers() {
        for (outcome, text) in [
            (Outcome::Pass, ""),
            (
                Outcome::Fail,
                "sha256 over 16777216 bytes, in 256 KiB reads, 32 deep..",
            ),
            (Outcome::Pass, "größer"),
        ] {
            let payload = encode(outcome, &Detail::new(text));
            assert_eq!(decode(&payload, 64), Some((outcome, Detail::new(text))));
        }
    }

    #[test]
    fn nonsense_is_no_report() {
        let good = encode(Outcome::Pass, &Detail::new("x"));
        assert_eq!(decode(&good, 8), None);
        let mut payload = good;
        payload[0] = 2;
        assert_eq!(decode(&payload, 64), None);
        payload = good;
        payload[1] = u64::from_le_bytes(*b"two\nline");
        assert_eq!(decode(&payload, 64), None);
        payload[1] = u64::MAX;
        assert_eq!(decode(&payload, 64), None);
    }
}
