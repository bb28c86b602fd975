//! The keeper: a client of the disk that knows for each of its blocks what was acknowledged and what is in doubt, whoever dies.
//!
//! After each death of the driver it looks for writes of the dead life's device in buffers that are its own again, and at the
//! start of each own life in its pool. A request that is neither done nor lost within [`PATIENCE`] hangs, and fails the run.
//!
//! Plan: the disk's driver `virtio-blk` or `nvme`, the `reaper`; a pool; the bit `blk-done`; the parameters `sector` (the first of its
//! part of the disk) and `seed`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{LeaseAttributes, TaskId, notification};
use blk_api::client::{Disk, Failure};
use blk_api::{Completion, Completions, DONE, Error, Kind, LEASE, Transfer, result};
use chaos_keeper::{BLOCK, Block, SECTORS, write, wrong_sectors};
use oorandom::Rand64;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::config;
use userlib::delay::{Delay, DelayNs};
use userlib::ipc::{self, LeaseBuffer};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::server::Server;
use userlib::time::{self, Ticks};

userlib::task!(main);

/// Blocks of its part.
const BLOCKS: usize = 64;
/// Requests in flight, each with a page of the pool.
const SLOTS: usize = 4;
/// After this a request hangs.
const PATIENCE: u64 = 20_000_000_000;
/// How long a dead life's device gets to show itself.
const SUSPICION_US: u32 = 3000;
/// Between two looks at a driver that says nothing.
const LOOK: u64 = 2_000_000;
/// What a buffer holds that nobody may write.
const MARK: u8 = 0xa5;

type Outcomes<T> = Result<T, &'static str>;

/// A request in flight.
#[derive(Clone, Copy)]
struct Flight {
    block: usize,
    kind: Kind,
    since: Ticks,
}

struct Keeper {
    disk: Disk,
    reaper: Server,
    pool: PoolMemory,
    done: u32,
    sector: u64,
    random: Rand64,
    blocks: [Block; BLOCKS],
    flights: [Option<Flight>; SLOTS],
    /// The driver's life that has what is in flight.
    life: TaskId,
    completed: u64,
    lost: u64,
    recoveries: u64,
}

impl Keeper {
    fn new() -> Option<Self> {
        let disk = Disk::named("virtio-blk").or_else(|| Disk::named("nvme"))?;
        let life = disk.driver();
        // No life takes a version of an earlier one for its own.
        let first = (ipc::who_am_i().generation() as u32) << 20;
        let seed = config::parameter("seed")? << 32 | u64::from(first);
        Some(Self {
            disk,
            reaper: Server::named("reaper")?,
            pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
            done: config::notification(DONE)?,
            sector: config::parameter("sector")?,
            random: Rand64::new(u128::from(seed)),
            blocks: [Block::unknown(first); BLOCKS],
            flights: [None; SLOTS],
            life,
            completed: 0,
            lost: 0,
            recoveries: 0,
        })
    }

    fn sector_of(&self, block: usize) -> u64 {
        self.sector + (block * SECTORS as usize) as u64
    }

    /// Fails if anybody writes to these slots' buffers, which are this task's own now.
    fn suspect(&self, slots: impl Iterator<Item = usize> + Clone) -> Outcomes<()> {
        for slot in slots.clone() {
            self.pool.fill(slot * BLOCK, BLOCK, MARK);
        }
        publish();
        Delay::new().delay_us(SUSPICION_US);
        acquire();
        let marked = |at: usize| self.pool.read8(at) == MARK;
        for slot in slots {
            if !(slot * BLOCK..(slot + 1) * BLOCK).all(marked) {
                return Err("a dead life's device wrote to memory given back");
            }
        }
        Ok(())
    }

    /// Whether the driver lives again; what it had is lost then.
    fn recover(&mut self) -> Outcomes<bool> {
        self.disk.refresh();
        match self.disk.geometry() {
            Ok(_) => {}
            Err(Failure::Retired) => return Err("the driver will not come back"),
            Err(Failure::Refused(_) | Failure::Nonsense) => {
                return Err("the driver tells no geometry");
            }
            Err(Failure::Dead | Failure::Down) => return Ok(false),
        }
        if self.disk.driver() == self.life {
            return Ok(true);
        }
        self.life = self.disk.driver();
        self.recoveries += 1;
        let lost: [bool; SLOTS] =
            core::array::from_fn(|slot| self.flights.get(slot).is_some_and(Option::is_some));
        self.lost += lost.iter().filter(|&&lost| lost).count() as u64;
        self.flights = [None; SLOTS];
        self.suspect((0..SLOTS).filter(|&slot| lost.get(slot) == Some(&true)))?;
        Ok(true)
    }

    fn is_in_flight(&self, block: usize) -> bool {
        self.flights
            .iter()
            .flatten()
            .any(|flight| flight.block == block)
    }

    /// Asks for a request in each free slot. False if the driver is down.
    fn ask(&mut self, work: fn(&mut Self) -> Option<(usize, Kind)>) -> Outcomes<bool> {
        for slot in 0..SLOTS {
            if self.flights.get(slot).is_some_and(Option::is_some) {
                continue;
            }
            let Some((block, kind)) = work(self) else {
                return Ok(true);
            };
            match self.submit(slot, block, kind) {
                Ok(completions) => self.finish_all(completions)?,
                Err(Failure::Refused(Error::QueueFull)) => return Ok(true),
                Err(Failure::Dead | Failure::Down) => return Ok(false),
                Err(failure) => return Err(failure.name()),
            }
        }
        Ok(true)
    }

