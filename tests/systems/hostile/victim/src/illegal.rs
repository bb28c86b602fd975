//! System calls that the kernel must answer with the death of their caller, whatever the numbers drawn.

use abi::layout::{KERNEL_WINDOW, TASK_IMAGE_BASE, TASK_MAPPINGS, TASK_PLAN_BASE, TASK_STACK_TOP};
use abi::{Code, LeaseAttributes, MESSAGE_MAX, ReplyDescriptor, SendDescriptor, TASKS_MAX, TaskId};
use oorandom::Rand64;
use userlib::{interrupt, ipc, provoke};

/// What the calls are made of.
pub struct Means {
    /// Seeded by the life, so that every life draws other numbers.
    pub random: Rand64,
    /// A task that the victim may send to.
    pub server: TaskId,
    /// This task.
    pub own: TaskId,
}

impl Means {
    fn below(&mut self, end: u64) -> u64 {
        self.random.rand_range(0..end)
    }

    /// More bytes than a message or reply can have, up to what its field can say.
    fn too_long(&mut self) -> u16 {
        let most = u64::from(u16::MAX) - MESSAGE_MAX as u64;
        // The smallest and the largest as often as any other.
        let beyond = match self.below(3) {
            0 => self.below(2),
            1 => most - 1 - self.below(128),
            _ => self.below(most),
        };
        (MESSAGE_MAX as u64 + 1 + beyond) as u16
    }

    /// Where no task can read.
    fn unreadable(&mut self) -> u64 {
        match self.below(5) {
            0 => 0,
            1 => KERNEL_WINDOW + self.below(1 << 38),
            // The region ends there, and the slice does not.
            2 => TASK_STACK_TOP - 8,
            3 => u64::MAX - self.below(64),
            _ => TASK_MAPPINGS + (1 << 36) + self.below(1 << 30),
        }
    }

    /// Where it cannot write.
    fn unwritable(&mut self) -> u64 {
        match self.below(3) {
            0 => TASK_IMAGE_BASE + self.below(64) * 4,
            1 => TASK_PLAN_BASE + self.below(64) * 8,
            _ => self.unreadable(),
        }
    }

    fn send(&self, descriptor: u64, message: u64, reply: u64, leases: [u64; 4]) {
        let [a, b, c, d] = leases;
        let arguments = [self.server.0, descriptor, message, reply, a, b, c, d];
        provoke::send(arguments, &[0; 8]);
    }

    fn plain_send_to(&self, target: u64) {
        let descriptor = SendDescriptor::new(1, 0, 0, 0).0;
        provoke::send([target, descriptor, 0, 0, 0, 0, 0, 0], &[0; 8]);
    }
}

/// One of them.
pub type Call = fn(&mut Means);

const LONG: u16 = 128;

/// Each with its fault.
pub const CALLS: [Call; 24] = [
    // Malformed arguments.
    |m| {
        // Any of them, up to all.
        let reserved = (1 + m.below(0x1fff)) << 51;
        m.send(SendDescriptor::new(1, 0, 0, 0).0 | reserved, 0, 0, [0; 4]);
    },
    |m| {
        let len = m.too_long();
        m.send(SendDescriptor::new(1, len, 0, 0).0, 0, 0, [0; 4]);
    },
    |m| {
        let capacity = m.too_long();
        m.send(SendDescriptor::new(1, 0, capacity, 0).0, 0, 0, [0; 4]);
    },
    |m| m.send(SendDescriptor::new(1, 0, 0, 3).0, 0, 0, [0; 4]),
    |m| {
        let reserved = 1 << (34 + m.below(30));
        let descriptor = SendDescriptor::new(1, 0, 0, 1).0;
        m.send(descriptor, 0, 0, [TASK_PLAN_BASE, 8 | reserved, 0, 0]);
    },
    // Slices and leases outside what the task has.
    |m| {
        let address = m.unreadable();
        m.send(SendDescriptor::new(1, LONG, 0, 0).0, address, 0, [0; 4]);
    },
    |m| {
        let address = m.unwritable();
        m.send(SendDescriptor::new(1, 0, LONG, 0).0, 0, address, [0; 4]);
    },
    |m| {
        let address = m.unreadable();
        let lease = abi::Lease::new(64, LeaseAttributes::READ).0;
        m.send(
            SendDescriptor::new(1, 0, 0, 1).0,
            0,
            0,
            [address, lease, 0, 0],
        );
    },
    |m| {
        let address = m.unwritable();
        let good = abi::Lease::new(8, LeaseAttributes::READ).0;
        let bad = abi::Lease::new(64, LeaseAttributes::all()).0;
        let leases = [TASK_PLAN_BASE, good, address, bad];
        m.send(SendDescriptor::new(1, 0, 0, 2).0, 0, 0, leases);
    },
    |m| {
        let lease = abi::Lease::new(u32::MAX, LeaseAttributes::READ).0;
        let descriptor = SendDescriptor::new(1, 0, 0, 1).0;
        m.send(descriptor, 0, 0, [TASK_PLAN_BASE, lease, 0, 0]);
    },
    // Tasks that it may not name so.
    |m| m.plain_send_to(m.own.0),
    |m| {
        let nobody = TASKS_MAX as u64 + m.below(256 - TASKS_MAX as u64);
        m.plain_send_to(nobody);
    },
    // The task below it is the log.
    |m| m.plain_send_to(ipc::refresh(m.own.index() + 1).0.0),
    // Receives.
    |m| {
        let address = m.unwritable();
        provoke::receive(0, TaskId::ANY, address, 64);
    },
    |m| {
        let capacity = MESSAGE_MAX as u64 + 1 + m.below(1 << 40);
        provoke::receive(0, TaskId::ANY, TASK_STACK_TOP - 4096, capacity);
    },
    // Replies, although nobody waits for one.
    |m| {
        let reserved = 1 << (48 + m.below(16));
        let descriptor = ReplyDescriptor::new(0, 0).0 | reserved;
        provoke::reply([m.server.0, descriptor, 0, 0, 0, 0, 0, 0], &[0; 8]);
    },
    |m| {
        let code = Code::KERNEL_FIRST + m.below(256) as u32;
        let descriptor = ReplyDescriptor::new(code, 0).0;
        provoke::reply([m.server.0, descriptor, 0, 0, 0, 0, 0, 0], &[0; 8]);
    },
    |m| {
        let address = m.unreadable();
        let descriptor = ReplyDescriptor::new(0, LONG).0;
        provoke::reply([m.server.0, descriptor, address, 0, 0, 0, 0, 0], &[0; 8]);
    },
    // Borrows into memory that is not its own.
    |m| {
        let address = m.unwritable();
        provoke::borrow_read(m.server, 0, 0, address, 64);
    },
    |m| {
        provoke::borrow_write(m.server, 0, 0, TASK_PLAN_BASE, 1 << 17);
    },
    // Bits that are not its to post or to unmask.
    |m| {
        let bit = 1 << m.below(32);
        ipc::post(m.server, bit);
    },
    |m| {
        interrupt::unmask(1 << (16 + m.below(12)));
    },
    // Indices and privileges.
    |m| {
        let nobody = TASKS_MAX as u64 + m.below(1 << 50);
        ipc::refresh(nobody as usize);
    },
    |m| {
        let number = m.below(20);
        let task = m.below(TASKS_MAX as u64);
        provoke::privileged(number, [task, 1, 0, 0, 0]);
    },
];
