//! The system that the tests play, and how they play it.

use core::num::NonZeroU64;
use std::boxed::Box;
use std::sync::{Mutex, PoisonError};
use std::vec;
use std::vec::Vec;

use abi::privileged::Privileged;
use abi::{Code, FaultKind, Rights, SendDescriptor, Syscall, TaskId, notification};
use plan::kernel::{
    AccountEntry, InterruptClass, InterruptEntry, KernelEntry, LifeEvent, ListenerEntry,
    MessageTablesEntry, PostEntry, RegionAttributes, RegionEntry, TaskEntry, WindowEntry,
};
use plan::{Blob, Builder, NONE, Name};

use super::fake::{Fake, RAM_BASE, RAM_LEN};
use super::lives;
use crate::outcome::NextTask;
use crate::{Frame, Kernel, PlanError, State, TaskIndex};

pub const SUPERVISOR: usize = 0;
pub const AUTHORITY: usize = 1;
pub const SERVER: usize = 2;
pub const DRIVER: usize = 3;
/// LEFT and RIGHT have the same priority.
pub const LEFT: usize = 4;
pub const RIGHT: usize = 5;
/// The only task with `max-run`.
pub const LOW: usize = 6;
pub const PRIORITIES: [u32; 7] = [0, 1, 2, 3, 4, 4, 5];
pub const COUNT: usize = PRIORITIES.len();

pub const CODE: u64 = 0x40_0000;
pub const STACK: u64 = 0x0fff_0000;
pub const STACK_TOP: u64 = 0x1000_0000;
pub const POOL: u64 = 0x2000_0000;
pub const POOL_LEN: u64 = 0x4000;
pub const DEVICE: u64 = 0x3000_0000;
/// Ticks of LOW's `max-run`; the fake clock runs at 1 GHz.
pub const LIMIT: u64 = 500;
pub const DRIVER_INTID: u32 = 40;
pub const DRIVER_BIT: u32 = 1 << 16;
pub const SERVER_INTID: u32 = 41;
pub const SERVER_BIT: u32 = 1 << 17;
pub const MESSAGE_INTID: u32 = 8195;
pub const MESSAGE_BIT: u32 = 1 << 18;
/// Bit that a parked task waits for.
pub const WAKE: u32 = 1 << 7;

/// Tables that a test may spoil before the kernel reads them.
pub struct Tables {
    pub system: Vec<KernelEntry>,
    pub tasks: Vec<TaskEntry>,
    pub window: Vec<WindowEntry>,
    pub regions: Vec<RegionEntry>,
    pub posts: Vec<PostEntry>,
    pub listeners: Vec<ListenerEntry>,
    pub accounts: Vec<AccountEntry>,
    pub interrupts: Vec<InterruptEntry>,
    pub messages: Vec<MessageTablesEntry>,
    /// Ticks a second.
    pub frequency: NonZeroU64,
}

/// DRIVER depends on SERVER.
fn listeners_of(task: usize) -> Vec<ListenerEntry> {
    let listener = |event: LifeEvent, to: usize, bits| ListenerEntry {
        event: event as u32,
        to: to as u32,
        bits,
    };
    let mut listeners = vec![];
    if task == SERVER {
        let driver = |event| listener(event, DRIVER, notification::PEER);
        listeners.extend([driver(LifeEvent::Up), driver(LifeEvent::Retired)]);
    }
    listeners.push(listener(LifeEvent::Fault, SUPERVISOR, notification::FAULT));
    let held_death = notification::HELD_DEATH;
    listeners.push(listener(LifeEvent::HeldDeath, AUTHORITY, held_death));
    listeners
}

/// Program, stack, pool and registers of a task.
fn regions_of(task: usize) -> [RegionEntry; 4] {
    let region = |va, pa, len, attributes: RegionAttributes| RegionEntry {
        va,
        pa,
        len,
        attributes: attributes.bits(),
        reserved: 0,
    };
    let (read, write) = (RegionAttributes::READ, RegionAttributes::WRITE);
    let pool = read | write | RegionAttributes::DMA;
    let device = read | write | RegionAttributes::DEVICE;
    let code = read | RegionAttributes::EXECUTE;
    [
        region(CODE, physical(task, CODE), 0x1000, code),
        region(STACK, physical(task, STACK), 0x1_0000, read | write),
        region(POOL, physical(task, POOL), POOL_LEN, pool),
        region(DEVICE, 0x900_0000, 0x1000, device),
    ]
}

