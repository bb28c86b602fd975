//! The driver's loop: who asks for what, and who is answered.

use abi::{TaskId, notification};
use blk_server::batch::Batch;
use blk_server::data::Data;
use blk_server::line::Line;
use blk_server::losses::Losses;
use blk_server::pause::Pause;
use blk_server::regions::Regions;
use blk_server::start::Claim;
use iommu_api::FAULT_NOTIFICATION;
use nic_api::{DEPTH, Error, FRAME_MAX, Interface, Link, Operation, ROOM};
use queue_api::desk::Desk;
use supervisor_api::SHUT_DOWN;
use userlib::ipc::{self, Message, Payload, Received};
use userlib::memory::Memory;
use userlib::plan::task::NotificationEntry;
use userlib::protocol::Wire;
use userlib::registers::Registers;
use userlib::{config, interrupt};

use crate::device::Nic;
use crate::layout::POOL_LEN;

/// The task that the plan gives the interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// Its number in the plan.
    pub(crate) index: usize,
    /// The bit to post to it.
    pub(crate) bit: u32,
}

impl Client {
    /// The one task to which the plan lets the driver post [`nic_api::DONE`]; none if there is none, or another as well.
    pub fn of_plan() -> Option<Self> {
        let entries = config::table::<NotificationEntry>().iter();
        let own = ipc::who_am_i().index();
        let mut clients = entries
            .filter(|entry| entry.name.as_str() == nic_api::DONE && entry.task as usize != own);
        let entry = clients.next()?;
        clients.next().is_none().then_some(Self {
            index: entry.task as usize,
            bit: entry.bit,
        })
    }
}

/// A request for another link, which waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    pub(crate) tag: u16,
    pub(crate) known: Link,
}

/// A driver at work.
pub struct Service<'s, R, M> {
    pub(crate) interrupts: u32,
    /// The bit by which the IOMMU server tells of faults; 0 if the plan gives it none.
    fault: u32,
    pub(crate) client: Client,
    /// The life of the client that has pages here, or had.
    pub(crate) life: TaskId,
    pub(crate) data: Data<'s>,
    /// What the client lends for good stays mapped, as the parameter `keep-mapped` says.
    pub(crate) keeps_mapped: bool,
    pub(crate) regions: Regions<1>,
    pub(crate) batch: Batch,
    pub(crate) nic: Nic<R, M>,
    pub(crate) desk: Desk<1, DEPTH>,
    pub(crate) question: Option<Question>,
    pub(crate) losses: Losses,
    pub(crate) line: Line,
    /// The machine is about to be switched off.
    pub(crate) ends: bool,
    /// The timer will tell when it is time for a look.
    pub(crate) watched: bool,
}

/// Code, payload and length of a reply.
pub(crate) type Reply = (u32, Payload, usize);

/// A device that was claimed, and whose driver's memory is mapped at a place.
pub struct Claimed<'s, R, M> {
    /// The claim on it.
    pub claim: Claim<'s>,
    /// The notification bits of its interrupts.
    pub interrupts: u32,
    /// The IOVA of the driver's own memory.
    pub place: u64,
    /// The task that it is for.
    pub client: Client,
    /// The device.
    pub nic: Nic<R, M>,
}

/// Serves for ever.
pub fn serve<R: Registers, M: Memory>(claimed: Claimed<'_, R, M>) -> ! {
    let fault = config::notification(FAULT_NOTIFICATION).unwrap_or(0);
    let shut_down = config::notification(SHUT_DOWN).unwrap_or(0);
    let mask = claimed.interrupts | fault | shut_down | notification::TIMER;
    let mut service = Service {
        interrupts: claimed.interrupts,
        fault,
        client: claimed.client,
        life: TaskId::KERNEL,
        data: Data::new(claimed.claim, &[(claimed.place, POOL_LEN)]),
        keeps_mapped: config::parameter("keep-mapped") == Some(1),
        regions: Regions::new(),
        batch: Batch::new(),
        nic: claimed.nic,
        desk: Desk::new(),
        question: None,
        losses: Losses::default(),
        line: Line::default(),
        ends: false,
        watched: false,
    };
    service.bring_up();
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
                // Before the frames: a device that faulted reports success all the same.
                if bits & service.fault != 0 {
                    service.fault();
                }
                let interrupts = bits & service.interrupts;
                if interrupts != 0 {
                    service.device_interrupt(interrupts);
                }
                if bits & notification::TIMER != 0 {
                    service.timer();
                }
                if bits & shut_down != 0 {
                    service.end();
                }
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

impl<R: Registers, M: Memory> Service<'_, R, M> {
    fn bring_up(&mut self) {
        if let Err(error) = self.nic.stop(&mut Pause::new()) {
            userlib::give_up!("{}", error.name());
        }
        if let Err(error) = self.nic.start() {
            userlib::give_up!("{}", error.name());
        }
        let [a, b, c, d, e, f] = self.nic.address();
        let link = self.nic.link();
        defmt::info!(
            "{=u8:02x}:{=u8:02x}:{=u8:02x}:{=u8:02x}:{=u8:02x}:{=u8:02x}, link {=u32} Mbit/s",
            a,
            b,
            c,
            d,
            e,
            f,
            link.speed
        );
    }

    fn serve(&mut self, message: &Message) -> Option<Reply> {
        if message.sender.index() != self.client.index {
            return Some(refuse(Error::NotClient));
        }
        self.know(message.sender);
        match Operation::from_number(message.operation) {
            Some(Operation::Run) => self.run(message, false),
            Some(Operation::Wait) => self.run(message, true),
            Some(Operation::Lend) => Some(done(self.lend(message))),
            Some(Operation::Forget) => Some(done(self.forget(message))),
            Some(Operation::Interface) => Some(self.interface(message)),
            None => Some(refuse(Error::Malformed)),
        }
    }

    fn interface(&self, message: &Message) -> Reply {
        if message.len != 0 || message.reply_capacity < Interface::LEN {
            return refuse(Error::Malformed);
        }
        let interface = Interface {
            address: self.nic.address(),
            frame_max: FRAME_MAX,
            room: ROOM,
            depth: DEPTH as u32,
            link: self.nic.link(),
        };
        (0, interface.to_words(), Interface::LEN)
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
