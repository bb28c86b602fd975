//! Commands and waits of the rows of `cargo xtask bench`, counted on the model: what dominates on hardware, and costs nothing
//! under QEMU.

use std::cell::RefCell;
use std::rc::Rc;

use abi::TaskId;
use iommu::hardware::Hardware;
use iommu::plan_view::PlanView;
use iommu::{Reply, Request, Server};
use iommu_api::{
    Claim, Exchange, Extent, Handle, Map, MapFlags, MapList, Operation, Sequenced, Unmap,
};
use iommu_histories::layout::{MACHINES, POOLS};
use iommu_histories::sabotage::Sabotage;
use iommu_histories::troubles::Troubles;
use iommu_histories::world::{Shared, World};
use plan::waits::{Row, WAITS, Waits};
use smmu_model::{Features, Liberties};
use userlib::protocol::Wire;
use zerocopy::IntoBytes;

const CMDQ_PROD: usize = 0x98;

/// The model, whose submissions are counted: the server waits for each.
#[derive(Clone)]
struct Counted {
    shared: Shared,
    /// Index and wrap bit.
    mask: u32,
    /// The last producer index, submissions, commands.
    seen: Rc<RefCell<(u32, u32, u32)>>,
}

impl Hardware for Counted {
    fn read32(&mut self, register: usize) -> u32 {
        self.shared.read32(register)
    }
    fn write32(&mut self, register: usize, value: u32) {
        if register == CMDQ_PROD {
            let (last, waits, commands) = *self.seen.borrow();
            let more = value.wrapping_sub(last) & self.mask;
            *self.seen.borrow_mut() = (value, waits + 1, commands + more);
        }
        self.shared.write32(register, value);
    }
    fn read64(&mut self, register: usize) -> u64 {
        self.shared.read64(register)
    }
    fn write64(&mut self, register: usize, value: u64) {
        self.shared.write64(register, value);
    }
    fn load(&mut self, offset: u64) -> u64 {
        self.shared.load(offset)
    }
    fn store(&mut self, offset: u64, value: u64) {
        self.shared.store(offset, value);
    }
    fn publish(&mut self) {
        self.shared.publish();
    }
    fn acquire(&mut self) {
        self.shared.acquire();
    }
    fn now(&mut self) -> u64 {
        self.shared.now()
    }
    fn ticks(&self, nanoseconds: u64) -> u64 {
        self.shared.ticks(nanoseconds)
    }
}

/// A claimant, and what is around it.
struct Driver<'p> {
    server: Server<'p, Counted, Shared>,
    hardware: Counted,
    id: TaskId,
    head: Sequenced,
    device: u64,
}

impl Driver<'_> {
    fn ask(&mut self, operation: Operation, words: &[u64]) -> u64 {
        match send(&mut self.server, self.id, operation, words) {
            Reply::Now {
                code: 0, payload, ..
            } => payload[0],
            other => panic!("{operation:?}: {other:x?}"),
        }
    }
    fn next(&mut self) -> Sequenced {
        self.head.sequence += 1;
        self.head
    }
    fn unmap(&mut self, iova: u64, pages: u64) {
        let head = self.next();
        let unmap = Unmap { head, iova, pages };
        self.ask(Operation::Unmap, &unmap.to_words()[..4]);
    }
    /// Waits and commands of what is done.
    fn count(&mut self, act: impl FnOnce(&mut Self)) -> Waits {
        let (_, waits, commands) = *self.hardware.seen.borrow();
        act(self);
        let (_, more_waits, more_commands) = *self.hardware.seen.borrow();
        Waits {
            sync_waits: more_waits - waits,
            commands: more_commands - commands,
        }
    }
}

fn send(
    server: &mut Server<'_, Counted, Shared>,
    sender: TaskId,
    operation: Operation,
    words: &[u64],
) -> Reply {
    let mut payload = [0; 8];
    for (to, from) in payload.iter_mut().zip(words) {
        *to = *from;
    }
    server.handle(&Request {
        sender,
        operation: operation as u16,
        len: size_of_val(words),
        reply_capacity: 64,
        payload,
        long: words,
        leases: 0,
    })
}

/// Claims a device, and waits until it is quiet.
fn claim(
    server: &mut Server<'_, Counted, Shared>,
    world: &RefCell<World>,
    id: TaskId,
    device: u64,
) -> Reply {
    let mut reply = send(server, id, Operation::Claim, &[device]);
    for _ in 0..400 {
        if reply != Reply::Later {
            break;
        }
        world.borrow_mut().pass();
        server.on_quiesced();
        if let Some(late) = world.borrow_mut().replies.pop() {
            reply = Reply::Now {
                code: late.code,
                payload: late.payload,
                len: Claim::LEN,
            };
        }
    }
    reply
}

