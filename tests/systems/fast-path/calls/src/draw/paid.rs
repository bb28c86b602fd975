//! Rounds that are drawn so that it is known who pays for what, whoever makes the calls.

use abi::{MESSAGE_MAX, ReplyDescriptor, SendDescriptor};
use heapless::Vec;

use super::{Draw, Round, Step};
use crate::ids::Variation;
use crate::{CALLER, COUNT, Call, SECOND, SERVER};

/// How often each actor's account pays for the work of a step.
pub type Owed = [u64; COUNT];

/// The bit that the second caller may post the server.
const BIT: u64 = 2;

impl Draw {
    /// Nobody does anything but a client and the server, or two: gives what each owes.
    pub(super) fn paid(&mut self, round: &mut Round) -> Owed {
        for (actor, steps) in round.iter_mut().enumerate() {
            if actor != crate::BYSTANDER {
                steps.clear();
            }
        }
        if self.one_in(2) {
            self.woken_after_a_reply(round)
        } else {
            self.replies_across_accounts(round)
        }
    }

    /// The server replies and waits again, and its client posts it a bit, on which it works: that the server pays for this, and
    /// not the client any more, nothing else shows.
    ///
    /// The client is the second one, whose equal has ended before it runs: a reply to somebody who has a ready equal is the
    /// core's.
    fn woken_after_a_reply(&mut self, round: &mut Round) -> Owed {
        let [server, _, _, _, second, _] = round;
        let sent = self.call_server(SECOND, Call::Send, SendDescriptor::new(1, 8, 8, 0).0);
        let posted = self.call_server(SECOND, Call::Post, BIT);
        fill(second, [sent, posted]);
        let received = self.open(Call::Receive, 8);
        let replied = self.reply_to_last();
        fill(server, [received, replied, self.working(SERVER)]);
        let mut owed = [0; COUNT];
        owed[SERVER] = 1;
        owed
    }

    /// The server works for one client, takes the message of another, works for that, and replies to the first, which then works for
    /// itself: each message is paid for by who sent it, and the reply does not change who pays for its client.
    fn replies_across_accounts(&mut self, round: &mut Round) -> Owed {
        let [server, _, _, caller, second, _] = round;
        for (actor, steps) in [(CALLER, caller), (SECOND, second)] {
            let sent = self.call_server(actor, Call::Send, SendDescriptor::new(1, 8, 8, 0).0);
            fill(steps, [sent, self.working(actor)]);
        }
        let first = self.open(Call::Receive, 8);
        let mut next = self.open(Call::Receive, 8);
        next.works = true;
        let mut replied = self.reply_to_last();
        replied.from_last = false;
        replied.ids = [Some((8, CALLER as u8, Variation::Current)), None];
        replied.works = true;
        fill(server, [first, next, replied]);
        let mut owed = [0; COUNT];
        // The second one's reply does not come.
        (owed[CALLER], owed[SECOND]) = (2, 1);
        owed
    }

    /// A step of an actor to the server as it is; `x9` is given.
    fn call_server(&mut self, actor: usize, call: Call, word: u64) -> Step {
        let mut step = self.step_of(actor, call, 0);
        step.ids = [Some((8, SERVER as u8, Variation::Current)), None];
        step.registers[9] = word;
        step
    }

    /// A step of the server that receives from anybody, and the bit; mask, filter and buffer begin at a register.
    fn open(&mut self, call: Call, first: usize) -> Step {
        let mut step = self.step_of(SERVER, call, 0);
        step.ids = [None; 2];
        step.registers[first] |= BIT;
        step.registers[first + 1] = u64::MAX;
        step.registers[first + 2] = self.pools[SERVER];
        step.registers[first + 3] = MESSAGE_MAX as u64;
        step
    }

    /// The server replies to who sent last, in one of both ways, and receives.
    fn reply_to_last(&mut self) -> Step {
        let call = self.pick(&[Call::ReplyAgain, Call::ReplyReceive], Call::ReplyAgain);
        let mut step = self.open(call, 11);
        step.from_last = true;
        step.registers[9] = ReplyDescriptor::new(0, 8).0;
        step
    }

    /// A step that begins with work.
    fn working(&mut self, actor: usize) -> Step {
        let mut step = self.step_of(actor, Call::WhoAmI, 0);
        step.works = true;
        step
    }
}

fn fill<const N: usize>(script: &mut Vec<Step, { crate::STEPS_MAX }>, steps: [Step; N]) {
    script.clear();
    script.extend(steps);
}
