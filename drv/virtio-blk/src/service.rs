//! Serves clients: requests in, completions out.

use abi::{TASKS_MAX, TaskId};
use blk_api::{Completion, DEPTH, Error, Geometry, Kind, LEASE, Operation};
use heapless::Vec;
use iommu_api::{Extent, FAULT_NOTIFICATION, PAGE};
use queue_api::desk::{Desk, Place, Tell, requests};
use supervisor_api::SHUT_DOWN;
use userlib::delay::Delay;
use userlib::ipc::{self, Message, Payload, Received};
use userlib::memory::PoolMemory;
use userlib::plan::task::NotificationEntry;
use userlib::protocol::Wire;
use userlib::registers::MappedRegisters;
use userlib::{config, interrupt};
use virtio_blk::batch::Batch;
use virtio_blk::ending::{Ending, Step};
use virtio_blk::layout::SLOTS_MAX;
use virtio_blk::losses::Losses;
use virtio_blk::regions::Regions;
use virtio_blk::request::{Finished, Lent, Request, Requests, admit};
use virtio_blk::transport::{Isr, Negotiated, Transport};

use crate::data::{Data, lost};
use crate::start::Started;

/// Most tasks that this driver serves.
const CLIENTS_MAX: usize = 8;

/// The driver at work.
pub struct Service<'s> {
    /// The driver's own id: the last flush is a request of its own.
    own: TaskId,
    interrupt: u32,
    /// The bit by which the IOMMU server tells of faults; 0 if the plan gives it none.
    fault: u32,
    pub(crate) data: Data<'s>,
    /// What a client lends for good stays mapped, as the parameter `keep-mapped` says.
    pub(crate) keeps_mapped: bool,
    pub(crate) regions: Regions<CLIENTS_MAX>,
    batch: Batch,
    transport: Transport<MappedRegisters>,
    negotiated: Negotiated,
    pub(crate) requests: Requests<PoolMemory>,
    pub(crate) desk: Desk<CLIENTS_MAX, DEPTH>,
    /// The bit to post to each task, by index; 0 for those that are no clients.
    done_bits: [u32; TASKS_MAX],
    losses: Losses,
    ending: Ending,
}

/// Code, payload and length of a reply.
type Reply = (u32, Payload, usize);

/// The bit to post to each task when it has something to collect.
fn done_bits() -> [u32; TASKS_MAX] {
    let mut bits = [0; TASKS_MAX];
    for entry in config::table::<NotificationEntry>() {
        if let Some(bit) = bits.get_mut(entry.task as usize)
            && entry.name.as_str() == blk_api::DONE
        {
            *bit = entry.bit;
        }
    }
    bits
}

/// Serves for ever. The service is made where it stays: it is too large to be moved about on the stack.
pub fn serve(started: Started<'_>) -> ! {
    let fault = config::notification(FAULT_NOTIFICATION).unwrap_or(0);
    let shut_down = config::notification(SHUT_DOWN).unwrap_or(0);
    let mask = started.interrupt | fault | shut_down;
    let mut service = Service {
        own: ipc::who_am_i(),
        interrupt: started.interrupt,
        fault,
        data: Data::new(started.claim, started.readable, started.writable),
        keeps_mapped: config::parameter("keep-mapped") == Some(1),
        regions: Regions::new(),
        batch: Batch::new(),
        transport: started.transport,
        negotiated: started.negotiated,
        requests: Requests::new(started.queue, started.readable, started.writable),
        desk: Desk::new(),
        done_bits: done_bits(),
        losses: Losses::default(),
        ending: Ending::default(),
    };
    interrupt::unmask(service.interrupt);
    let mut received = ipc::receive(mask);
    loop {
        received = match received {
            Received::Message(message) => match service.serve(&message) {
                Some((code, payload, len)) => {
                    ipc::reply_receive(message.sender, code, &payload, len, mask, &mut [])
                }
                None => ipc::receive(mask),
            },
            Received::Notification(bits) => {
                // Before the completions: a device that faulted reports success all the same.
                if bits & service.fault != 0 {
                    service.fault();
                }
                if bits & service.interrupt != 0 {
                    service.device_interrupt();
                }
                if bits & shut_down != 0 {
                    service.ending.ask();
                }
                service.go_on_ending();
                match service.tell() {
                    Some((client, payload, len)) => {
                        ipc::reply_receive(client, 0, &payload, len, mask, &mut [])
                    }
                    None => ipc::receive(mask),
                }
            }
            Received::Dead => ipc::receive(mask),
        };
    }
}

