//! The driver's loop: who asks for what, and who is answered.

use abi::{TASKS_MAX, TaskId, notification};
use blk_api::{DEPTH, Error, Geometry, Operation};
use iommu_api::FAULT_NOTIFICATION;
use iommu_api::client::Device;
use iommu_api::enduring::Enduring;
use queue_api::desk::Desk;
use supervisor_api::SHUT_DOWN;
use userlib::ipc::{self, Message, Payload, Received};
use userlib::plan::task::NotificationEntry;
use userlib::protocol::Wire;
use userlib::{config, interrupt};

use crate::batch::Batch;
use crate::controller::Controller;
use crate::data::Data;
use crate::ending::Ending;
use crate::line::Line;
use crate::losses::Losses;
use crate::pause::Pause;
use crate::regions::Regions;

/// Most tasks that a driver serves.
pub const CLIENTS_MAX: usize = 8;

/// A driver at work.
pub struct Service<'s, C> {
    /// The driver's own id: the last flush is a request of its own.
    pub(crate) own: TaskId,
    pub(crate) interrupts: u32,
    /// The bit by which the IOMMU server tells of faults; 0 if the plan gives it none.
    fault: u32,
    pub(crate) data: Data<'s>,
    /// What a client lends for good stays mapped, as the parameter `keep-mapped` says.
    pub(crate) keeps_mapped: bool,
    /// Something stays mapped of a client that died, until the device is done with its requests.
    pub(crate) keeps_of_dead: bool,
    pub(crate) regions: Regions<CLIENTS_MAX>,
    pub(crate) batch: Batch,
    pub(crate) controller: C,
    pub(crate) desk: Desk<CLIENTS_MAX, DEPTH>,
    /// The bit to post to each task, by index; 0 for those that are no clients.
    pub(crate) done_bits: [u32; TASKS_MAX],
    pub(crate) losses: Losses,
    pub(crate) ending: Ending,
    pub(crate) line: Line,
    /// The timer will tell when it is time to look at requests under way.
    pub(crate) watched: bool,
}

/// Code, payload and length of a reply.
pub(crate) type Reply = (u32, Payload, usize);

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

/// A device that was claimed and brought up.
pub struct Claimed<'s, 'a> {
    /// The claim on it.
    pub claim: Enduring<Device<'s>, Pause>,
    /// The notification bits of its interrupts.
    pub interrupts: u32,
    /// The places and lengths of the driver's own memory that is mapped for it.
    pub own: &'a [(u64, usize)],
}

/// Serves for ever. The service is made where it stays: it is too large to be moved about on the stack.
pub fn serve<C: Controller>(claimed: Claimed<'_, '_>, controller: impl FnOnce() -> C) -> ! {
    let fault = config::notification(FAULT_NOTIFICATION).unwrap_or(0);
    let shut_down = config::notification(SHUT_DOWN).unwrap_or(0);
    let timer = C::LOOK_EVERY_NS.map_or(0, |_| notification::TIMER);
    let mask = claimed.interrupts | fault | shut_down | timer;
    let mut service = Service {
        own: ipc::who_am_i(),
        interrupts: claimed.interrupts,
        fault,
        data: Data::new(claimed.claim, claimed.own),
        keeps_mapped: config::parameter("keep-mapped") == Some(1),
        keeps_of_dead: false,
        regions: Regions::new(),
        batch: Batch::new(),
        controller: controller(),
        desk: Desk::new(),
        done_bits: done_bits(),
        losses: Losses::default(),
        ending: Ending::default(),
        line: Line::default(),
        watched: false,
    };
    interrupt::unmask(service.interrupts);
    let mut received = ipc::receive(mask);
    loop {
        received = match received {
            Received::Message(message) => {
                let reply = service.serve(&message);
                service.watch();
                match reply {
                    Some((code, payload, len)) => {
                        ipc::reply_receive(message.sender, code, &payload, len, mask, &mut [])
                    }
                    None => ipc::receive(mask),
                }
            }
            Received::Notification(bits) => {
                // Before the completions: a device that faulted reports success all the same.
                if bits & service.fault != 0 {
                    service.fault();
                }
                let interrupts = bits & service.interrupts;
                if interrupts != 0 {
                    service.device_interrupt(interrupts);
                }
                if bits & timer != 0 {
                    service.timer();
                }
                if bits & shut_down != 0 {
                    service.ending.ask();
                }
                service.go_on_ending();
                let told = service.tell();
                service.watch();
                match told {
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

impl<C: Controller> Service<'_, C> {
    fn serve(&mut self, message: &Message) -> Option<Reply> {
        match Operation::from_number(message.operation) {
            Some(Operation::Run) => self.run(message, false),
            Some(Operation::Wait) => self.run(message, true),
            Some(Operation::Lend) => Some(done(self.lend(message))),
            Some(Operation::Forget) => Some(done(self.forget(message))),
            Some(Operation::Geometry) => {
                let geometry = self.controller.geometry(message.sender);
                Some(geometry_reply(geometry, message))
            }
            None => Some(refuse(Error::Malformed)),
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

pub(crate) fn refuse(error: Error) -> Reply {
    (error as u32, [0; 8], 0)
}

fn geometry_reply(geometry: &Geometry, message: &Message) -> Reply {
    if message.len != 0 || message.reply_capacity < Geometry::LEN {
        return refuse(Error::Malformed);
    }
    (0, geometry.to_words(), Geometry::LEN)
}
