//! What happens by itself: frames come and go, the link changes, the device faulted, a life of the client ends.

use abi::TaskId;
use blk_server::data::lost;
use blk_server::line::POLL_NS;
use blk_server::pause::Pause;
use heapless::Vec;
use nic_api::{Completion, DEPTH, Error};
use queue_api::desk::Tell;
use userlib::ipc::{self, Payload};
use userlib::memory::Memory;
use userlib::registers::Registers;
use userlib::{interrupt, time};

use crate::device::{Finished, LOOK_EVERY_NS};
use crate::service::Service;

impl<R: Registers, M: Memory> Service<'_, R, M> {
    /// The device has something to say.
    pub(crate) fn device_interrupt(&mut self, interrupts: u32) {
        self.nic.acknowledge();
        let found = self.take_finished() | self.answer_question();
        if !self.line.raised(found) {
            let times = self.line.times();
            if times.is_power_of_two() {
                defmt::warn!(
                    "the interrupt tells of nothing: the device is looked at for a second, {=u32} times so far",
                    times
                );
            }
            // The next look is due before what the timer was set for.
            self.watched = false;
            return;
        }
        interrupt::unmask(interrupts);
        self.nic.listen();
    }

    /// Time has passed: is the client alive, and does what it sends go?
    #[cold]
    pub(crate) fn timer(&mut self) {
        self.watched = false;
        // What is done is not late: its interrupt may have been lost.
        self.nic.acknowledge();
        self.take_finished();
        self.answer_question();
        if self.line.is_masked() {
            if !self.line.looked() {
                return;
            }
            interrupt::unmask(self.interrupts);
        }
        self.nic.listen();
        self.look_after_client();
        if self.nic.look() {
            defmt::warn!("a frame does not go: the device is reset");
            self.reset();
        }
    }

    /// Takes everything from the device that a client has given it which is dead.
    #[cold]
    fn look_after_client(&mut self) {
        // No bits: it only asks whether this life is over.
        if self.life != TaskId::KERNEL && ipc::post(self.life, 0) != abi::Code::OK {
            self.bury();
        }
    }

    /// Has the timer tell when it is time for a look, while the client has something under way.
    #[inline(always)]
    pub(crate) fn watch(&mut self) {
        let idle = self.nic.is_idle() && self.question.is_none();
        // A pause took the timer for itself.
        if idle && !self.line.is_masked() || self.watched && !Pause::was_made() {
            return;
        }
        self.set_watch();
    }

    #[cold]
    fn set_watch(&mut self) {
        Pause::forget();
        let every = if self.line.is_masked() {
            POLL_NS
        } else {
            LOOK_EVERY_NS
        };
        time::set_timer(Some(time::now().after(every)));
        self.watched = true;
    }

    /// Takes the pages that the device is done with, unmaps them all at once, then keeps the completions: when the client
    /// hears of one, the device has lost the page. Whether there was anything.
    #[inline]
    fn take_finished(&mut self) -> bool {
        let mut batch: Vec<Finished, DEPTH> = Vec::new();
        while !batch.is_full() {
            match self.nic.finished() {
                Ok(Some(finished)) => {
                    // Cannot fail: the batch is not full.
                    let _ = batch.push(finished);
                }
                Ok(None) => break,
                Err(fault) => {
                    userlib::give_up!("the device broke the protocol: {}", fault.name());
                }
            }
        }
        if batch.is_empty() {
            return false;
        }
        self.complete(&batch);
        true
    }

    fn complete(&mut self, batch: &[Finished]) {
        let mapped = batch.iter().filter(|finished| finished.page.mapped);
        self.data
            .unmap_runs(mapped.map(|finished| (finished.page.place(), 1)));
        for Finished { page, result } in batch {
            let (code, length) = match result {
                Ok(length) => (0, *length),
                Err(error) => (*error as u8, 0),
            };
            // It is this life's: those of another were taken from the device before this one was heard.
            self.tell_of(Completion::new(page.tag, code, 0, length));
        }
    }

    /// Answers who asked for another link, if there is one. Whether it did.
    fn answer_question(&mut self) -> bool {
        let Some(question) = self.question else {
            return false;
        };
        let link = self.nic.link();
        if link == question.known {
            return false;
        }
        self.question = None;
        self.tell_of(link.completion(question.tag));
        true
    }

    /// Keeps a completion for the client.
    fn tell_of(&mut self, completion: Completion) {
        if let Ok(place) = self.desk.place_of(self.life) {
            self.desk.finished(place, self.life, completion);
        }
    }

    /// Resets the device, and gives every page back. None is unmapped, or the client's again, before the device has stopped.
    #[cold]
    pub(crate) fn reset(&mut self) {
        self.stop();
        if let Err(error) = self.nic.start() {
            userlib::give_up!("{}", error.name());
        }
    }

    #[cold]
    fn stop(&mut self) {
        if let Err(error) = self.nic.stop(&mut Pause::new()) {
            userlib::give_up!("{}", error.name());
        }
        let mut left: Vec<Finished, DEPTH> = Vec::new();
        while let Some(page) = self.nic.abandoned() {
            let finished = Finished {
                page,
                result: Err(Error::Reset),
            };
            if let Err(finished) = left.push(finished) {
                self.complete(&left);
                left.clear();
                // Cannot fail: there is room again.
                let _ = left.push(finished);
            }
        }
        if !left.is_empty() {
            self.complete(&left);
        }
    }

    /// The machine is about to be switched off: the device is stopped, and every page goes back.
    pub(crate) fn end(&mut self) {
        if self.ends {
            return;
        }
        self.ends = true;
        self.stop();
        if let Some(question) = self.question.take() {
            self.tell_of(Completion::new(
                question.tag,
                Error::ShuttingDown as u8,
                0,
                0,
            ));
        }
        defmt::info!("the device is reset");
        if supervisor_api::client::finished().is_err() {
            userlib::give_up!("the supervisor does not listen");
        }
    }

    /// The device accessed what it was not given. It is told only addresses that are mapped: nothing that it says can be
    /// believed any more. That records were lost is no sign of that: any device can overflow the SMMU's queue.
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
        // Without a record the post says that the device was cut off, and what it has will never end; or that the client died
        // that has lent a pool.
        match self.data.claim.is_cut_off() {
            Ok(true) => userlib::give_up!("the device was cut off"),
            Ok(false) => self.look_after_client(),
            Err(error) => lost("status", error),
        }
    }

    /// Tells the client of what is done. If it waits, it is answered by the caller.
    #[inline]
    pub(crate) fn tell(&mut self) -> Option<(TaskId, Payload, usize)> {
        match self.desk.next_to_tell()? {
            Tell::Reply(client, payload, len) => Some((client, payload, len)),
            Tell::Post(client) => {
                if ipc::post(client, self.client.bit) != abi::Code::OK {
                    self.bury();
                }
                None
            }
        }
    }
}
