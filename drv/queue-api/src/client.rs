//! The calling side.

use userlib::ipc::{LeaseBuffer, Payload, words};
use userlib::protocol::{Caller, Failure, Refusal, Wire};

use crate::message::{REPLY_BYTES, requests_to_words};
use crate::{Completions, Operation, REQUESTS_MAX, Request};

/// Sends the first [`REQUESTS_MAX`] of `requests`; the completions that there are, of any request of this task.
#[inline(always)]
pub fn exchange<C: Caller, E: Refusal>(
    driver: &C,
    operation: Operation,
    requests: impl Iterator<Item = Request>,
    leases: &[LeaseBuffer<'_>],
) -> Result<Completions, Failure<E>> {
    let (payload, len) = requests_to_words(requests);
    let answer = driver.call_once(operation as u16, &payload, len, REPLY_BYTES, leases);
    if answer.code == abi::Code::OK {
        Completions::from_reply(&answer.payload, answer.len).ok_or(Failure::Nonsense)
    } else {
        Err(driver.failed(answer.code).of_protocol())
    }
}

/// The message that names a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region(pub u8);

impl Wire for Region {
    const LEN: usize = 8;
    fn to_words(&self) -> Payload {
        words([u64::from(self.0)])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        u8::try_from(payload[0]).ok().map(Self)
    }
}

/// Has the driver keep `memory`, a pool of this task from its first page on, as a region, for as long as both live. The
/// plan has to say that the pool is lent as a whole.
pub fn lend<C: Caller, E: Refusal>(
    driver: &C,
    region: u8,
    memory: LeaseBuffer<'_>,
) -> Result<(), Failure<E>> {
    driver.exchange(Operation::Lend as u16, &Region(region), &[memory])
}

/// Takes a region back, of which nothing is under way.
pub fn forget<C: Caller, E: Refusal>(driver: &C, region: u8) -> Result<(), Failure<E>> {
    driver.exchange(Operation::Forget as u16, &Region(region), &[])
}

/// Most requests that one task can have with one driver.
const SLOTS: usize = 64;

/// What this task has asked of a driver. Requests are known by their tags, which are numbers below the depth.
///
/// No request is lost with the driver: what a life of it had when it died, or did not take, is sent again to the next
/// one. A driver that dies may have done what it had, so a request is to be one that may be done twice.
#[derive(Debug)]
pub struct Queue<C> {
    driver: C,
    requests: [Request; SLOTS],
    depth: u32,
    /// Tags of requests that the driver's life does not have.
    unsent: u64,
    /// Tags of requests that it has.
    sent: u64,
}

impl<C: Caller> Queue<C> {
    /// For up to `depth` requests under way; more than 64 are 64.
    pub const fn new(driver: C, depth: usize) -> Self {
        Self {
            driver,
            requests: [Request::from_words([0; 2]); SLOTS],
            depth: if depth < SLOTS { depth } else { SLOTS } as u32,
            unsent: 0,
            sent: 0,
        }
    }

    /// The driver.
    pub const fn driver(&self) -> &C {
        &self.driver
    }

    /// A tag that no request under way has.
    #[inline(always)]
    pub fn free_tag(&self) -> Option<u16> {
        let tag = (self.unsent | self.sent).trailing_ones();
        (tag < self.depth).then_some(tag as u16)
    }

    /// Whether nothing is under way.
    pub const fn is_idle(&self) -> bool {
        self.unsent | self.sent == 0
    }

    /// Takes a request, to be sent with one of the next turns. False if its tag is in use, or no tag.
    #[inline(always)]
    pub fn ask(&mut self, request: Request) -> bool {
        let tag = u32::from(request.tag());
        if tag >= self.depth || (self.unsent | self.sent) & 1 << tag != 0 {
            return false;
        }
        if let Some(place) = self.requests.get_mut(tag as usize) {
            *place = request;
        }
        self.unsent |= 1 << tag;
        true
    }

    /// Sends what was not sent, as far as a message has room, and takes completions. With [`Operation::Wait`] it returns
    /// when there is one, or when there is more to send. After an outage everything under way is unsent: once the driver is up, take another turn.
    #[inline(always)]
    pub fn turn<E: Refusal>(
        &mut self,
        operation: Operation,
        leases: &[LeaseBuffer<'_>],
    ) -> Result<Completions, Failure<E>> {
        let mut rest = self.unsent;
        let requests = &self.requests;
        let operation = if left_behind(rest) == 0 {
            operation
        } else {
            // What is left might be what the others wait for: frames that come, for those that go.
            Operation::Run
        };
        let next = core::iter::from_fn(|| {
            let request = requests.get(rest.trailing_zeros() as usize);
            rest &= rest.wrapping_sub(1);
            request.copied()
        });
        let result = exchange(&self.driver, operation, next.take(REQUESTS_MAX), leases);
        match result {
            Ok(completions) => {
                self.sent |= self.unsent & !rest;
                self.unsent = rest;
                for completion in completions {
                    let tag = 1u64.checked_shl(u32::from(completion.tag())).unwrap_or(0);
                    if self.sent & tag == 0 {
                        return Err(Failure::Nonsense);
                    }
                    self.sent &= !tag;
                }
                Ok(completions)
            }
            Err(failure) => Err(self.failed(failure)),
        }
    }

    #[cold]
    fn failed<E: Copy>(&mut self, failure: Failure<E>) -> Failure<E> {
        if failure.is_silence() {
            self.lost();
        }
        failure
    }

    /// The driver has another life: it has nothing of what was sent.
    pub const fn lost(&mut self) {
        self.unsent |= self.sent;
        self.sent = 0;
    }
}

/// What a message has no room for, of a set of requests.
#[inline(always)]
const fn left_behind(requests: u64) -> u64 {
    let (mut rest, mut room) = (requests, REQUESTS_MAX);
    while room > 0 {
        rest &= rest.wrapping_sub(1);
        room -= 1;
    }
    rest
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;
    use std::vec::Vec;

    use super::*;
    use crate::desk::{Desk, Place, Tell, requests};
    use crate::{Completion, Fields};
    use abi::{Code, Lease, TaskId};
    use proptest::prelude::*;
    use userlib::ipc::{Answer, Message};

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Other;

    impl Refusal for Other {
        fn from_code(code: u32) -> Option<Self> {
            (code == 5).then_some(Self)
        }
        fn name(self) -> &'static str {
            "other"
        }
    }

    const DEPTH: usize = 8;
    const SELF: TaskId = TaskId::new(9, 4);

    /// A driver at its desk, whose device finishes what chance says, and which dies when chance says.
    struct Driver {
        desk: Desk<1, DEPTH>,
        device: Vec<(Place, Request)>,
        chance: Vec<u8>,
        /// Positions that the device has done.
        done: Vec<u64>,
        deaths: usize,
        /// So many requests it has to have before it does any.
        least: usize,
    }

    impl Driver {
        fn draw(&mut self) -> u8 {
            self.chance.pop().unwrap_or(21)
        }

        fn finish_some(&mut self, least: usize) {
            if self.device.len() < self.least {
                return;
            }
            let draw = usize::from(self.draw());
            let count = (draw % 4).max(least).min(self.device.len());
            for _ in 0..count {
                let (place, request) = self.device.swap_remove(draw % self.device.len());
                self.done.push(request.position());
                let code = (request.position() % 3) as u8;
                let completion = Completion::new(request.tag(), code, 0, request.length());
                self.desk.finished(place, SELF, completion);
            }
        }

        fn serve(&mut self, message: &Message) -> (u32, Payload, usize) {
            let Ok(taken) = self.desk.take(message) else {
                return (5, [0; 8], 0);
            };
            for request in requests(&message.payload, taken.count) {
                self.device.push((taken.place, request));
            }
            self.finish_some(0);
            let waits = message.operation == Operation::Wait as u16;
            if let Some((payload, len)) = self.desk.answer(taken.place, waits) {
                return (0, payload, len);
            }
            self.finish_some(1);
            match self.desk.next_to_tell() {
                Some(Tell::Reply(SELF, payload, len)) => (0, payload, len),
                told => panic!("who waits is not answered: {told:?}"),
            }
        }
    }

    struct Fake(RefCell<Driver>);

    impl Caller for Fake {
        fn call_once(
            &self,
            operation: u16,
            payload: &Payload,
            len: usize,
            reply_capacity: usize,
            _: &[LeaseBuffer<'_>],
        ) -> Answer {
            let mut driver = self.0.borrow_mut();
            let message = Message {
                sender: SELF,
                operation,
                len,
                reply_capacity,
                payload: *payload,
                leases: [Lease(0); 2],
                lease_count: 0,
            };
            let dies = driver.draw();
            if dies < 20 {
                // Before or after it did what it was asked to do.
                if dies < 10 {
                    driver.serve(&message);
                }
                driver.desk = Desk::new();
                driver.device.clear();
                driver.deaths += 1;
                return Answer {
                    code: Code::DEAD,
                    payload: [0; 8],
                    len: 0,
                };
            }
            let (code, payload, len) = driver.serve(&message);
            Answer {
                code: Code(code),
                payload,
                len,
            }
        }
    }

    fn queue(chance: Vec<u8>) -> Queue<Fake> {
        let driver = Driver {
            desk: Desk::new(),
            device: Vec::new(),
            chance,
            done: Vec::new(),
            deaths: 0,
            least: 0,
        };
        Queue::new(Fake(RefCell::new(driver)), DEPTH)
    }

    fn request(tag: u16, position: u64) -> Request {
        Request::new(&Fields {
            tag,
            position,
            length: 512,
            ..Fields::default()
        })
    }

    /// What is sent with a later message may be what the first ones wait for.
    #[test]
    fn nobody_waits_with_something_to_send() {
        let mut queue = queue(Vec::new());
        for tag in 0..6 {
            assert!(queue.ask(request(tag, tag.into())));
        }
        // A device that does nothing before it has all.
        queue.driver.0.borrow_mut().least = 6;
        let first = queue.turn::<Other>(Operation::Wait, &[]);
        assert_eq!(first.map(Iterator::count), Ok(0));
        let second = queue.turn::<Other>(Operation::Wait, &[]);
        assert!(second.is_ok_and(|mut completions| completions.next().is_some()));
    }

    proptest! {
        /// Whenever the driver dies, each request ends once, with its own result, and was done.
        #[test]
        fn no_request_is_lost_with_the_driver(chance in proptest::collection::vec(any::<u8>(), 0..400)) {
            const REQUESTS: u64 = 100;
            let mut queue = queue(chance.clone());
            let mut asked = 0;
            let mut positions = [0; DEPTH];
            let mut ended = Vec::new();
            let mut turns = 0;
            while ended.len() < REQUESTS as usize {
                while let Some(tag) = queue.free_tag().filter(|_| asked < REQUESTS) {
                    prop_assert!(queue.ask(request(tag, asked)));
                    prop_assert!(!queue.ask(request(tag, asked)), "its tag is in use");
                    positions[usize::from(tag)] = asked;
                    asked += 1;
                }
                let wait = chance.get(turns).is_none_or(|draw| draw % 2 == 0);
                turns += 1;
                prop_assert!(turns < 10_000, "it hangs");
                let operation = if wait { Operation::Wait } else { Operation::Run };
                match queue.turn::<Other>(operation, &[]) {
                    Ok(completions) => for completion in completions {
                        let position = positions[usize::from(completion.tag())];
                        prop_assert_eq!(u64::from(completion.code()), position % 3);
                        prop_assert_eq!(completion.length(), 512);
                        ended.push(position);
                    },
                    Err(failure) => prop_assert_eq!(failure, Failure::Dead),
                }
            }
            prop_assert!(queue.is_idle());
            ended.sort_unstable();
            prop_assert_eq!(ended, (0..REQUESTS).collect::<Vec<_>>());
            let driver = queue.driver().0.borrow();
            prop_assert!((0..REQUESTS).all(|position| driver.done.contains(&position)));
        }
    }

    #[test]
    fn a_message_has_what_was_not_sent() {
        let mut queue = queue(Vec::from([0, 255, 0, 255]));
        for tag in 0..6 {
            assert!(queue.ask(request(tag, u64::from(tag))));
        }
        assert!(!queue.ask(request(8, 8)), "beyond the depth");
        assert_eq!(
            queue
                .turn::<Other>(Operation::Run, &[])
                .map(Iterator::count),
            Ok(0)
        );
        assert_eq!(queue.driver().0.borrow().device.len(), 4);
        assert_eq!(
            queue
                .turn::<Other>(Operation::Run, &[])
                .map(Iterator::count),
            Ok(0)
        );
        let tags: Vec<u16> = queue
            .driver()
            .0
            .borrow()
            .device
            .iter()
            .map(|(_, request)| request.tag())
            .collect();
        assert_eq!(tags, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_completion_of_nothing_is_nonsense() {
        let mut queue = queue(Vec::from([1, 255]));
        assert!(queue.ask(request(3, 0)));
        queue
            .driver()
            .0
            .borrow_mut()
            .desk
            .place_of(SELF)
            .expect("room");
        let place = queue
            .driver()
            .0
            .borrow_mut()
            .desk
            .place_of(SELF)
            .expect("room");
        queue
            .driver()
            .0
            .borrow_mut()
            .desk
            .finished(place, SELF, Completion::new(64, 0, 0, 0));
        assert_eq!(
            queue.turn::<Other>(Operation::Run, &[]).err(),
            Some(Failure::Nonsense)
        );
    }
}
