//! The driver's side: who has what under way, what is to be collected, and who waits.

use abi::TaskId;
use heapless::Vec;
use userlib::ipc::{Message, Payload};

use crate::message::{COMPLETION_BYTES, Completion, REPLY_BYTES, Request, requests_in};
use crate::{COMPLETIONS_MAX, REQUESTS_MAX};

/// Why a message is refused as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is no message of requests, or the sender cannot take a full reply.
    Malformed,
    /// The driver serves as many clients as it can.
    TooManyClients,
    /// The client would have more requests under way than it may.
    QueueFull,
}

/// The place of a client at the desk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(u32);

impl Place {
    /// The number of the place, below that of the clients.
    #[inline(always)]
    pub const fn number(self) -> usize {
        self.0 as usize
    }
}

/// The requests of a message that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// The place of who sent it.
    pub place: Place,
    /// How many requests it has.
    pub count: usize,
}

/// What a client is to be told, now that something of it is done.
#[derive(Clone, Copy, Debug)]
pub enum Tell {
    /// It waits for this reply, of so many bytes.
    Reply(TaskId, Payload, usize),
    /// It is to be posted, once.
    Post(TaskId),
}

/// What is kept of one client. `DEPTH` is the most that it may have under way.
#[derive(Debug)]
struct Client<const DEPTH: usize> {
    id: TaskId,
    /// Requests that were taken, and whose completions it has not collected.
    under_way: u32,
    /// Place of its oldest completion in `done`, and how many there are.
    first: u32,
    count: u32,
    /// It waits for a reply.
    waits: bool,
    /// It knows that there is something to collect.
    told: bool,
    done: [u64; DEPTH],
}

impl<const DEPTH: usize> Client<DEPTH> {
    const fn new(id: TaskId) -> Self {
        Self {
            id,
            under_way: 0,
            first: 0,
            count: 0,
            waits: false,
            told: false,
            done: [0; DEPTH],
        }
    }

    /// Takes as many completions as a reply has room for.
    #[inline(always)]
    fn collect(&mut self) -> (Payload, usize) {
        let mut payload = [0; 8];
        let mut taken = 0;
        for word in payload.iter_mut().take(COMPLETIONS_MAX) {
            if taken == self.count {
                break;
            }
            let at = (self.first + taken) as usize % DEPTH;
            *word = self.done.get(at).copied().unwrap_or_default();
            taken += 1;
        }
        self.first = (self.first + taken) % DEPTH as u32;
        self.count -= taken;
        self.under_way = self.under_way.saturating_sub(taken);
        // What a full reply leaves behind the client comes for of itself.
        self.told = self.count > 0;
        (payload, taken as usize * COMPLETION_BYTES)
    }
}

/// All clients of a driver, `CLIENTS` at most.
#[derive(Debug)]
pub struct Desk<const CLIENTS: usize, const DEPTH: usize> {
    clients: Vec<Client<DEPTH>, CLIENTS>,
}

impl<const CLIENTS: usize, const DEPTH: usize> Default for Desk<CLIENTS, DEPTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CLIENTS: usize, const DEPTH: usize> Desk<CLIENTS, DEPTH> {
    /// No clients yet.
    pub const fn new() -> Self {
        Self {
            clients: Vec::new(),
        }
    }

    /// The place of a task. A new life starts with nothing: what the life before it asked for is nobody's any more.
    #[inline(always)]
    pub fn place_of(&mut self, id: TaskId) -> Result<Place, Refused> {
        match self.clients.iter().position(|client| client.id == id) {
            Some(at) => Ok(Place(at as u32)),
            None => self.new_life(id),
        }
    }

    #[cold]
    fn new_life(&mut self, id: TaskId) -> Result<Place, Refused> {
        let same = |client: &Client<DEPTH>| client.id.number() == id.number();
        if let Some(at) = self.clients.iter().position(same) {
            if let Some(client) = self.clients.get_mut(at) {
                *client = Client::new(id);
            }
            return Ok(Place(at as u32));
        }
        let at = self.clients.len();
        let pushed = self.clients.push(Client::new(id));
        pushed.map_err(|_| Refused::TooManyClients)?;
        Ok(Place(at as u32))
    }

