//! What roles ask for in the middle of a case.

use abi::Code;
use abi::privileged::Privileged;
use userlib::ipc::{Message, Payload};

use super::life::Ended;
use super::line::Line;
use super::{Runner, System};
use crate::protocol::{Action, NEXT, NOTE, NOTES, PLEASE, REPORT};
use crate::report::{Malformed, Report};

impl<S: System> Runner<'_, S> {
    /// Handles one message; `running` is the number of the case under way.
    pub(crate) fn handle(&mut self, message: &Message, text: &[u8], running: Option<usize>) {
        match message.operation {
            NEXT => self.next(message, running),
            REPORT => self.end(message, ended(message, text)),
            PLEASE => {
                let reply = self.please(&message.payload);
                self.system
                    .reply(message.sender, &reply, message.reply_capacity.min(64));
            }
            NOTE => {
                let _ = self.notes.push(message.payload[0]);
                self.note_count += 1;
                self.system.reply(message.sender, &[0; 8], 0);
            }
            NOTES => {
                let mut reply = [0; 8];
                reply[0] = self.note_count;
                for (to, from) in reply.iter_mut().skip(1).zip(&self.notes) {
                    *to = *from;
                }
                self.system
                    .reply(message.sender, &reply, message.reply_capacity.min(64));
            }
            // Any other operation is a case's own: it asks the supervisor something that nobody answers.
            _ => {}
        }
    }

    /// A role is up. In the middle of a case it was restarted by another part, and acts its part again.
    fn next(&mut self, message: &Message, running: Option<usize>) {
        let sender = message.sender;
        let Some(role) = self.role_of(sender) else {
            return;
        };
        role.id = sender;
        role.waiting = true;
        let name_of_case = running.filter(|_| role.part.is_some());
        if let Some(case) = name_of_case {
            role.ended = None;
            self.hand_part(case, sender.index());
        }
    }

    /// Gives the role with this task index its part.
    pub(crate) fn hand_part(&mut self, case: usize, index: usize) {
        let mut indices = [0; 8];
        for (to, role) in indices.iter_mut().zip(&self.roles) {
            *to = role.index as u8;
        }
        let Some(role) = self.roles.iter_mut().find(|role| role.index == index) else {
            return;
        };
        let Some(part) = role.part.filter(|_| role.waiting) else {
            return;
        };
        role.waiting = false;
        let words = [
            case as u64,
            part as u64,
            role.lives,
            u64::from_le_bytes(indices),
            0,
            0,
            0,
            0,
        ];
        role.lives += 1;
        let to = role.id;
        self.system.reply(to, &words, 32);
    }

    fn end(&mut self, message: &Message, ended: Ended) {
        if let Some(role) = self.role_of(message.sender)
            && role.id == message.sender
        {
            role.ended = Some(ended);
        }
    }

    fn please(&mut self, words: &Payload) -> Payload {
        let [action, number, first, second, third, ..] = *words;
        let refused = [u64::from(Code::REFUSED.0), 0, 0, 0, 0, 0, 0, 0];
        let role = usize::try_from(number).ok().and_then(|n| self.roles.get(n));
        let (Some(action), Some(role)) = (Action::from_number(action), role) else {
            return refused;
        };
        let index = role.index;
        let only = |code: Code| [u64::from(code.0), 0, 0, 0, 0, 0, 0, 0];
        match action {
            Action::Status => match self.system.status(index) {
                Some(status) => {
                    let [a, b, c, d, e] = status.fault;
                    [0, status.id.0, status.state, a, b, c, d, e]
                }
                None => refused,
            },
            Action::Stop | Action::Retire => {
                let code = self.system.stop(index, action == Action::Retire);
                if let Some(role) = self.roles.iter_mut().find(|role| role.index == index) {
                    role.retired |= action == Action::Retire;
                }
                // The supervisor is not told of what it stopped itself.
                self.look_for_deaths();
                only(code)
            }
            Action::Restart => only(self.system.restart(index)),
            Action::ArmFault => only(self.system.arm_fault(index, first)),
            Action::Registers => {
                let call = Privileged::Registers as u64;
                self.system.privileged(call, [index as u64, first, 0, 0, 0])
            }
            Action::ReadWord => match self.system.read_word(index, first) {
                Ok(word) => [0, word, 0, 0, 0, 0, 0, 0],
                Err(code) => only(code),
            },
            Action::Raw => self.system.privileged(first, [second, third, 0, 0, 0]),
        }
    }
}

/// What a role reports: in registers if it is short, else in the buffer. Bytes that are no report fail the part.
fn ended(message: &Message, buffer: &[u8]) -> Ended {
    let mut registers = [0; 64];
    for (to, word) in registers.chunks_exact_mut(8).zip(message.payload) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    let bytes = if message.len <= registers.len() {
        &registers
    } else {
        buffer
    };
    // There is room for the longest report.
    let sent = bytes.get(..message.len).ok_or(Malformed::Long);
    match sent.and_then(Report::read) {
        Ok(Report::Returned) => Ended::Returned,
        Ok(Report::Skipped(why)) => Ended::Skipped(Line::of(format_args!("{why}"))),
        Ok(Report::Failed { line, values, what }) => Ended::Failed(failure(line, values, what)),
        Err(why) => Ended::Failed(Line::of(format_args!(
            "a report that is none: {}",
            why.name()
        ))),
    }
}

/// Text that does not fit is cut; where it failed comes first.
fn failure(line: u32, values: Option<(u64, u64)>, what: &str) -> Line {
    let mut text = Line::new();
    if line != 0 {
        text.add(format_args!("line {line}: "));
    }
    if let Some((found, expected)) = values {
        text.add(format_args!("{found:#x} instead of {expected:#x}: "));
    }
    text.add(format_args!("{what}"));
    text
}