/// Physical address of a task's memory.
pub fn physical(task: usize, address: u64) -> u64 {
    let base = RAM_BASE + task as u64 * 0x4_0000;
    match address {
        CODE..0x40_1000 => base + address - CODE,
        STACK..STACK_TOP => base + 0x1_0000 + address - STACK,
        _ => base + 0x2_0000 + address - POOL,
    }
}

/// Plans are 8-byte aligned and last as long as the process; equal ones are one, and all can be reached, so that
/// none counts as leaked.
fn lasting(words: Vec<u64>) -> &'static [u64] {
    static PLANS: Mutex<Vec<&'static [u64]>> = Mutex::new(Vec::new());
    // A test that panics does so elsewhere.
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(plan) = plans.iter().find(|plan| **plan == words) {
        return plan;
    }
    let plan: &'static [u64] = words.leak();
    plans.push(plan);
    plan
}

impl Tables {
    pub fn new() -> Self {
        let mut tables = Self {
            system: vec![KernelEntry {
                supervisor: 0,
                authority: AUTHORITY as u32,
                translator: NONE,
                flags: 0,
                core: 0,
                cores: 1,
            }],
            tasks: vec![],
            // Two ranges: what lies between them would be firmware's.
            window: [
                (RAM_BASE, RAM_LEN / 2),
                (RAM_BASE + RAM_LEN / 2, RAM_LEN / 2),
            ]
            .map(|(base, len)| WindowEntry { base, len })
            .to_vec(),
            regions: vec![],
            posts: vec![],
            listeners: vec![],
            accounts: vec![],
            interrupts: vec![],
            messages: vec![],
            frequency: NonZeroU64::new(1_000_000_000).unwrap(),
        };
        for (index, priority) in PRIORITIES.into_iter().enumerate() {
            let above = PRIORITIES.iter().filter(|other| **other < priority).count();
            let rights = match index {
                SUPERVISOR => Rights::SUPERVISE | Rights::CONSOLE | Rights::EXIT | Rights::TEST,
                AUTHORITY => Rights::DMA_AUTHORITY,
                _ => Rights::empty(),
            };
            let listeners = listeners_of(index);
            tables.tasks.push(TaskEntry {
                name: Name::new("task"),
                entry: CODE,
                stack_top: STACK_TOP,
                stack_base: STACK,
                ttbr0: ((index as u64 + 1) << 48) | (RAM_BASE + 0x1000 * index as u64),
                send_to: (1 << above) - 1,
                max_run: if index == LOW { LIMIT } else { 0 },
                rights: rights.bits(),
                priority,
                regions: tables.regions.len() as u32,
                region_count: 4,
                posts: tables.posts.len() as u32,
                post_count: COUNT as u32,
                listeners: tables.listeners.len() as u32,
                listener_count: listeners.len() as u32,
                start: 1,
                account: NONE,
            });
            tables.listeners.extend(listeners);
            tables.regions.extend(regions_of(index));
            tables
                .posts
                .extend((0..COUNT as u32).map(|to| PostEntry { to, bits: 0xff }));
        }
        tables.interrupts.extend([
            InterruptEntry {
                intid: DRIVER_INTID,
                task: DRIVER as u32,
                bit: DRIVER_BIT,
                class: InterruptClass::Level as u32,
            },
            InterruptEntry {
                intid: SERVER_INTID,
                task: SERVER as u32,
                bit: SERVER_BIT,
                class: InterruptClass::Edge as u32,
            },
        ]);
        tables
    }

    pub fn boot(&self) -> Result<World, PlanError> {
        self.boot_on(|_| {})
    }

    /// Boots on a machine that `change` made different.
    pub fn boot_on(&self, change: impl FnOnce(&mut Fake)) -> Result<World, PlanError> {
        self.boot_with(|kernel| change(&mut kernel.arch))
    }

