//! Serves clients: requests in, completions out.

use abi::{TASKS_MAX, TaskId};
use blk_api::{Error, Geometry, Kind, Operation, Submit, encode_collected};
use heapless::Vec;
use iommu_api::client::{Device, Failure, IovaList};
use iommu_api::enduring::Enduring;
use iommu_api::{Extent, FAULT_NOTIFICATION, MapFlags, PAGE};
use supervisor_api::SHUT_DOWN;
use userlib::delay::Delay;
use userlib::ipc::{self, Message, Payload, Received};
use userlib::memory::PoolMemory;
use userlib::plan::task::NotificationEntry;
use userlib::protocol::Wire;
use userlib::registers::MappedRegisters;
use userlib::{config, interrupt};
use virtio_blk::clients::Clients;
use virtio_blk::ending::{Ending, Step};
use virtio_blk::iovas::Iovas;
use virtio_blk::layout::{self, SLOTS_MAX};
use virtio_blk::losses::Losses;
use virtio_blk::request::{Finished, Request, Requests, admit, pages};
use virtio_blk::transport::{Isr, Negotiated, Transport};

use crate::start::Started;

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
    clients: Clients,
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
        clients: Clients::new(),
        done_bits: done_bits(),
        unmaps: IovaList::new(),
        losses: Losses::default(),
        ending: Ending::default(),
    };
    interrupt::unmask(service.interrupt);
    let mut received = ipc::receive(mask);
    loop {
        received = match received {
            Received::Message(message) => {
                let (code, payload, len) = service.serve(&message);
                ipc::reply_receive(message.sender, code, &payload, len, mask, &mut [])
            }
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
                ipc::receive(mask)
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
    fn serve(&mut self, message: &Message) -> Reply {
        let result = match Operation::from_number(message.operation) {
            Some(Operation::Submit) => self.submit(message).map(|()| ([0; 8], 0)),
            Some(Operation::Collect) => self.collect(message),
            Some(Operation::Geometry) => geometry(&self.negotiated.geometry, message),
            None => Err(Error::Malformed),
        };
        match result {
            Ok((payload, len)) => (0, payload, len),
            Err(error) => (error as u32, [0; 8], 0),
        }
    }

    fn submit(&mut self, message: &Message) -> Result<(), Error> {
        let submit = Submit::from_message(&message.payload, message.len).ok_or(Error::Malformed)?;
        if self.ending.refuses() {
            return Err(Error::ShuttingDown);
        }
        let [lease, _] = message.leases;
        let lease = (message.lease_count > 0).then_some(lease);
        let bytes = admit(&submit, &self.negotiated.geometry, lease)?;
        self.clients.admit(message.sender)?;
        if !self.requests.has_room() {
            return Err(Error::Busy);
        }
        let iova = match submit.kind {
            Kind::Flush => 0,
            Kind::Read => self.map(message.sender, bytes, MapFlags::READ_WRITE)?,
            Kind::Write => self.map(message.sender, bytes, MapFlags::READ)?,
        };
        let notify = self.requests.start(Request {
            client: message.sender,
            tag: submit.tag,
            kind: submit.kind,
            sector: submit.sector,
            bytes,
            iova,
        })?;
        self.clients.started(message.sender);
        if notify {
            self.transport.notify(&self.negotiated);
        }
        Ok(())
    }

    /// Maps the client's buffer for the device, where it is. The kernel keeps it in place until it is
    /// unmapped, even if the client dies.
    fn map(&mut self, client: TaskId, bytes: u32, flags: MapFlags) -> Result<u64, Error> {
        let pages = page_count(bytes);
        let extent = Extent { first: 0, pages };
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

    fn collect(&mut self, message: &Message) -> Result<(Payload, usize), Error> {
        // Checked before anything is taken: what a client cannot receive it would lose.
        if message.len != 0 || message.reply_capacity < 64 {
            return Err(Error::Malformed);
        }
        Ok(encode_collected(self.clients.collect(message.sender)))
    }

    /// Takes what the device is done with, unmaps it all at once, then tells the clients: when a client
    /// hears of its completion, the device has lost the buffer.
    fn device_interrupt(&mut self) {
        let isr = self.transport.acknowledge();
        if isr.contains(Isr::CONFIGURATION) && self.transport.needs_reset() {
            userlib::give_up!("the device asks for a reset");
        }
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
        self.unmap(&batch);
        for finished in &batch {
            let client = finished.request.client;
            if client == self.own
                && let Err(error) = finished.completion.result
            {
                userlib::give_up!("the device does not write out its cache: {}", error.name());
            }
            if self.clients.finished(client, finished.completion) {
                self.tell(client);
            }
        }
        interrupt::unmask(self.interrupt);
    }

    /// Does what is due on the way to a disk that may lose its power. What fails is not called finished: the driver
    /// dies of it, and its device is made quiet by others.
    fn go_on_ending(&mut self) {
        let idle = self.requests.is_idle();
        match self.ending.next(idle, self.negotiated.geometry.flush) {
            Step::Wait => {}
            Step::Flush => {
                let started = self.requests.start(Request {
                    client: self.own,
                    tag: 0,
                    kind: Kind::Flush,
                    sector: 0,
                    bytes: 0,
                    iova: 0,
                });
                match started {
                    Ok(true) => self.transport.notify(&self.negotiated),
                    Ok(false) => {}
                    Err(error) => userlib::give_up!("no room for a flush: {}", error.name()),
                }
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

    fn unmap(&mut self, batch: &[Finished]) {
        let result = match batch {
            [] => Ok(()),
            [Finished { request, .. }] if request.kind != Kind::Flush => self
                .claim
                .unmap(request.iova, u64::from(page_count(request.bytes))),
            _ => self.unmap_all(batch),
        };
        if let Err(error) = result {
            lost("unmap", error)
        }
        for Finished { request, .. } in batch {
            if request.kind != Kind::Flush {
                self.iovas
                    .give(request.iova, page_count(request.bytes) as usize);
            }
        }
    }

    fn unmap_all(&mut self, batch: &[Finished]) -> Result<(), Failure> {
        self.unmaps.clear();
        let mut any = false;
        for Finished { request, .. } in batch {
            if request.kind != Kind::Flush {
                let first = (request.iova / PAGE) as u32;
                any |= self.unmaps.push(Extent {
                    first,
                    pages: page_count(request.bytes),
                });
            }
        }
        if any {
            self.claim.unmap_list(&mut self.unmaps)
        } else {
            Ok(())
        }
    }

    fn tell(&mut self, client: TaskId) {
        let bit = self.done_bits.get(client.index()).copied().unwrap_or(0);
        if bit != 0 && ipc::post(client, bit) != abi::Code::OK {
            self.clients.forget(client);
        }
    }
}

/// Pages of a buffer for so many bytes.
fn page_count(bytes: u32) -> u32 {
    (pages(u64::from(bytes)) / PAGE) as u32
}

fn geometry(geometry: &Geometry, message: &Message) -> Result<(Payload, usize), Error> {
    if message.len != 0 || message.reply_capacity < Geometry::LEN {
        return Err(Error::Malformed);
    }
    Ok((geometry.to_words(), Geometry::LEN))
}

/// The IOMMU server refuses what it must grant, or is gone for good: which requests the device can still reach is
/// not known any more. The driver's death makes the server cut the device off and reset it.
fn lost(what: &str, error: Failure) -> ! {
    userlib::give_up!("iommu, {what}: {}", error.name())
}
