//! The calls of a history: what the dice choose, told to the model and to the kernel.

use abi::privileged::Privileged;
use abi::{Lease, LeaseAttributes, ReplyDescriptor, SendDescriptor};

use super::model::Message;
use super::*;

/// The best address for what is in no region.
const NOWHERE: u64 = 0x10;
const PAGE: u64 = abi::layout::PAGE;

impl History {
    /// Notes what is done, to be told if the next comparison fails.
    pub fn did(&mut self, what: &'static str, by: usize, with: [u64; 4]) {
        self.last = (what, by, with);
    }

    pub fn call(&mut self, task: usize) {
        if !self.model.begins(task) {
            self.did("dies of its call", task, [0; 4]);
            self.saw("injected fault");
            self.world.call(task, Syscall::WhoAmI as u16, &[]);
            return;
        }
        // What leads to a pin: a client lends to the driver, which asks the authority.
        let serves =
            (0..COUNT).any(|peer| self.model.tasks[peer].doing == Doing::AwaitingReply(task));
        if serves && task == DRIVER && self.dice.one_in(4) {
            return self.send(task, Some(AUTHORITY));
        }
        if serves && task == AUTHORITY && self.dice.one_in(3) {
            return self.hold();
        }
        match self.dice.roll(24) {
            0..=5 => self.receive(task),
            6 | 7 => self.reply(task),
            8 if self.dice.one_in(2) => self.reply_again(task),
            8 => self.reply_receive(task),
            9 | 19 => self.post(task),
            10 | 11 => self.borrow(task),
            12 => self.timer(task),
            13..=18 if task == SUPERVISOR => self.supervise(),
            13..=16 if task == AUTHORITY => self.hold(),
            _ if task == SUPERVISOR => self.receive(task),
            13 => self.control(task),
            23 if self.dice.one_in(4) => self.crash(task),
            _ => self.send(task, None),
        }
    }

    /// Whom to receive from: bits, and perhaps one task only.
    fn filter(&mut self, task: usize) -> (u32, Option<Named>, TaskId) {
        let mut mask = self.dice.roll(256) as u32 | WAKE;
        if self.dice.one_in(2) {
            mask |= !notification::POSTABLE;
        }
        if self.dice.one_in(3) {
            // Seldom itself: only bits end that, and what it left is to be come across.
            let itself = self.dice.one_in(6);
            let (from, id) = if itself {
                self.by_name(task)
            } else {
                self.named()
            };
            return (mask, Some(from), id);
        }
        (mask, None, TaskId::ANY)
    }

    fn receive(&mut self, task: usize) {
        let (mask, from, id) = self.filter(task);
        if task != SUPERVISOR && self.dice.one_in(100) {
            self.did("receives to nowhere", task, [id.0, 0, 0, 0]);
            self.model.die(task);
            self.world.receive(task, mask, id, NOWHERE, 100);
            return;
        }
        let buffer = self.dice.place(200);
        self.did(
            "receives: mask, from, buffer",
            task,
            [mask.into(), id.0, buffer.at, buffer.len],
        );
        self.model.receive(task, mask, from, buffer);
        self.world
            .receive(task, mask, id, POOL + buffer.at, buffer.len);
    }

    /// Writes a word to a task's pool; what is copied must be told from what was there before.
    fn mark(&mut self, task: usize, place: Place) {
        let word = self.word().to_le_bytes();
        let bytes = &word[..word.len().min(place.len as usize)];
        self.model.pools.write(task, place.at, bytes);
        let memory = self.world.memory(task, POOL + place.at, bytes.len() as u64);
        memory.copy_from_slice(bytes);
    }

    fn send(&mut self, task: usize, wanted: Option<usize>) {
        // Mostly to one that it may send to.
        let above = PRIORITIES.partition_point(|other| *other < PRIORITIES[task]);
        let (to, id) = if above == 0 || self.dice.one_in(100) {
            self.named()
        } else {
            let to = self.dice.roll(above as u64) as usize;
            self.by_name(wanted.unwrap_or(to))
        };
        if self.dice.one_in(100) {
            self.did("sends from nowhere", task, [id.0, 0, 0, 0]);
            // It may not even have the right; then it dies of that.
            self.model.die(task);
            let descriptor = SendDescriptor::new(1, 65, 0, 0).0;
            let arguments = [id.0, descriptor, NOWHERE];
            self.world.call(task, Syscall::Send as u16, &arguments);
            return;
        }
        let word = self.word();
        let place = self.dice.place(200);
        let long = (place.len > 64).then_some(place);
        if let Some(long) = long {
            self.mark(task, long);
        }
        let reply = self.dice.place(200);
        let lease_count = self.dice.roll(3) as usize;
        let leases = [self.lease(), self.lease()];
        let descriptor = SendDescriptor::new(
            word as u16,
            place.len as u16,
            reply.len as u16,
            lease_count as u8,
        );
        let message = Message {
            word,
            descriptor: descriptor.0,
            long,
            reply,
            leases,
            lease_count,
        };
        self.did(
            "sends: to, descriptor, places",
            task,
            [id.0, descriptor.0, place.at, reply.at],
        );
        self.model.send(task, to, message);
        match self.model.tasks[task].doing {
            Doing::AwaitingReply(_) => self.saw("message at once"),
            Doing::Sending(_) => self.saw("message queued"),
            _ => {}
        }
        self.world.set_payload(task, [word; 8]);
        let [(first, first_lease), (second, second_lease)] = leases;
        let arguments = [
            id.0,
            descriptor.0,
            POOL + place.at,
            POOL + reply.at,
            POOL + first,
            first_lease,
            POOL + second,
            second_lease,
        ];
        self.world.call(task, Syscall::Send as u16, &arguments);
    }

