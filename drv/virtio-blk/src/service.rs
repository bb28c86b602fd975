//! Serves clients: requests in, completions out.

use abi::{TASKS_MAX, TaskId};
use blk_api::{Completion, DEPTH, Error, Geometry, Kind, LEASE, Operation};
use heapless::Vec;
use iommu_api::client::{Device, Failure, IovaList};
use iommu_api::enduring::Enduring;
use iommu_api::{Extent, FAULT_NOTIFICATION, MapFlags, PAGE};
use queue_api::desk::{Desk, Place, Tell, requests};
use supervisor_api::SHUT_DOWN;
use userlib::delay::Delay;
use userlib::ipc::{self, Message, Payload, Received};
use userlib::memory::PoolMemory;
use userlib::plan::task::NotificationEntry;
use userlib::protocol::Wire;
use userlib::registers::MappedRegisters;
use userlib::{config, interrupt};
use virtio_blk::ending::{Ending, Step};
use virtio_blk::iovas::Iovas;
use virtio_blk::layout::{self, SLOTS_MAX};
use virtio_blk::losses::Losses;
use virtio_blk::request::{Finished, Lent, Request, Requests, admit};
use virtio_blk::transport::{Isr, Negotiated, Transport};

use crate::start::Started;

/// Most tasks that this driver serves.
const CLIENTS_MAX: usize = 8;

/// The driver at work.
struct Service<'s> {
    /// The driver's own id: the last flush is a request of its own.
    own: TaskId,
    interrupt: u32,
    /// The bit by which the IOMMU server tells of faults; 0 if the plan gives it none.
    fault: u32,
    claim: Enduring<Device<'s>>,
    iovas: Iovas,
    transport: Transport<MappedRegisters>,
    negotiated: Negotiated,
    requests: Requests<PoolMemory>,
    desk: Desk<CLIENTS_MAX, DEPTH>,
    /// The bit to post to each task, by index; 0 for those that are no clients.
    done_bits: [u32; TASKS_MAX],
    unmaps: IovaList,
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
        iovas: iovas(&started),
        claim: started.claim,
        transport: started.transport,
        negotiated: started.negotiated,
        requests: Requests::new(started.queue, started.readable, started.writable),
        desk: Desk::new(),
        done_bits: done_bits(),
        unmaps: IovaList::new(),
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

/// The IOVAs at which buffers may be mapped, which are not those of the queue.
fn iovas(started: &Started<'_>) -> Iovas {
    let window = started.claim.device().window();
    let mut iovas = Iovas::new(window.iova_base, window.pages);
    let queue = [
        (started.readable, layout::READABLE_LEN),
        (started.writable, layout::WRITABLE_LEN),
    ];
    for (iova, len) in queue {
        iovas.avoid(iova, len / PAGE as usize);
    }
    iovas
}

