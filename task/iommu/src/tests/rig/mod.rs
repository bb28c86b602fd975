//! The server on its fakes, and what tests ask of it.

mod around;
mod driver;
mod image;

use std::cell::RefCell;
use std::rc::Rc;

use abi::TaskId;
use iommu_api::*;
use pci_api::{QuiesceFailure, QuiesceState};
use smmu::registers::CMDQ_PROD;
use smmu::{Command, QueueIndex};
use userlib::ipc::Payload;
use userlib::protocol::Wire;

use super::fake::Handle as Smmu;
use super::journal::Journal;
use crate::hardware::Hardware;
use crate::plan_view::PlanView;
use crate::{Reply, Request, Server};

pub use around::{Around, Shared};
pub use driver::Driver;
pub use image::*;

pub struct Rig {
    pub server: Server<'static, Smmu, Shared>,
    pub smmu: Smmu,
    pub around: Rc<RefCell<Around>>,
}

impl Rig {
    /// Before the boot.
    pub fn cold() -> Self {
        Self::planned(plan())
    }
    /// Before the boot of a server with another plan, over tables like those of [`plan`].
    pub fn planned(plan: PlanView<'static>) -> Self {
        let around = Around::default();
        let mut fake = tables(&plan);
        fake.journal = around.journal.clone();
        let smmu = Smmu(Rc::new(RefCell::new(fake)));
        Self::with(plan, smmu, Rc::new(RefCell::new(around)))
    }
    /// A server's life over existing hardware.
    pub fn over(smmu: Smmu, around: Rc<RefCell<Around>>) -> Self {
        Self::with(plan(), smmu, around)
    }
    /// The same with another plan.
    pub fn with(plan: PlanView<'static>, smmu: Smmu, around: Rc<RefCell<Around>>) -> Self {
        let server = Server::new(plan, Shared(around.clone()), |_| smmu.clone()).unwrap();
        Self {
            server,
            smmu,
            around,
        }
    }
    pub fn booted() -> Self {
        let mut rig = Self::cold();
        rig.server.boot();
        rig
    }

    pub fn ask(&mut self, sender: TaskId, operation: Operation, words: &[u64]) -> Reply {
        // What is in registers is not in memory, and the other way round.
        let len = size_of_val(words);
        let mut payload = [!0; 8];
        let mut long = words;
        if len <= abi::REGISTER_BYTES {
            payload[..words.len()].copy_from_slice(words);
            long = &[];
        }
        let reply = self.server.handle(&Request {
            sender,
            operation: operation as u16,
            len,
            reply_capacity: 64,
            payload,
            long,
            leases: 0,
        });
        assert!(self.server.is_at_rest());
        reply
    }
    /// The code and payload of a reply at once.
    pub fn now(&mut self, sender: TaskId, operation: Operation, words: &[u64]) -> (u32, Payload) {
        match self.ask(sender, operation, words) {
            Reply::Now { code, payload, .. } => (code, payload),
            Reply::Later => panic!("{operation:?} is late"),
        }
    }

    /// Claims a device, through its quiesce if it needs one.
    pub fn claim(&mut self, sender: TaskId, device: u32) -> Driver {
        let payload = match self.ask(sender, Operation::Claim, &[u64::from(device)]) {
            Reply::Now { code, payload, .. } => {
                assert_eq!(code, 0);
                payload
            }
            Reply::Later => {
                self.server.on_quiesced();
                assert!(self.server.is_at_rest());
                let (to, code, payload, len) = self.around.borrow_mut().replies.pop().unwrap();
                assert_eq!((to, code, len), (sender, 0, Claim::LEN));
                payload
            }
        };
        let claim = Claim::from_words(&payload).unwrap();
        Driver {
            id: sender,
            handle: claim.handle,
            sequence: claim.sequence,
        }
    }
    pub fn status(&mut self, device: u32) -> Status {
        let (code, payload) = self.now(task(3), Operation::Status, &[u64::from(device)]);
        assert_eq!(code, 0);
        Status::from_words(&payload).unwrap()
    }
    pub fn reach(&self, stream: u32, iova: u64) -> Option<u64> {
        self.smmu.0.borrow_mut().access(stream, iova, true)
    }
    pub fn read(&self, stream: u32, iova: u64) -> Option<u64> {
        self.smmu.0.borrow_mut().access(stream, iova, false)
    }
    pub fn die(&mut self, index: u8) {
        for hold in &mut self.around.borrow_mut().holds {
            if hold.0.index() == usize::from(index) {
                hold.2 = true;
            }
        }
        self.server.on_held_death();
        assert!(self.server.is_at_rest());
    }
    pub fn fail_quiesce(&self) {
        self.around.borrow_mut().result = Some(QuiesceState::Failed(QuiesceFailure::Deadline));
    }
    pub fn is_bus_master(&self, device: u32) -> bool {
        self.around.borrow().is_bus_master(device)
    }
    pub fn is_held(&self, device: u32) -> bool {
        self.around.borrow().holds.iter().any(|h| h.1 == device)
    }
    /// Queues commands as another life of the server would.
    pub fn queue_behind_its_back(&self, commands: &[Command]) {
        let mut smmu = self.smmu.clone();
        let log2 = self.server.plan.smmus[0].command_log2;
        let mut producer = QueueIndex::new(smmu.0.borrow().get(CMDQ_PROD), log2);
        for command in commands {
            let at = COMMANDS + producer.slot() * 16;
            smmu.0.borrow_mut().put(at, &command.encode());
            producer = producer.advance(1);
        }
        smmu.write32(CMDQ_PROD, producer.raw());
    }
    pub fn journal(&self) -> Journal {
        self.around.borrow().journal.clone()
    }
    pub fn logged(&self, text: &str) -> bool {
        self.around.borrow().lines.iter().any(|l| l.contains(text))
    }
}
