//! A network controller that writes anything, at any time, whose registers say anything; and frames that clients ask for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use abi::{LeaseAttributes, TaskId};
use blk_server::request::Lent;
use e1000e::admit::{Admitted, admit};
use e1000e::device::{Finished, Nic};
use e1000e::layout::{POOL_LEN, RECEIVE, SEND};
use e1000e::ring::{ENTRIES, Page};
use nic_api::{Error, Interface, Link, ROOM};
use queue_api::Request;
use userlib::delay::DelayNs;
use userlib::memory::Memory;
use userlib::protocol::Wire;

use crate::device::{Liar, Shared};
use crate::input::Input;

/// IOVA of the driver's pool.
const PLACE: u64 = 1 << 32;

/// Time passes at once.
struct Hurry;

impl DelayNs for Hurry {
    fn delay_ns(&mut self, _: u32) {}
}

struct Scene<'a> {
    nic: Nic<Liar<'a>, Shared>,
    /// Pages for frames to come, and with frames to go, that the device has: the oldest first.
    coming: VecDeque<Page>,
    going: VecDeque<Page>,
    /// Pages that have come, or gone, since the rings were begun.
    came: usize,
    went: usize,
}

impl Scene<'_> {
    fn give(&mut self, tag: u16, send: bool, length: u32) {
        let page = Page {
            client: TaskId::new(6, 0),
            iova: (2 << 32) + 4096 * u64::from(tag),
            length: if send { length } else { ROOM },
            tag,
            mapped: true,
        };
        let (given, flying) = if send {
            (self.nic.send(page), &mut self.going)
        } else {
            (self.nic.receive(page), &mut self.coming)
        };
        match given {
            Ok(()) => flying.push_back(page),
            Err(error) => assert_eq!(error, Error::Busy),
        }
    }

    /// Takes what is finished: only what the device has, in order, each once. False when the device was found out.
    fn collect(&mut self) -> bool {
        for _ in 0..=256 {
            match self.nic.finished() {
                Ok(Some(Finished { page, result })) => {
                    if self.coming.front() == Some(&page) {
                        self.coming.pop_front();
                        self.came += 1;
                    } else {
                        assert_eq!(self.going.pop_front(), Some(page), "not in flight");
                        self.went += 1;
                    }
                    assert!(result.is_err() || result.is_ok_and(|bytes| bytes <= page.length));
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        panic!("more frames than pages");
    }

    /// Takes everything back from a device that has stopped.
    fn abandon(&mut self) {
        self.came += self.coming.len();
        self.went += self.going.len();
        let left: Vec<Page> = std::iter::from_fn(|| self.nic.abandoned()).collect();
        let flying: Vec<Page> = self.coming.drain(..).chain(self.going.drain(..)).collect();
        assert_eq!(left, flying);
        assert!(self.nic.is_idle());
    }
}

/// Steps of driver and device.
pub fn controller(bytes: &[u8]) {
    let input = Rc::new(RefCell::new(Input::new(bytes)));
    let memory = Shared::new(POOL_LEN);
    let vectors = input.borrow_mut().below(4) as u32;
    let nic = Nic::new(Liar::new(&input), memory.clone(), PLACE, vectors);
    let mut scene = Scene {
        nic: nic.expect("there is room"),
        coming: VecDeque::new(),
        going: VecDeque::new(),
        came: 0,
        went: 0,
    };
    // One that does not come up has rings all the same.
    let _ = scene.nic.stop(&mut Hurry);
    let _ = scene.nic.start();
    for tag in 0..512 {
        if input.borrow().is_empty() {
            break;
        }
        let (step, at, word) = {
            let mut input = input.borrow_mut();
            (input.below(9), input.below(POOL_LEN), input.take::<u64>())
        };
        // Mostly of the page that is next.
        let state_of = |next: usize| {
            let index = if at % 4 == 0 { at / 64 } else { next };
            index % usize::from(ENTRIES) * 16 + 8
        };
        match step {
            0..=2 => scene.give(tag, word & 1 != 0, word as u32 >> 8),
            3 => scene.nic.announce(),
            4 => memory.write64(RECEIVE + state_of(scene.came), word | 3 << 32),
            5 => memory.write32(SEND + state_of(scene.went) + 4, word as u32 | 1),
            6 => memory.write64(at / 8 * 8, word),
            7 => {
                scene.nic.look();
                scene.nic.link();
                scene.nic.acknowledge();
                scene.nic.listen();
            }
            _ => {
                if scene.nic.stop(&mut Hurry).is_ok() {
                    scene.abandon();
                    if scene.nic.start().is_ok() {
                        (scene.came, scene.went) = (0, 0);
                    }
                }
            }
        }
        // A device that was found out is not used again.
        if !scene.collect() {
            return;
        }
    }
    scene.abandon();
}

/// Requests of a client, and what a driver says of itself.
pub fn messages(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let words = [0; 8].map(|_: u64| input.take());
    if let Some(interface) = Interface::from_words(&words) {
        assert_eq!(
            Interface::from_words(&interface.to_words()),
            Some(interface)
        );
    }
    if let Some(link) = Link::known(words[0]) {
        assert_eq!(Link::told(link.completion(words[1] as u16)), link);
    }
    let lent = Lent {
        pages: input.take::<u64>() % (1 << 21),
        attributes: LeaseAttributes::from_bits_truncate(input.take()),
    };
    let [request, known] = [[words[2], words[3]], [words[4], 0]].map(Request::from_words);
    for request in [request, known] {
        match admit(request, Some(lent)) {
            Ok(Admitted::Link(_)) => assert_eq!((request.length(), request.offset()), (0, 0)),
            Ok(admitted) => {
                let end = u32::from(request.offset()) + request.length();
                assert!(end <= 4096 && u64::from(request.page()) < lent.pages);
                assert!(lent.attributes.contains(LeaseAttributes::READ));
                let fills = admitted == Admitted::Receive;
                assert!(!fills || lent.attributes.contains(LeaseAttributes::all()));
                assert!(!fills || request.length() >= ROOM);
                // Without memory nothing is admitted that has some.
                assert_eq!(admit(request, None), Err(Error::BadLease));
            }
            Err(error) => assert_ne!(error, Error::Busy),
        }
    }
}