    /// Takes a message as a whole, or refuses it. Each of its requests has to be [`finished`](Self::finished) once.
    #[inline(always)]
    pub fn take(&mut self, message: &Message) -> Result<Taken, Refused> {
        let count = requests_in(message.len).ok_or(Refused::Malformed)?;
        // What a client cannot receive it would lose.
        if message.reply_capacity < REPLY_BYTES {
            return Err(Refused::Malformed);
        }
        let place = self.place_of(message.sender)?;
        let client = self.client(place).ok_or(Refused::TooManyClients)?;
        if client.under_way as usize + count > DEPTH {
            return Err(Refused::QueueFull);
        }
        client.under_way += count as u32;
        client.waits = false;
        Ok(Taken { place, count })
    }

    #[inline(always)]
    fn client(&mut self, place: Place) -> Option<&mut Client<DEPTH>> {
        self.clients.get_mut(place.0 as usize)
    }

    /// Keeps a completion for the client at a place, if it is still this one.
    #[inline(always)]
    pub fn finished(&mut self, place: Place, id: TaskId, completion: Completion) {
        let Some(client) = self.client(place) else {
            return;
        };
        if client.id != id || client.count as usize == DEPTH {
            return;
        }
        let at = (client.first + client.count) as usize % DEPTH;
        if let Some(word) = client.done.get_mut(at) {
            *word = completion.word();
            client.count += 1;
        }
    }

    /// The reply to a message that was taken, when all of its requests were begun. None if the client `waits` and
    /// nothing is done yet: then [`Self::next_to_tell`] has the reply, once there is one.
    #[inline(always)]
    pub fn answer(&mut self, place: Place, waits: bool) -> Option<(Payload, usize)> {
        let client = self.client(place)?;
        if waits && client.count == 0 && client.under_way > 0 {
            client.waits = true;
            return None;
        }
        Some(client.collect())
    }

    /// Somebody who is to be told of completions; to be called until there is nobody.
    #[inline(always)]
    pub fn next_to_tell(&mut self) -> Option<Tell> {
        let client = self
            .clients
            .iter_mut()
            .find(|client| client.count > 0 && (client.waits || !client.told))?;
        if client.waits {
            client.waits = false;
            let (payload, len) = client.collect();
            return Some(Tell::Reply(client.id, payload, len));
        }
        client.told = true;
        Some(Tell::Post(client.id))
    }

    /// Forgets a client whose life is over. Its place stays, as what it had under way names it.
    pub fn forget(&mut self, id: TaskId) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.id == id) {
            *client = Client::new(id.next_life());
        }
    }
}