impl Service<'_> {
    fn serve(&mut self, message: &Message) -> Option<Reply> {
        match Operation::from_number(message.operation) {
            Some(Operation::Run) => self.run(message, false),
            Some(Operation::Wait) => self.run(message, true),
            Some(Operation::Lend) => Some(done(self.lend(message))),
            Some(Operation::Forget) => Some(done(self.forget(message))),
            Some(Operation::Geometry) => Some(geometry(&self.negotiated.geometry, message)),
            None => Some(refuse(Error::Malformed)),
        }
    }

    /// Takes the requests of a message. The reply is none if the client waits for it.
    #[inline]
    fn run(&mut self, message: &Message, waits: bool) -> Option<Reply> {
        let taken = match self.desk.take(message) {
            Ok(taken) => taken,
            Err(refused) => return Some(refuse(refused.into())),
        };
        let (client, place) = (message.sender, taken.place);
        for request in requests(&message.payload, taken.count) {
            if let Err(error) = self.begin(message, place, request) {
                self.refuse(client, place, request, error);
            }
        }
        self.begin_batch(client, place);
        self.announce();
        let (payload, len) = self.desk.answer(place, waits)?;
        Some((0, payload, len))
    }

    /// The completion of a request that the device does not get.
    #[cold]
    fn refuse(&mut self, client: TaskId, place: Place, request: queue_api::Request, error: Error) {
        let completion = Completion::new(request.tag(), error as u8, 0, 0);
        self.desk.finished(place, client, completion);
    }

    /// Lets the device see what was started since the last time.
    #[inline]
    fn announce(&mut self) {
        if self.requests.announce() {
            self.transport.notify(&self.negotiated);
        }
    }

    /// Checks a request, and starts it. One whose data is in a region waits for others, which are mapped with it.
    #[inline]
    fn begin(
        &mut self,
        message: &Message,
        place: Place,
        request: queue_api::Request,
    ) -> Result<(), Error> {
        if self.ending.refuses() {
            return Err(Error::ShuttingDown);
        }
        let client = message.sender;
        if request.region() != LEASE {
            let Some(region) = self.regions.get(place.number(), client, request.region()) else {
                // A flush has no data, so that it needs no region; all else is refused.
                let kind = self.admit(request, None)?;
                return self.start(client, place, request, kind, 0, false);
            };
            let (pool, stays, lent) = (region.pool(), region.stays(), region.lent());
            let kind = self.admit(request, Some(lent))?;
            if let (Some(base), false) = (stays, kind == Kind::Flush) {
                let iova = base + u64::from(request.page()) * PAGE;
                return self.start(client, place, request, kind, iova, false);
            }
            if kind != Kind::Flush {
                if self.batch.add(pool, kind, request) {
                    return Ok(());
                }
                self.begin_batch(client, place);
                // An empty one takes any request; one that it did not take would never be answered.
                let added = self.batch.add(pool, kind, request);
                return added.then_some(()).ok_or(Error::Busy);
            }
        }
        let [lease, _] = message.leases;
        let lent = (message.lease_count > 0).then(|| Lent::of(lease));
        let kind = self.admit(request, lent)?;
        if kind == Kind::Flush {
            return self.start(client, place, request, kind, 0, false);
        }
        if !self.requests.has_room() {
            return Err(Error::Busy);
        }
        let extent = Extent {
            first: request.page(),
            pages: request.pages(),
        };
        let iova = self.data.map_lease(client, extent, kind == Kind::Read)?;
        self.start(client, place, request, kind, iova, true)
    }

    #[inline]
    fn admit(&self, request: queue_api::Request, lent: Option<Lent>) -> Result<Kind, Error> {
        admit(request, &self.negotiated.geometry, lent)
    }

    /// Maps the data of the requests that wait, and starts them.
    #[inline]
    fn begin_batch(&mut self, client: TaskId, place: Place) {
        if self.batch.is_empty() {
            return;
        }
        let mapped = if self.requests.room() < self.batch.len() {
            Err(Error::Busy)
        } else {
            self.data.map_batch(&self.batch)
        };
        let kind = self.batch.kind();
        let requests = self.batch.take();
        let mut iova = match mapped {
            Ok(iova) => iova,
            Err(error) => {
                for request in requests {
                    self.refuse(client, place, request, error);
                }
                return;
            }
        };
        for request in &requests {
            // There is room; a request that is not started all the same would never be answered.
            if let Err(error) = self.start(client, place, *request, kind, iova, true) {
                self.refuse(client, place, *request, error);
            }
            iova += u64::from(request.pages()) * PAGE;
        }
    }

    /// Gives a request to the device, whose data begins in the page at `iova`.
    #[inline]
    fn start(
        &mut self,
        client: TaskId,
        place: Place,
        request: queue_api::Request,
        kind: Kind,
        iova: u64,
        mapped: bool,
    ) -> Result<(), Error> {
        let started = Request {
            client,
            iova: iova + u64::from(request.offset()),
            place: Some(place),
            tag: request.tag(),
            kind,
            bytes: request.length(),
            mapped,
        };
        self.requests.start(started, request.position())
    }

    /// The device has something to say.
    fn device_interrupt(&mut self) {
        let isr = self.transport.acknowledge();
        if isr.contains(Isr::CONFIGURATION) && self.transport.needs_reset() {
            userlib::give_up!("the device asks for a reset");
        }
        self.take_finished();
        interrupt::unmask(self.interrupt);
    }

    /// Takes what the device is done with, unmaps it all at once, then keeps the completions: when a client
    /// hears of one, the device has lost the buffer.
    #[inline]
    fn take_finished(&mut self) {
        let mut batch: Vec<Finished, SLOTS_MAX> = Vec::new();
        while !batch.is_full() {
            match self.requests.finished() {
                Ok(Some(finished)) => {
                    // Cannot fail: the batch is not full.
                    let _ = batch.push(finished);
                }
                Ok(None) => break,
                Err(fault) => {
                    self.transport.fail();
                    userlib::give_up!("the device broke the protocol: {}", fault.name());
                }
            }
        }
        if batch.is_empty() {
            return;
        }
        self.data.unmap_finished(&batch, &self.requests);
        for finished in &batch {
            let request = self.requests.request(finished.slot);
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
    }

    /// Does what is due on the way to a disk that may lose its power. What fails is not called finished: the driver
    /// dies of it, and its device is made quiet by others.
    fn go_on_ending(&mut self) {
        let idle = self.requests.is_idle();
        match self.ending.next(idle, self.negotiated.geometry.flush) {
            Step::Wait => {}
            Step::Flush => {
                let flush = Request {
                    client: self.own,
                    iova: 0,
                    place: None,
                    tag: 0,
                    kind: Kind::Flush,
                    bytes: 0,
                    mapped: false,
                };
                if let Err(error) = self.requests.start(flush, 0) {
                    userlib::give_up!("no room for a flush: {}", error.name());
                }
                self.announce();
            }
            Step::Finish => {
                if let Err(error) = self.transport.reset(&mut Delay::new()) {
                    userlib::give_up!("{}", error.name());
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
    fn fault(&mut self) {
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
        // Without a record the post says that the device was cut off: what it has will never end.
        match self.data.claim.is_cut_off() {
            Ok(true) => userlib::give_up!("the device was cut off"),
            Ok(false) => {}
            Err(error) => lost("status", error),
        }
    }

    /// Tells the clients of what is done. The last one that waits is answered by the caller.
    #[inline]
    fn tell(&mut self) -> Option<(TaskId, Payload, usize)> {
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

/// A reply without content.
fn done(result: Result<(), Error>) -> Reply {
    match result {
        Ok(()) => (0, [0; 8], 0),
        Err(error) => refuse(error),
    }
}

fn refuse(error: Error) -> Reply {
    (error as u32, [0; 8], 0)
}

fn geometry(geometry: &Geometry, message: &Message) -> Reply {
    if message.len != 0 || message.reply_capacity < Geometry::LEN {
        return refuse(Error::Malformed);
    }
    (0, geometry.to_words(), Geometry::LEN)
}
