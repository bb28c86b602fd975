//! The fuzzer: untrusted, and legally the driver of an edu.
//!
//! Plan: the servers that it may call, the bits that it may post, its device, a pool; the parameters `rounds`, `seed`,
//! `burst` (rounds between two pauses) and `pause`, in which the tasks below it run.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{Lease, TaskId};
use edu::{Direction, Edu, TRANSFER_MAX, Transfer};
use heapless::Vec;
use hostile_fuzzer::generator::{Generator, Protocol};
use hostile_fuzzer::shot::{Lent, Shot};
use hostile_judge::{FINISHED, Finished};
use userlib::delay::{Delay, DelayNs};
use userlib::ipc::{self, Answer, LeaseBuffer};
use userlib::memory::{Memory, PoolMemory};
use userlib::plan::task::{DeviceEntry, MappingKind, NotificationEntry, PeerEntry};
use userlib::registers::MappedRegisters;
use userlib::server::Server;
use userlib::{config, provoke};

userlib::task!(main);

/// Most servers and most bits.
const TARGETS_MAX: usize = 8;
/// One round in so many is a post.
const POST_EVERY: u64 = 16;

fn parameter(name: &str) -> u64 {
    match config::parameter(name) {
        Some(value) => value,
        None => panic!("the plan has no parameter {}", name),
    }
}

/// A server, by what it is called in the image.
fn protocol(name: &str) -> Protocol {
    match name {
        "iommu" => Protocol::Iommu,
        "pci" => Protocol::Pci,
        "virtio-blk" => Protocol::Disk,
        "supervisor" => Protocol::Supervisor,
        _ => Protocol::Unknown,
    }
}

struct Fuzzer {
    generator: Generator,
    targets: Vec<(TaskId, Protocol), TARGETS_MAX>,
    posts: Vec<(TaskId, u32), TARGETS_MAX>,
    pool: PoolMemory,
    edu: Edu<MappedRegisters>,
    done: Finished,
}

impl Fuzzer {
    fn new(device: &'static DeviceEntry) -> Self {
        let Some(pool) = config::mappings(MappingKind::Pool).next() else {
            panic!("the plan has no pool");
        };
        let pool = PoolMemory::of(pool);
        let Some(Ok(edu)) = MappedRegisters::bar(device, 0).map(Edu::new) else {
            panic!("the device is no edu");
        };
        let own = config::own().index;
        let servers = config::table::<PeerEntry>()
            .iter()
            .filter(|peer| peer.may_send == 1)
            .map(|peer| {
                let (id, _) = ipc::refresh(peer.index as usize);
                (id, protocol(peer.name.as_str()))
            });
        let posts = config::table::<NotificationEntry>()
            .iter()
            .filter(|entry| entry.task != own)
            .map(|entry| (ipc::refresh(entry.task as usize).0, entry.bit));
        Self {
            generator: Generator::new(parameter("seed"), device.device, pool.len()),
            targets: servers.take(TARGETS_MAX).collect(),
            posts: posts.take(TARGETS_MAX).collect(),
            pool,
            edu,
            done: Finished {
                device: device.device,
                ..Finished::default()
            },
        }
    }

    fn round(&mut self) {
        self.done.rounds += 1;
        let choice = self.generator.choice();
        if choice.one_in(POST_EVERY) {
            let which = choice.below(self.posts.len() as u64) as usize;
            if let Some((to, bit)) = self.posts.get(which) {
                ipc::post(*to, *bit);
            }
            return;
        }
        // The IOMMU server has most to lose.
        let which = choice.below(2 * self.targets.len() as u64) as usize;
        let iommu = self
            .targets
            .iter()
            .find(|(_, protocol)| *protocol == Protocol::Iommu);
        let Some(&(target, protocol)) = self.targets.get(which).or(iommu) else {
            return;
        };
        let shot = self.generator.next(protocol);
        let answer = self.fire(target, &shot);
        if answer.code.0 == 0 {
            self.done.accepted += 1;
        }
        self.generator
            .learn(protocol, &shot, answer.code.0, &answer.payload);
    }

    fn lend(&self, lent: &Lent) -> LeaseBuffer<'static> {
        let lease = Lease::new(lent.len as u32, lent.attributes);
        provoke::lease(self.pool.address(lent.offset), lease)
    }

    fn fire(&self, target: TaskId, shot: &Shot) -> Answer {
        let generation = target.generation().wrapping_add(shot.life);
        let target = TaskId::new(target.index() as u8, generation);
        let [a, b] = shot.leases;
        let leases = [self.lend(&a), self.lend(&b)];
        let leases = leases.get(..shot.lease_count).unwrap_or_default();
        if shot.len <= 64 && shot.reply_capacity <= 64 {
            return ipc::call(
                target,
                shot.operation,
                &shot.payload,
                shot.len,
                shot.reply_capacity,
                leases,
            );
        }
        let mut reply = [0; abi::MESSAGE_MAX];
        let reply = reply.get_mut(..shot.reply_capacity).unwrap_or_default();
        let message = self.generator.message(shot);
        ipc::call_long(target, shot.operation, message, reply, leases)
    }

    /// Starts a transfer of the device if it is idle; nobody waits for its end.
    fn transfer(&mut self) {
        // The device has 48 address bits.
        let iova = self.generator.transfer_address() & 0xffff_ffff_ffff;
        let choice = self.generator.choice();
        let transfer = Transfer {
            direction: choice.of([Direction::FromMemory, Direction::ToMemory]),
            iova,
            offset: 0,
            len: 1 + choice.below(TRANSFER_MAX as u64) as usize,
        };
        if self.edu.start(&transfer).is_ok() {
            self.done.transfers += 1;
        }
    }
}

fn main() -> ! {
    let Some(device) = config::devices().first() else {
        panic!("the plan has no device");
    };
    let Some(judge) = Server::named("judge") else {
        panic!("the plan has no judge");
    };
    let mut fuzzer = Fuzzer::new(device);
    let burst = parameter("burst").max(1);
    let pause = u32::try_from(parameter("pause")).unwrap_or(u32::MAX);
    for round in 1..=parameter("rounds") {
        fuzzer.round();
        if round % burst == 0 {
            fuzzer.transfer();
            Delay::new().delay_ns(pause);
        }
    }
    let payload = fuzzer.done.to_words();
    if judge
        .call(FINISHED, &payload, Finished::LEN, 0, &[])
        .is_err()
    {
        panic!("the judge does not listen");
    }
    loop {
        ipc::receive(0);
    }
}