    /// Offset and descriptor of a lease: some bytes, or a page or two that can be pinned.
    fn lease(&mut self) -> (u64, u64) {
        let attributes = LeaseAttributes::from_bits_truncate(self.dice.roll(4) as u32);
        let (at, len) = if self.dice.one_in(2) {
            // Seldom not at the beginning of one.
            let inside = if self.dice.one_in(4) { 8 } else { 0 };
            (PAGE * (1 + self.dice.roll(2)) + inside, PAGE)
        } else {
            let place = self.dice.place(128);
            (place.at, place.len)
        };
        (at, Lease::new(len as u32, attributes).0)
    }

    /// Payload and place of a reply. The supervisor keeps to what its client takes: its death is the end.
    fn answer(&mut self, task: usize, to: Named) -> (Code, u64, Place) {
        let (code, word) = (Code(self.dice.roll(3) as u32), self.word());
        let mut place = self.dice.place(200);
        let room = self.model.tasks[to.task].message.reply.len;
        if task == SUPERVISOR || !self.dice.one_in(8) {
            place.len = place.len.min(room);
        }
        if place.len > 64 {
            self.mark(task, place);
        }
        (code, word, place)
    }

    fn reply(&mut self, task: usize) {
        let (to, id) = self.client(task);
        let (code, word, place) = self.answer(task, to);
        self.did(
            "replies: to, word, place",
            task,
            [id.0, word, place.at, place.len],
        );
        if !self.model.reply(task, to, code, word, place) {
            self.saw("reply too long");
        }
        self.world.set_payload(task, [word; 8]);
        let descriptor = ReplyDescriptor::new(code.0, place.len as u16).0;
        self.world.reply(task, id, descriptor, POOL + place.at);
    }

    fn reply_receive(&mut self, task: usize) {
        let (to, id) = self.client(task);
        let (code, word, place) = self.answer(task, to);
        let (mask, from, only) = self.filter(task);
        let buffer = self.dice.place(200);
        self.did(
            "replies and receives: to, length, mask, from",
            task,
            [id.0, place.len, mask.into(), only.0],
        );
        let broken = task != SUPERVISOR && self.dice.one_in(16);
        if broken {
            // The client must not get an answer.
            self.last.0 = "replies and receives into nowhere";
            self.model.die(task);
        } else if self.model.reply(task, to, code, word, place) {
            self.model.receive(task, mask, from, buffer);
        } else {
            self.saw("reply too long");
        }
        self.world.set_payload(task, [word; 8]);
        let descriptor = ReplyDescriptor::new(code.0, place.len as u16).0;
        let (address, capacity) = if broken {
            (NOWHERE, 100)
        } else {
            (POOL + buffer.at, buffer.len)
        };
        let arguments = [
            id.0,
            descriptor,
            POOL + place.at,
            u64::from(mask),
            only.0,
            address,
            capacity,
        ];
        self.world
            .call(task, Syscall::ReplyReceive as u16, &arguments);
    }

    fn reply_again(&mut self, task: usize) {
        let (to, id) = self.client(task);
        let (code, word, place) = self.answer(task, to);
        self.did(
            "replies and receives again: to, word, place",
            task,
            [id.0, word, place.at, place.len],
        );
        if self.model.reply(task, to, code, word, place) {
            let (mask, buffer) = self.model.last_receive(task);
            self.model.receive(task, mask, None, buffer);
            self.saw("received again");
        } else {
            self.saw("reply too long");
        }
        self.world.set_payload(task, [word; 8]);
        let descriptor = ReplyDescriptor::new(code.0, place.len as u16).0;
        let arguments = [id.0, descriptor, POOL + place.at];
        self.world
            .call(task, Syscall::ReplyAgain as u16, &arguments);
    }

    fn post(&mut self, task: usize) {
        let (to, id) = self.named();
        let bits = self.dice.roll(256) as u32;
        self.did("posts: to, bits", task, [id.0, bits.into(), 0, 0]);
        self.model.post(task, to, bits);
        let arguments = [id.0, u64::from(bits)];
        self.world.call(task, Syscall::Post as u16, &arguments);
    }