impl Service<'_> {
    fn serve(&mut self, message: &Message) -> Option<Reply> {
        match Operation::from_number(message.operation) {
            Some(Operation::Run) => self.run(message, false),
            Some(Operation::Wait) => self.run(message, true),
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
        let lent = (message.lease_count > 0).then(|| Lent::of(message.leases[0]));
        let mut any = false;
        for request in requests(&message.payload, taken.count) {
            match self.start(message.sender, taken.place, request, lent) {
                Ok(()) => any = true,
                Err(error) => {
                    let completion = Completion::new(request.tag(), error as u8, 0, 0);
                    self.desk.finished(taken.place, message.sender, completion);
                }
            }
        }
        if any {
            self.announce();
        }
        let (payload, len) = self.desk.answer(taken.place, waits)?;
        Some((0, payload, len))
    }

    fn announce(&mut self) {
        if self.requests.announce() {
            self.transport.notify(&self.negotiated);
        }
    }

    /// Checks a request, maps its data for the device, and gives it to the device.
    #[inline]
    fn start(
        &mut self,
        client: TaskId,
        place: Place,
        request: queue_api::Request,
        lent: Option<Lent>,
    ) -> Result<(), Error> {
        if self.ending.refuses() {
            return Err(Error::ShuttingDown);
        }
        let lent = lent.filter(|_| request.region() == LEASE);
        let kind = admit(request, &self.negotiated.geometry, lent)?;
        if !self.requests.has_room() {
            return Err(Error::Busy);
        }
        let extent = Extent {
            first: request.page(),
            pages: request.pages(),
        };
        let iova = match kind {
            Kind::Flush => 0,
            Kind::Read => self.map(client, extent, MapFlags::READ_WRITE)?,
            Kind::Write => self.map(client, extent, MapFlags::READ)?,
        };
        let request_of = Request {
            client,
            iova: iova + u64::from(request.offset()),
            place: Some(place),
            tag: request.tag(),
            kind,
            bytes: request.length(),
        };
        self.requests.start(request_of, request.position())
    }

    /// Maps the client's buffer for the device, where it is. The kernel keeps it in place until it is
    /// unmapped, even if the client dies.
    fn map(&mut self, client: TaskId, extent: Extent, flags: MapFlags) -> Result<u64, Error> {
        let pages = extent.pages;
        loop {
            let iova = self.iovas.take(pages as usize).ok_or(Error::Busy)?;
            let failure = match self.claim.map_lease_at(client, 0, extent, flags, iova) {
                Ok(()) => return Ok(iova),
                // The plan has something mapped there; each time there is less to choose from.
                Err(Failure::Refused(iommu_api::Error::Overlap)) => continue,
                Err(failure) => failure,
            };
            self.iovas.give(iova, pages as usize);
            return Err(match failure {
                Failure::Refused(
                    iommu_api::Error::NoLease
                    | iommu_api::Error::BadPermissions
                    | iommu_api::Error::BadMemory,
                ) => Error::BadLease,
                Failure::Refused(iommu_api::Error::PinsExhausted | iommu_api::Error::Busy) => {
                    Error::Busy
                }
                failure => lost("map", failure),
            });
        }
    }

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
        self.unmap(&batch);
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
            match self.claim.next_fault() {
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
        match self.claim.is_cut_off() {
            Ok(true) => userlib::give_up!("the device was cut off"),
            Ok(false) => {}
            Err(error) => lost("status", error),
        }
    }

    /// Takes the data of finished requests from the device, all in one message.
    #[inline]
    fn unmap(&mut self, batch: &[Finished]) {
        self.unmaps.clear();
        let mut last = Extent::default();
        for finished in batch {
            let request = self.requests.request(finished.slot);
            if request.kind == Kind::Flush {
                continue;
            }
            let (iova, pages) = request.pages();
            self.iovas.give(iova, pages as usize);
            last = Extent {
                first: (iova / PAGE) as u32,
                pages,
            };
            // Cannot fail: a list has room for more than there are slots.
            let _ = self.unmaps.push(last);
        }
        let result = match self.unmaps.extents().count() {
            0 => Ok(()),
            1 => {
                let iova = u64::from(last.first) * PAGE;
                self.claim.unmap(iova, u64::from(last.pages))
            }
            _ => self.claim.unmap_list(&mut self.unmaps),
        };
        if let Err(error) = result {
            lost("unmap", error)
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

fn refuse(error: Error) -> Reply {
    (error as u32, [0; 8], 0)
}

fn geometry(geometry: &Geometry, message: &Message) -> Reply {
    if message.len != 0 || message.reply_capacity < Geometry::LEN {
        return refuse(Error::Malformed);
    }
    (0, geometry.to_words(), Geometry::LEN)
}

/// The IOMMU server refuses what it must grant, or is gone for good: which requests the device can still reach is
/// not known any more. The driver's death makes the server cut the device off and reset it.
fn lost(what: &str, error: Failure) -> ! {
    userlib::give_up!("iommu, {what}: {}", error.name())
}