/// Claims the first device that has a driver and pages, on a part with these features.
fn with_driver(features: Features, test: impl FnOnce(&mut Driver<'_>)) {
    let machine = MACHINES[0];
    let world = World::new(
        machine,
        Troubles::default(),
        features,
        Liberties::ORDERLY_DEVICES,
        7,
        Sabotage::default(),
    );
    let blob = world.layout.blob.clone();
    let log2 = world.layout.smmu.command_log2;
    let world = Rc::new(RefCell::new(world));
    let shared = Shared(world.clone());
    let hardware = Counted {
        shared: shared.clone(),
        mask: (2 << log2) - 1,
        seen: Rc::new(RefCell::new((0, 0, 0))),
    };
    let plan = PlanView::new(&plan::Blob::new(blob.as_bytes()).unwrap()).unwrap();
    let mut server = Server::new(plan, shared, |_| hardware.clone()).unwrap();
    world.borrow_mut().fabric.refresh();
    server.boot();
    let strict = |domain: u32| {
        let domain = plan.domains.get(domain as usize);
        domain.is_some_and(|domain| domain.pages >= 512 && domain.invalidation == 0)
    };
    let devices = machine.devices.iter().enumerate();
    let drivers = devices.filter(|(_, device)| device.owner != plan::NONE && strict(device.domain));
    // Of the alternatives of a bay some are not there.
    let claimed = drivers.map(|(number, device)| {
        let id = world.borrow().kernel.id(device.owner as usize);
        let reply = claim(&mut server, &world, id, number as u64);
        (id, number as u64, reply)
    });
    let mut claimed = claimed.filter(|(.., reply)| matches!(reply, Reply::Now { code: 0, .. }));
    let (id, device, reply) = claimed.next().unwrap();
    drop(claimed);
    let Reply::Now {
        code: 0, payload, ..
    } = reply
    else {
        panic!("not claimed: {reply:x?}");
    };
    let claim = Claim::from_words(&payload).unwrap();
    let head = Sequenced {
        handle: claim.handle,
        sequence: claim.sequence,
    };
    test(&mut Driver {
        server,
        hardware,
        id,
        head,
        device,
    });
    assert!(world.borrow().model.findings.all().is_empty());
}

fn map_page(driver: &mut Driver<'_>) -> u64 {
    let map = Map {
        head: driver.next(),
        extent: Extent { first: 0, pages: 1 },
        pool: 0,
        flags: MapFlags::READ_WRITE,
        iova: 0,
    };
    driver.ask(Operation::Map, &map.to_words()[..5])
}

fn map_list(driver: &mut Driver<'_>, pages: u64) -> u64 {
    let owner = driver.id.index();
    let pool = POOLS.iter().find(|pool| (pool.0, pool.1) == (owner, 0));
    let of_pool = pool.unwrap().3 / 4096;
    let header = MapList {
        head: driver.next(),
        pool: 0,
        flags: MapFlags::READ_WRITE,
        iova: 0,
    };
    let mut words = header.to_words().to_vec();
    // Never consecutive memory: each entry is one of its own.
    words.extend((0..pages).map(|page| {
        let first = (page * 2 % of_pool) as u32;
        Extent { first, pages: 1 }.to_word()
    }));
    driver.ask(Operation::MapList, &words)
}

fn exchange(driver: &mut Driver<'_>, iova: u64) {
    let exchange = Exchange {
        head: driver.next(),
        extent: Extent { first: 1, pages: 1 },
        pool: 0,
        flags: MapFlags::READ_WRITE,
        iova,
    };
    driver.ask(Operation::Exchange, &exchange.to_words()[..5]);
}

/// Gives the device back, which is quiet, and claims it again.
fn release_and_claim(driver: &mut Driver<'_>) {
    let head = driver.next();
    driver.ask(Operation::Release, &head.to_words()[..2]);
    let claim = [driver.device];
    driver.head.handle = Handle(driver.ask(Operation::Claim, &claim));
    driver.head.sequence = 0;
}

/// Waits and commands of the rows.
fn rows(features: Features) -> Vec<(&'static str, Waits)> {
    let mut rows = Vec::new();
    with_driver(features, |driver| {
        let mut first = 0;
        let map = driver.count(|driver| first = map_page(driver));
        assert_eq!((map.sync_waits, map.commands), (0, 0));
        let list = |pages: u64| {
            move |driver: &mut Driver<'_>| {
                let iova = map_list(driver, pages);
                driver.unmap(iova, pages);
            }
        };
        let page = |driver: &mut Driver<'_>| {
            let iova = map_page(driver);
            driver.unmap(iova, 1);
        };
        let iova = map_page(driver);
        let exchanged = driver.count(|driver| exchange(driver, iova));
        driver.unmap(iova, 1);
        rows = vec![
            ("map-unmap-4k", driver.count(page)),
            ("exchange-4k", exchanged),
            ("map-unmap-16x4k", driver.count(list(16))),
            ("map-unmap-256x4k", driver.count(list(256))),
            ("blk-read-4k-qd1", driver.count(page)),
            ("nvme-read-4k-qd1", driver.count(page)),
            // Which pages these are changes nothing, and the pool has fewer.
            ("nvme-read-128k-qd8", driver.count(list(32))),
            (
                "frame-echo",
                driver.count(|driver| (0..2).for_each(|_| page(driver))),
            ),
        ];
        driver.unmap(first, 1);
        rows.push(("claim-release", driver.count(release_and_claim)));
    });
    rows
}

fn planned(which: impl Fn(&Row) -> Waits) -> Vec<(&'static str, Waits)> {
    WAITS.iter().map(|row| (row.name, which(row))).collect()
}

#[test]
fn rows_wait_as_often_as_the_table_says() {
    let part = |range: bool| {
        let mut parts = Features::ALL.into_iter();
        parts.find(|part| part.range == range).unwrap()
    };
    assert_eq!(rows(part(true)), planned(|row| row.by_range));
    assert_eq!(rows(part(false)), planned(|row| row.by_page));
}
