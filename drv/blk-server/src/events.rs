//! What happens by itself: the device is done, it faulted, the machine is about to be switched off.

use abi::TaskId;
use blk_api::Completion;
use heapless::Vec;
use queue_api::desk::Tell;
use userlib::ipc::{self, Payload};
use userlib::{interrupt, time};

use crate::SLOTS_MAX;
use crate::controller::Controller;
use crate::data::lost;
use crate::ending::Step;
use crate::line::POLL_NS;
use crate::pause::Pause;
use crate::request::{Finished, Request};
use crate::service::Service;

impl<C: Controller> Service<'_, C> {
    /// The device has something to say.
    pub(crate) fn device_interrupt(&mut self, interrupts: u32) {
        if let Err(reason) = self.controller.acknowledge(interrupts) {
            userlib::give_up!("{}", reason);
        }
        let found = self.take_finished();
        if C::LOOK_EVERY_NS.is_some() && !self.line.raised(found) {
            self.leave_masked();
            return;
        }
        interrupt::unmask(interrupts);
    }

    #[cold]
    fn leave_masked(&mut self) {
        let times = self.line.times();
        if times.is_power_of_two() {
            defmt::warn!(
                "the interrupt tells of nothing: the device is looked at for a second, {=u32} times so far",
                times
            );
        }
        // The next look is due before what the timer was set for.
        self.watched = false;
    }

    /// Time has passed: looks at requests that are under way for long.
    #[cold]
    pub(crate) fn timer(&mut self) {
        self.watched = false;
        // What is done is not late: its interrupt may have been lost.
        if let Err(reason) = self.controller.acknowledge(u32::MAX) {
            userlib::give_up!("{}", reason);
        }
        self.take_finished();
        if self.line.is_masked() {
            if !self.line.looked() {
                return;
            }
            interrupt::unmask(self.interrupts);
        }
        if let Err(reason) = self.controller.look(&mut Pause::new()) {
            userlib::give_up!("{}", reason);
        }
        self.take_finished();
    }

    /// Has the timer tell when it is time to look at requests under way, if there are any.
    #[inline(always)]
    pub(crate) fn watch(&mut self) {
        let Some(every) = C::LOOK_EVERY_NS else {
            return;
        };
        // A pause took the timer for itself.
        if self.controller.is_idle() || self.watched && !Pause::was_made() {
            return;
        }
        self.set_watch(every);
    }

    #[cold]
    fn set_watch(&mut self, every: u64) {
        Pause::forget();
        let every = if self.line.is_masked() {
            POLL_NS
        } else {
            every
        };
        time::set_timer(Some(time::now().after(every)));
        self.watched = true;
    }

    /// Takes what the device is done with, unmaps it all at once, then keeps the completions: when a client
    /// hears of one, the device has lost the buffer. Whether there was anything.
    #[inline]
    fn take_finished(&mut self) -> bool {
        let mut batch: Vec<Finished, SLOTS_MAX> = Vec::new();
        while !batch.is_full() {
            match self.controller.finished() {
                Ok(Some(finished)) => {
                    // Cannot fail: the batch is not full.
                    let _ = batch.push(finished);
                }
                Ok(None) => break,
                Err(fault) => {
                    self.controller.fail();
                    userlib::give_up!("the device broke the protocol: {}", fault);
                }
            }
        }
        self.controller.taken();
        if batch.is_empty() {
            return false;
        }
        self.data.unmap_finished(&batch, &self.controller);
        for finished in &batch {
            let request = self.controller.request(finished.slot);
            let (code, length) = match finished.result {
                Ok(()) => (0, request.bytes),
                Err(error) => (error as u8, 0),
            };
            match request.place {
                Some(place) => {
                    let completion = Completion::new(request.tag, code, 0, length);
                    self.desk.finished(place, request.client, completion);
                }
                None => {
                    if let Err(error) = finished.result {
                        userlib::give_up!(
                            "the device does not write out its cache: {}",
                            error.name()
                        );
                    }
                }
            }
        }
        if self.keeps_of_dead {
            self.forget_the_dead();
        }
        true
    }

    /// Does what is due on the way to a disk that may lose its power. What fails is not called finished: the driver
    /// dies of it, and its device is made quiet by others.
    pub(crate) fn go_on_ending(&mut self) {
        let idle = self.controller.is_idle();
        match self.ending.next(idle, self.controller.has_cache()) {
            Step::Wait => {}
            Step::Flush => {
                let flush = Request {
                    client: self.own,
                    ..Request::NONE
                };
                if let Err(error) = self.controller.start(flush, 0) {
                    userlib::give_up!("no room for a flush: {}", error.name());
                }
                self.controller.announce();
            }
            Step::Finish => {
                if let Err(reason) = self.controller.shut_down(&mut Pause::new()) {
                    userlib::give_up!("{}", reason);
                }
                defmt::info!("all is written; the device is reset");
                if supervisor_api::client::finished().is_err() {
                    userlib::give_up!("the supervisor does not listen");
                }
            }
        }
    }

    /// The device accessed what it was not given. It is told only addresses that are mapped, and a read
    /// that faults can complete without an error and without data: nothing that it says of its requests
    /// can be believed any more. That records were lost is no sign of that: any device can overflow the
    /// SMMU's queue, and must not stop this one by it.
    pub(crate) fn fault(&mut self) {
        loop {
            match self.data.claim.next_fault() {
                Ok(None) => break,
                Ok(Some(fault)) if fault.count == 0 => {
                    if let Some(lost) = self.losses.add(fault.lost) {
                        defmt::warn!("fault records were lost, {=u64} so far", lost);
                    }
                }
                Ok(Some(fault)) => userlib::give_up!(
                    "the device faulted: event {:#x} at {:#x}",
                    fault.event,
                    fault.iova
                ),
                Err(error) => lost("next_fault", error),
            }
        }
        // Without a record the post says that the device was cut off, and what it has will never end; or that a client died
        // that has lent something that stays mapped.
        match self.data.claim.is_cut_off() {
            Ok(true) => userlib::give_up!("the device was cut off"),
            Ok(false) if self.keeps_mapped => self.forget_the_dead(),
            Ok(false) => {}
            Err(error) => lost("status", error),
        }
    }

    /// Tells the clients of what is done. The last one that waits is answered by the caller.
    #[inline]
    pub(crate) fn tell(&mut self) -> Option<(TaskId, Payload, usize)> {
        let mut last: Option<(TaskId, Payload, usize)> = None;
        while let Some(tell) = self.desk.next_to_tell() {
            match tell {
                Tell::Reply(client, payload, len) => {
                    if let Some((client, payload, len)) = last {
                        ipc::reply(client, 0, &payload, len);
                    }
                    last = Some((client, payload, len));
                }
                Tell::Post(client) => self.post(client),
            }
        }
        last
    }

    fn post(&mut self, client: TaskId) {
        let bit = self.done_bits.get(client.index()).copied().unwrap_or(0);
        if bit != 0 && ipc::post(client, bit) != abi::Code::OK {
            self.desk.forget(client);
        }
    }
}