    fn submit(&mut self, slot: usize, block: usize, kind: Kind) -> Result<Completions, Failure> {
        let sector = self.sector_of(block);
        let offset = slot * BLOCK;
        if let (Kind::Write, Some(known)) = (kind, self.blocks.get_mut(block)) {
            let version = known.ask();
            write(&self.pool, offset, sector, version);
            publish();
        }
        let lent = match kind {
            Kind::Write => LeaseAttributes::READ,
            _ => LeaseAttributes::all(),
        };
        let request = Transfer {
            kind,
            tag: slot as u16,
            region: LEASE,
            page: 0,
            sector,
            count: SECTORS,
        };
        let buffer = LeaseBuffer::pool(self.pool.part(offset, BLOCK), lent);
        let result = self.disk.run(&[request], Some(buffer));
        // A driver that died in the call may have started it.
        if let (Ok(_) | Err(Failure::Dead), Some(flight)) = (&result, self.flights.get_mut(slot)) {
            *flight = Some(Flight {
                block,
                kind,
                since: time::now(),
            });
        }
        result
    }

    fn finish_all(&mut self, completions: Completions) -> Outcomes<()> {
        for completion in completions {
            self.finish(completion)?;
        }
        Ok(())
    }

    fn finish(&mut self, completion: Completion) -> Outcomes<()> {
        let slot = usize::from(completion.tag());
        let Some(flight) = self.flights.get_mut(slot).and_then(Option::take) else {
            return Err("a completion of what was not asked for");
        };
        match result(completion) {
            Ok(bytes) if bytes as usize == BLOCK => {}
            Ok(_) => return Err("a block that was done in part"),
            // The driver had no room for it.
            Err(Error::Busy) => return Ok(()),
            Err(error) => return Err(error.name()),
        }
        self.completed += 1;
        let sector = self.sector_of(flight.block);
        let Some(block) = self.blocks.get_mut(flight.block) else {
            return Ok(());
        };
        if flight.kind == Kind::Write {
            block.acknowledge();
            return Ok(());
        }
        acquire();
        match wrong_sectors(block, &self.pool, slot * BLOCK, sector) {
            0 => Ok(()),
            wrong => {
                defmt::error!(
                    "block {=usize} (sector {=u64}): {=usize} sectors hold what they cannot hold",
                    flight.block,
                    sector,
                    wrong
                );
                Err("a block holds what it cannot hold")
            }
        }
    }

    /// Takes all completions. False if the driver is down.
    fn collect(&mut self) -> Outcomes<bool> {
        loop {
            let completions = match self.disk.run(&[], None) {
                Ok(completions) => completions,
                Err(Failure::Dead | Failure::Down) => return Ok(false),
                Err(failure) => return Err(failure.name()),
            };
            self.finish_all(completions)?;
            if !completions.is_full() {
                return Ok(true);
            }
        }
    }

    /// One round: ask, wait, collect, recover.
    fn round(&mut self, work: fn(&mut Self) -> Option<(usize, Kind)>) -> Outcomes<()> {
        let mut up = self.recover()? && self.ask(work)?;
        time::set_timer(Some(time::now().after(LOOK)));
        ipc::receive(self.done | notification::PEER | notification::TIMER);
        self.disk.refresh();
        if up && self.disk.driver() == self.life {
            up = self.collect()?;
        }
        if up {
            let hangs = |flight: &Flight| time::now() > flight.since.after(PATIENCE);
            if self.flights.iter().flatten().any(hangs) {
                return Err("a request hangs");
            }
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.flights.iter().all(Option::is_none)
    }

    /// Anything that is not under way: what is in doubt is written before it is read again.
    fn any(&mut self) -> Option<(usize, Kind)> {
        let block = self.random.rand_range(0..BLOCKS as u64) as usize;
        if self.is_in_flight(block) {
            return None;
        }
        let written = self.blocks.get(block)?.is_written();
        let read = if written { 2 } else { 4 };
        Some(match self.random.rand_range(0..4) {
            drawn if drawn >= read => (block, Kind::Write),
            drawn if written || drawn == 0 => (block, Kind::Read),
            _ => (block, Kind::Write),
        })
    }

    fn none(&mut self) -> Option<(usize, Kind)> {
        None
    }

    /// Reads every block once.
    fn verify(&mut self) -> Outcomes<()> {
        for block in 0..BLOCKS {
            loop {
                let before = self.completed;
                if self.is_idle() && self.recover()? {
                    match self.submit(0, block, Kind::Read) {
                        Ok(completions) => self.finish_all(completions)?,
                        Err(Failure::Dead | Failure::Down) => {}
                        Err(Failure::Refused(Error::QueueFull)) => {}
                        Err(failure) => return Err(failure.name()),
                    }
                }
                self.round(Self::none)?;
                if self.completed > before {
                    break;
                }
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Outcomes<()> {
        self.suspect(0..SLOTS)?;
        let mut asked = time::now();
        loop {
            self.round(Self::any)?;
            if time::now() > asked.after(20 * LOOK) {
                asked = time::now();
                if chaos_reaper::is_over(&self.reaper) {
                    break;
                }
            }
        }
        while !self.is_idle() {
            self.round(Self::none)?;
        }
        self.verify()
    }
}

fn main() -> ! {
    let Some(mut keeper) = Keeper::new() else {
        panic!("the plan lacks something");
    };
    let result = keeper.run();
    defmt::info!(
        "{=u64} requests done, {=u64} lost, {=u64} recoveries",
        keeper.completed,
        keeper.lost,
        keeper.recoveries
    );
    let sent = match result {
        Ok(()) => report(Outcome::Pass, "every block holds what it may hold"),
        Err(why) => report(Outcome::Fail, why),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        ipc::receive(0);
    }
}
