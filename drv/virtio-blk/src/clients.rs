//! The clients: which completion each gets, and how much each may have in flight.

use abi::TaskId;
use blk_api::{COLLECT_MAX, Completion, DEPTH, Error};
use heapless::Deque;

/// Most tasks that this driver serves.
pub const CLIENTS_MAX: usize = 8;

#[derive(Debug)]
struct Client {
    id: TaskId,
    outstanding: usize,
    done: Deque<Completion, DEPTH>,
}

/// All clients, by the index of their task.
#[derive(Debug, Default)]
pub struct Clients {
    clients: heapless::Vec<Client, CLIENTS_MAX>,
}

impl Clients {
    /// No clients yet.
    pub const fn new() -> Self {
        Self {
            clients: heapless::Vec::new(),
        }
    }

    /// The entry of this life of the task. A new life starts with nothing: what the life before it
    /// submitted is nobody's any more.
    fn of(&mut self, id: TaskId) -> Result<&mut Client, Error> {
        let same = |client: &Client| client.id.index() == id.index();
        let at = match self.clients.iter().position(same) {
            Some(at) => at,
            None => {
                let new = Client {
                    id,
                    outstanding: 0,
                    done: Deque::new(),
                };
                self.clients.push(new).map_err(|_| Error::TooManyClients)?;
                self.clients.len() - 1
            }
        };
        let client = self.clients.get_mut(at).ok_or(Error::TooManyClients)?;
        if client.id != id {
            *client = Client {
                id,
                outstanding: 0,
                done: Deque::new(),
            };
        }
        Ok(client)
    }

    /// Whether this client may submit one more request.
    pub fn admit(&mut self, id: TaskId) -> Result<(), Error> {
        if self.of(id)?.outstanding < DEPTH {
            Ok(())
        } else {
            Err(Error::QueueFull)
        }
    }

    /// Counts a request that was handed to the device.
    pub fn started(&mut self, id: TaskId) {
        if let Ok(client) = self.of(id) {
            client.outstanding += 1;
        }
    }

    /// Keeps a completion for its client. True if the client must be told; not if it was told already
    /// and has not collected since, and not if this life of it is over.
    pub fn finished(&mut self, id: TaskId, completion: Completion) -> bool {
        let Some(client) = self.clients.iter_mut().find(|client| client.id == id) else {
            return false;
        };
        let first = client.done.is_empty();
        client.done.push_back(completion).is_ok() && first
    }

    /// Takes up to [`COLLECT_MAX`] completions of this client.
    pub fn collect(&mut self, id: TaskId) -> impl Iterator<Item = Completion> {
        let client = self.clients.iter_mut().find(|client| client.id == id);
        let mut client = client;
        (0..COLLECT_MAX).map_while(move |_| {
            let client = client.as_mut()?;
            let completion = client.done.pop_front()?;
            client.outstanding = client.outstanding.saturating_sub(1);
            Some(completion)
        })
    }

    /// Whether this client has completions that it has not collected.
    pub fn has_more(&self, id: TaskId) -> bool {
        self.clients
            .iter()
            .any(|client| client.id == id && !client.done.is_empty())
    }

    /// Forgets a client whose life is over.
    pub fn forget(&mut self, id: TaskId) {
        self.clients.retain(|client| client.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn done(tag: u32) -> Completion {
        Completion {
            tag,
            result: Ok(()),
        }
    }

    const A: TaskId = TaskId::new(5, 0);
    const B: TaskId = TaskId::new(6, 3);

    #[test]
    fn completions_go_to_their_client_in_order() {
        let mut clients = Clients::new();
        for id in [A, B] {
            for _ in 0..9 {
                clients.admit(id).expect("room");
                clients.started(id);
            }
        }
        assert!(clients.finished(A, done(0)));
        assert!(!clients.finished(A, done(1)), "told once until it collects");
        assert!(clients.finished(B, done(100)));
        for tag in 2..9 {
            assert!(!clients.finished(A, done(tag)));
        }
        let tags: Vec<_> = clients.collect(A).map(|c| c.tag).collect();
        assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6]);
        assert!(clients.has_more(A));
        assert_eq!(clients.collect(A).count(), 2);
        assert!(!clients.has_more(A));
        assert_eq!(clients.collect(B).map(|c| c.tag).collect::<Vec<_>>(), [100]);
        assert_eq!(clients.collect(TaskId::new(9, 0)).count(), 0);
    }

    #[test]
    fn what_is_not_collected_counts() {
        let mut clients = Clients::new();
        for tag in 0..DEPTH as u32 {
            assert_eq!(clients.admit(A), Ok(()));
            clients.started(A);
            clients.finished(A, done(tag));
        }
        assert_eq!(clients.admit(A), Err(Error::QueueFull));
        assert_eq!(
            clients.admit(B),
            Ok(()),
            "one client does not use up another's share"
        );
        assert_eq!(clients.collect(A).count(), COLLECT_MAX);
        assert_eq!(clients.admit(A), Ok(()));
    }

    #[test]
    fn a_new_life_starts_with_nothing() {
        let mut clients = Clients::new();
        clients.admit(A).expect("room");
        clients.started(A);
        clients.started(A);
        clients.finished(A, done(1));
        let again = TaskId::new(5, 1);
        assert_eq!(clients.admit(again), Ok(()));
        assert_eq!(clients.collect(again).count(), 0);
        assert!(
            !clients.finished(A, done(2)),
            "the old life's request is nobody's"
        );
        assert_eq!(clients.collect(again).count(), 0);
    }

    #[test]
    fn the_table_is_bounded_and_gives_back() {
        let mut clients = Clients::new();
        for index in 0..CLIENTS_MAX as u8 {
            assert_eq!(clients.admit(TaskId::new(index, 0)), Ok(()));
        }
        assert_eq!(
            clients.admit(TaskId::new(99, 0)),
            Err(Error::TooManyClients)
        );
        clients.forget(TaskId::new(0, 0));
        assert_eq!(clients.admit(TaskId::new(99, 0)), Ok(()));
    }
}