    fn borrow(&mut self, task: usize) {
        let (lender, id) = self.client(task);
        let number = self.dice.roll(3) as usize;
        let beyond = self.dice.one_in(2);
        let offset = self.dice.roll(if beyond { 160 } else { 1 });
        let mut local = self.dice.place(64);
        // What is read of a page that is lent stays within what is compared.
        local.len = local.len.min(64u64.saturating_sub(offset));
        let write = self.dice.one_in(2);
        let (call, access, saw) = if write {
            self.mark(task, local);
            (
                Syscall::BorrowWrite,
                LeaseAttributes::WRITE,
                "bytes written to a lease",
            )
        } else {
            (
                Syscall::BorrowRead,
                LeaseAttributes::READ,
                "bytes read from a lease",
            )
        };
        self.did(
            "borrows: lender, lease, offset, length",
            task,
            [id.0, number as u64, offset, local.len],
        );
        if self
            .model
            .borrow(task, lender, number, offset, local, access)
        {
            self.saw(saw);
        }
        let arguments = [id.0, number as u64, offset, POOL + local.at, local.len];
        self.world.call(task, call as u16, &arguments);
    }

    fn timer(&mut self, task: usize) {
        let now = self.world.kernel.arch().now;
        let deadline = match self.dice.roll(8) {
            0 => u64::MAX,
            1 => now,
            2 => 0,
            _ => now + self.dice.roll(1000),
        };
        self.did("sets its timer: deadline, now", task, [deadline, now, 0, 0]);
        self.model.set_timer(task, deadline, now);
        self.world.call(task, Syscall::Timer as u16, &[deadline]);
    }

    fn control(&mut self, task: usize) {
        let own = INTERRUPTS.iter().find(|(owner, _)| *owner == task);
        let bits = match own {
            _ if self.dice.one_in(40) => INTERRUPTS[self.dice.roll(2) as usize].1,
            Some((_, bit)) => *bit,
            None => 0,
        };
        let enable = !self.dice.one_in(4);
        self.did(
            "controls interrupts: bits, on",
            task,
            [bits.into(), enable.into(), 0, 0],
        );
        self.model.control(task, bits, enable);
        let arguments = [u64::from(bits), u64::from(enable)];
        self.world.call(task, Syscall::Interrupt as u16, &arguments);
    }

    fn supervise(&mut self) {
        let task = self.dice.task();
        let (call, argument) = match self.dice.roll(16) {
            // Seldom for good, and not in most histories.
            0 => (
                Privileged::Stop,
                u64::from(self.mortal && self.dice.one_in(20)),
            ),
            1 => (Privileged::ArmFault, self.dice.roll(4)),
            _ => (Privileged::Restart, 0),
        };
        // It looks for one to start.
        let down = (0..COUNT).find(|task| !self.model.is_up(*task));
        let task = match down {
            Some(down) if call == Privileged::Restart => down,
            _ => task,
        };
        self.did(
            "supervises: call, task, argument",
            SUPERVISOR,
            [call as u64, task as u64, argument, 0],
        );
        match call {
            Privileged::Stop => self.model.stop(task, argument == 1),
            Privileged::ArmFault if task == SUPERVISOR => return,
            Privileged::ArmFault => self.model.arm(task, argument),
            _ => {
                if !self.model.is_up(task) {
                    self.saw("restart");
                }
                self.model.restart(task);
            }
        }
        let arguments = [task as u64, argument];
        self.world.privileged(SUPERVISOR, call, &arguments);
    }

    /// By the authority.
    fn hold(&mut self) {
        let device = self.dice.roll(3);
        let (held, id) = self.named();
        let roll = self.dice.roll(8);
        let (call, arguments) = match roll {
            0 => {
                self.model.hold(held, device as u32);
                (Privileged::Hold, [id.0, device, 0, 0, 0])
            }
            1 | 2 => {
                self.model.lift(held.task, device as u32);
                (Privileged::Lift, [held.task as u64, device, 0, 0, 0])
            }
            3 | 4 => {
                let used = self.model.devices.pins.keys().next().copied();
                let slot = used.unwrap_or(self.dice.roll(256) as usize);
                if used.is_some() {
                    self.saw("unpin");
                }
                self.model.unpin(slot);
                (Privileged::Unpin, [slot as u64, 0, 0, 0, 0])
            }
            _ => {
                let (driver, driver_id) = self.client(AUTHORITY);
                let (lender, lender_id) = self.client(driver.task);
                let number = self.dice.roll(3) as usize;
                let at = if self.dice.one_in(4) { PAGE } else { 0 };
                let len = [PAGE, PAGE, PAGE, 100][self.dice.roll(4) as usize];
                if self.model.pin(driver, lender, number, at, len) {
                    self.saw("pin");
                }
                let lease = number as u64 | device << 32;
                (Privileged::Pin, [driver_id.0, lender_id.0, lease, at, len])
            }
        };
        self.did(
            "holds: call, arguments",
            AUTHORITY,
            [call as u64, arguments[0], arguments[1], arguments[2]],
        );
        self.world.privileged(AUTHORITY, call, &arguments);
    }

    fn crash(&mut self, task: usize) {
        self.did("crashes", task, [0; 4]);
        self.model.die(task);
        self.world.crash(task);
    }
}