/// The requests of a message that has `count` of them.
#[inline(always)]
pub fn requests(payload: &Payload, count: usize) -> impl Iterator<Item = Request> + use<'_> {
    let (pairs, _) = payload.as_chunks::<2>();
    pairs
        .iter()
        .take(count.min(REQUESTS_MAX))
        .map(|pair| Request::from_words(*pair))
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::Lease;
    use std::vec::Vec as List;

    type Small = Desk<3, 4>;

    fn message(sender: TaskId, requests: usize) -> Message {
        Message {
            sender,
            operation: 2,
            len: requests * 16,
            reply_capacity: REPLY_BYTES,
            payload: [0; 8],
            leases: [Lease(0); 2],
            lease_count: 0,
        }
    }

    fn task(index: u8) -> TaskId {
        TaskId::new(index, 3)
    }

    fn done(tag: u16) -> Completion {
        Completion::new(tag, 0, 0, 512)
    }

    fn tags((payload, len): (Payload, usize)) -> List<u16> {
        let words = payload.iter().take(len / 8);
        words
            .map(|word| Completion::from_word(*word).tag())
            .collect()
    }

    #[test]
    fn completions_go_to_their_client_in_order() {
        let mut desk = Small::new();
        let [a, b] = [task(5), task(6)];
        let at = [a, b].map(|id| desk.take(&message(id, 2)).expect("taken").place);
        assert_eq!(tags(desk.answer(at[0], false).expect("at once")), []);
        desk.finished(at[0], a, done(7));
        desk.finished(at[1], b, done(8));
        assert!(matches!(desk.next_to_tell(), Some(Tell::Post(id)) if id == a));
        desk.finished(at[0], a, done(6));
        assert!(matches!(desk.next_to_tell(), Some(Tell::Post(id)) if id == b));
        assert!(desk.next_to_tell().is_none(), "each is posted once");
        assert_eq!(tags(desk.answer(at[0], false).expect("at once")), [7, 6]);
        assert_eq!(tags(desk.answer(at[1], false).expect("at once")), [8]);
        desk.finished(at[1], b, done(9));
        let told = desk.next_to_tell();
        assert!(matches!(told, Some(Tell::Post(id)) if id == b), "{told:?}");
    }

    #[test]
    fn who_waits_is_answered_when_something_is_done() {
        let mut desk = Small::new();
        let a = task(5);
        let at = desk.take(&message(a, 2)).expect("taken").place;
        assert!(desk.answer(at, true).is_none());
        assert!(desk.next_to_tell().is_none());
        desk.finished(at, a, done(1));
        let told = desk.next_to_tell();
        assert!(
            matches!(told, Some(Tell::Reply(id, payload, 8)) if id == a && payload[0] == done(1).word()),
            "{told:?}"
        );
        assert!(desk.next_to_tell().is_none(), "it was answered");
        assert!(desk.answer(at, true).is_none(), "one is under way");
        desk.finished(at, a, done(2));
        assert!(desk.next_to_tell().is_some());
        assert_eq!(
            desk.answer(at, true),
            Some(([0; 8], 0)),
            "nothing can ever be done"
        );
    }

    #[test]
    fn a_full_reply_leaves_the_rest() {
        let mut desk = Desk::<1, 32>::new();
        let a = task(5);
        for _ in 0..8 {
            desk.take(&message(a, 4)).expect("taken");
        }
        let at = desk.place_of(a).expect("known");
        for tag in 0..9 {
            desk.finished(at, a, done(tag));
        }
        assert_eq!(
            tags(desk.answer(at, true).expect("there are some")),
            (0..7).collect::<List<_>>()
        );
        assert!(desk.next_to_tell().is_none(), "it comes again of itself");
        assert_eq!(tags(desk.answer(at, true).expect("two")), [7, 8]);
    }

    #[test]
    fn what_is_not_collected_counts() {
        let mut desk = Small::new();
        let [a, b] = [task(5), task(6)];
        let at = desk.take(&message(a, 4)).expect("taken").place;
        assert_eq!(desk.take(&message(a, 1)).err(), Some(Refused::QueueFull));
        assert!(desk.take(&message(b, 4)).is_ok(), "not of another's share");
        for tag in 0..4 {
            desk.finished(at, a, done(tag));
        }
        assert_eq!(desk.take(&message(a, 1)).err(), Some(Refused::QueueFull));
        assert_eq!(desk.answer(at, false).expect("four").1, 32);
        assert!(desk.take(&message(a, 4)).is_ok());
    }

    #[test]
    fn a_refused_message_has_no_effect() {
        let mut desk = Small::new();
        let a = task(5);
        let mut short = message(a, 1);
        short.reply_capacity = REPLY_BYTES - 1;
        let mut odd = message(a, 1);
        odd.len = 24;
        let mut long = message(a, 1);
        long.len = 80;
        for wrong in [short, odd, long] {
            assert_eq!(desk.take(&wrong).err(), Some(Refused::Malformed));
        }
        desk.take(&message(a, 3)).expect("taken");
        assert_eq!(desk.take(&message(a, 2)).err(), Some(Refused::QueueFull));
        assert!(desk.take(&message(a, 1)).is_ok(), "none of the two counts");
    }

    #[test]
    fn a_new_life_starts_with_nothing() {
        let mut desk = Small::new();
        let a = task(5);
        let at = desk.take(&message(a, 4)).expect("taken").place;
        assert!(desk.answer(at, true).is_none());
        desk.finished(at, a, done(1));
        let again = a.next_life();
        assert_eq!(desk.take(&message(again, 4)).expect("taken").place, at);
        desk.finished(at, a, done(2));
        assert_eq!(tags(desk.answer(at, false).expect("at once")), []);
        desk.forget(again);
        desk.finished(at, again, done(3));
        assert!(desk.next_to_tell().is_none());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut desk = Small::new();
        for index in 0..3 {
            assert!(desk.take(&message(task(index), 1)).is_ok());
        }
        let one_more = desk.take(&message(task(9), 1)).err();
        assert_eq!(one_more, Some(Refused::TooManyClients));
        assert!(desk.take(&message(task(2).next_life(), 1)).is_ok());
    }
}