    /// Boots a kernel to which something happened before.
    pub fn boot_with(
        &self,
        before: impl FnOnce(&mut Kernel<'static, Fake>),
    ) -> Result<World, PlanError> {
        let bytes = Builder::new()
            .push(&self.system)
            .push(&self.tasks)
            .push(&self.window)
            .push(&self.regions)
            .push(&self.posts)
            .push(&self.listeners)
            .push(&self.accounts)
            .push(&self.interrupts)
            .push(&self.messages)
            .finish();
        let words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|chunk| u64::from_ne_bytes(chunk.try_into().unwrap()))
            .collect();
        let bytes = zerocopy::IntoBytes::as_bytes(lasting(words));
        let mut kernel = Box::new(Kernel::new(Fake::new()));
        before(&mut kernel);
        let running = kernel.boot(Blob::new(bytes).unwrap(), self.frequency)?;
        Ok(World { kernel, running })
    }
}

pub struct World {
    pub kernel: Box<Kernel<'static, Fake>>,
    pub running: Option<TaskIndex>,
}

pub fn index(task: usize) -> TaskIndex {
    TaskIndex::new(task).unwrap()
}

/// A payload that can be told from others.
pub fn pattern(seed: u64) -> [u64; 8] {
    core::array::from_fn(|i| seed << 8 | i as u64)
}

impl World {
    /// The standard system, all tasks started and the supervisor running.
    pub fn new() -> Self {
        Tables::new().boot().unwrap()
    }

    /// All tasks from `first` up have run; those above it wait in an open receive without bits.
    pub fn waiting_down_to(first: usize) -> Self {
        Self::new().wait_down_to(first)
    }

    /// The same of a system that was just booted.
    pub fn wait_down_to(self, first: usize) -> Self {
        let mut world = self;
        for task in 0..first {
            world.receive(task, 0, TaskId::ANY, 0, 0);
        }
        assert_eq!(world.runs(), first);
        world
    }

    /// A task lets all its interrupts through.
    pub fn unmask(&mut self, task: usize) {
        let kernel = &mut self.kernel;
        let interrupts = *kernel.task(index(task)).interrupts();
        for (place, bit) in interrupts.iter().zip(crate::interrupt::FIRST_BIT..) {
            if *place != 0 {
                let frame = kernel.task_mut(index(task)).frame_mut();
                let before = *frame;
                (frame.x[8], frame.x[9]) = (1 << bit, 1);
                let _ = kernel.control_interrupts(index(task)).unwrap();
                *kernel.task_mut(index(task)).frame_mut() = before;
            }
        }
    }

    pub fn id(&self, task: usize) -> TaskId {
        self.kernel.task(index(task)).id()
    }
    pub fn state(&self, task: usize) -> State {
        self.kernel.task(index(task)).state()
    }
    pub fn frame(&self, task: usize) -> &Frame {
        self.kernel.task(index(task)).frame()
    }
    pub fn x(&self, task: usize, register: usize) -> u64 {
        self.frame(task).x[register]
    }
    pub fn payload(&self, task: usize) -> [u64; 8] {
        core::array::from_fn(|i| self.x(task, i))
    }
    /// Which task runs.
    pub fn runs(&self) -> usize {
        self.running.expect("all tasks wait").number()
    }
    pub fn fault(&self, task: usize) -> FaultKind {
        self.kernel.task(index(task)).fault().kind
    }
    pub fn code(&self, task: usize) -> Code {
        Code(self.x(task, 8) as u32)
    }
    /// Bytes of a task's memory.
    pub fn memory(&mut self, task: usize, address: u64, len: u64) -> &mut [u8] {
        self.kernel.arch_mut().bytes(physical(task, address), len)
    }

    /// `task`, which must be running, makes a call with these values from `x8` up.
    pub fn call(&mut self, task: usize, number: u16, arguments: &[u64]) {
        assert_eq!(self.runs(), task, "another task runs");
        let frame = self.kernel.task_mut(index(task)).frame_mut();
        for (register, value) in frame.x[8..16].iter_mut().zip(arguments) {
            *register = *value;
        }
        self.running = self.kernel.system_call(index(task), number);
        lives::check(self);
    }
    pub fn set_payload(&mut self, task: usize, payload: [u64; 8]) {
        self.kernel.task_mut(index(task)).frame_mut().x[..8].copy_from_slice(&payload);
    }

    pub fn send(&mut self, from: usize, to: TaskId, descriptor: SendDescriptor) {
        self.call(
            from,
            Syscall::Send as u16,
            &[to.0, descriptor.0, 0, 0, 0, 0, 0, 0],
        );
    }
    /// A message of 64 bytes, a reply of up to 64.
    pub fn send_pattern(&mut self, from: usize, to: usize, seed: u64) {
        self.set_payload(from, pattern(seed));
        self.send(
            from,
            self.id(to),
            SendDescriptor::new(seed as u16, 64, 64, 0),
        );
    }
    pub fn receive(&mut self, task: usize, mask: u32, filter: TaskId, address: u64, capacity: u64) {
        let arguments = [u64::from(mask), filter.0, address, capacity];
        self.call(task, Syscall::Receive as u16, &arguments);
    }
    pub fn reply(&mut self, task: usize, to: TaskId, descriptor: u64, address: u64) {
        self.call(task, Syscall::Reply as u16, &[to.0, descriptor, address]);
    }
    /// Sender reported by the last receive.
    pub fn sender(&self, task: usize) -> TaskId {
        TaskId(self.x(task, 8))
    }
    pub fn post(&mut self, task: usize, to: usize, bits: u64) {
        self.call(task, Syscall::Post as u16, &[self.id(to).0, bits]);
    }
    pub fn privileged(&mut self, task: usize, call: Privileged, arguments: &[u64]) -> Code {
        let mut all = vec![call as u64];
        all.extend(arguments);
        self.call(task, Syscall::Privileged as u16, &all);
        Code(self.x(task, 0) as u32)
    }
    /// An interrupt arrives.
    pub fn interrupt(&mut self, intid: u32) {
        let since = self.kernel.arch().now;
        self.running = self.kernel.interrupt(self.running, intid, since);
    }
    /// The running task dies of an undefined instruction.
    pub fn crash(&mut self, task: usize) {
        assert_eq!(self.runs(), task);
        let kind = FaultKind::IllegalInstruction;
        self.running = self.kernel.exception(index(task), kind, 0, 0);
        lives::check(self);
    }
    /// The running task waits for [`WAKE`].
    pub fn park(&mut self) {
        let task = self.runs();
        self.receive(task, WAKE, TaskId::ANY, 0, 0);
    }
    /// Parks whoever runs until `task` does; wakes it if it is parked itself.
    pub fn only(&mut self, task: usize) {
        while let Some(running) = self.running {
            if running == index(task) {
                return;
            }
            self.park();
        }
        assert!(
            self.kernel.notify(index(task), u64::from(WAKE)),
            "not parked"
        );
        self.resume();
    }
    /// SERVER, which runs, calls AUTHORITY, which keeps it waiting.
    pub fn run_server_aside(&mut self) {
        self.send(SERVER, self.id(AUTHORITY), SendDescriptor::new(0, 0, 0, 0));
        self.park();
    }
    /// AUTHORITY lets SERVER go on.
    pub fn wake_server(&mut self) {
        self.kernel.notify(index(AUTHORITY), u64::from(WAKE));
        self.resume();
        self.reply(AUTHORITY, self.id(SERVER), 0, 0);
        self.receive(AUTHORITY, 0, TaskId::ANY, 0, 0);
        assert_eq!(self.runs(), SERVER);
    }
    /// A task dies, whatever it is doing.
    pub fn kill(&mut self, task: usize) {
        let fault = abi::Fault {
            kind: FaultKind::IllegalInstruction,
            syscall: 0xffff,
            address: 0,
            pc: 0,
            sp: 0,
            detail: 0,
        };
        self.kernel.withdraw(index(task));
        self.kernel.die(index(task), &fault);
        self.resume();
    }
    /// A dead task will not come back.
    pub fn retire(&mut self, task: usize) {
        self.kernel.task_mut(index(task)).retire();
    }
    /// The best task runs.
    pub fn resume(&mut self) {
        self.running = match self.running {
            Some(running) if self.kernel.task(running).state() == State::Runnable => {
                self.kernel.after_interrupt(Some(running))
            }
            Some(running) => self.kernel.carry_out(running, NextTask::Best),
            None => self.kernel.choose(),
        };
        lives::check(self);
    }
}
