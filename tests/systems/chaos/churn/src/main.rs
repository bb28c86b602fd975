//! The churn: claims an edu, moves data through mapped pages, unmaps and releases, again and again, whoever dies meanwhile.
//!
//! Data that does not arrive fails the run, unless the server says of the claim that it was cut off: a death costs I/O only
//! with notice.
//!
//! Plan: the servers, the `reaper`, one edu, a pool of two pages; the parameter `seed`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu::channel::Channel;
use edu::{Direction, Transfer, pattern};
use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, MapFlags, StatusFlags};
use oorandom::Rand64;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::delay::{Delay, DelayNs};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::server::Server;
use userlib::{config, ipc, time};

userlib::task!(main);

/// Bytes of a transfer.
const LEN: usize = 1000;
const SOURCE: usize = 0;
const DESTINATION: usize = 4096;
/// Until a server that is down is asked again.
const WAIT_US: u32 = 1000;
/// When something went wrong it is waited so long for the server's word that the claim was cut off: the server may not
/// have heard of it yet.
const NOTICE: u64 = 2_000_000_000;
/// Without a claim for so long, the device hangs.
const PATIENCE: u64 = 20_000_000_000;

/// Why a round ended early.
enum Ended {
    /// A server died or is down: begin again.
    Lost,
    /// The claim was cut off, and the server says so.
    CutOff,
    /// The run fails.
    Wrong(&'static str),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Dead | Failure::Down | Failure::Retired => Self::Lost,
            Failure::Refused(Error::Unavailable | Error::StaleHandle | Error::Busy) => Self::Lost,
            Failure::Refused(Error::StreamBlocked) => Self::CutOff,
            Failure::Refused(error) => Self::Wrong(error.name()),
            Failure::Nonsense => Self::Wrong("a reply is not of the protocol"),
        }
    }
}

#[derive(Default)]
struct Count {
    moved: u64,
    lost: u64,
    cut_off: u64,
}

struct Churn {
    reaper: Server,
    device: u32,
    channel: Channel,
    pool: PoolMemory,
    random: Rand64,
    count: Count,
}

/// Whether the server says that the claim was cut off, now or soon.
fn is_cut_off(claim: &Device<'_>) -> Result<bool, Ended> {
    let end = time::now().after(NOTICE);
    loop {
        if claim.status()?.flags.has(StatusFlags::STORM) {
            return Ok(true);
        }
        if time::now() > end {
            return Ok(false);
        }
        Delay::new().delay_us(WAIT_US);
    }
}

impl Churn {
    fn new() -> Option<Self> {
        let device = config::devices().first()?;
        let seed = config::parameter("seed")? << 32 | ipc::who_am_i().generation();
        Some(Self {
            reaper: Server::named("reaper")?,
            device: device.device,
            channel: Channel::new(device).ok()?,
            pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
            random: Rand64::new(u128::from(seed)),
            count: Count::default(),
        })
    }

    fn run_transfer(&self, direction: Direction, iova: u64) -> Result<(), Ended> {
        let transfer = Transfer {
            direction,
            iova,
            offset: 0,
            len: LEN,
        };
        self.channel
            .run(&transfer)
            .map_err(|_| Ended::Wrong("a transfer did not end"))
    }

    /// Moves data to the device and back.
    fn transfer(&mut self, claim: &mut Device<'_>) -> Result<(), Ended> {
        let source = claim.map(0, Extent { first: 0, pages: 1 }, MapFlags::READ)?;
        let destination = claim.map(0, Extent { first: 1, pages: 1 }, MapFlags::READ_WRITE)?;
        let seed = self.random.rand_u64() as u8;
        pattern::write(&self.pool, SOURCE, LEN, seed);
        self.pool.fill(DESTINATION, LEN, 0);
        publish();
        self.run_transfer(Direction::FromMemory, source)?;
        self.run_transfer(Direction::ToMemory, destination)?;
        acquire();
        let differences = pattern::differences(&self.pool, DESTINATION, LEN, seed);
        // A claim that was cut off meanwhile refuses this.
        claim.unmap(source, 1)?;
        claim.unmap(destination, 1)?;
        if differences != 0 {
            defmt::error!(
                "{=usize} of {=usize} bytes did not arrive",
                differences,
                LEN
            );
            return Err(Ended::Wrong("data was lost without a word"));
        }
        self.count.moved += 1;
        Ok(())
    }

    /// One claim: emptied first, since a life before, or a request whose reply was lost, may have left something mapped.
    fn claim(&mut self) -> Result<(), Ended> {
        let Some(iommu) = Server::named("iommu") else {
            return Err(Ended::Wrong("the plan has no iommu for this driver"));
        };
        Device::claim(&iommu, self.device)?.release()?;
        let mut claim = Device::claim(&iommu, self.device)?;
        for _ in 0..self.random.rand_range(1..4) {
            match self.transfer(&mut claim) {
                Err(Ended::Wrong(_)) if is_cut_off(&claim)? => return Err(Ended::CutOff),
                result => result?,
            }
        }
        if self.random.rand_range(0..2) == 0 {
            claim.release()?;
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), &'static str> {
        let mut last = time::now();
        while !chaos_reaper::is_over(&self.reaper) {
            match self.claim() {
                Ok(()) => {
                    last = time::now();
                    continue;
                }
                Err(Ended::Lost) => self.count.lost += 1,
                Err(Ended::CutOff) => self.count.cut_off += 1,
                Err(Ended::Wrong(why)) => return Err(why),
            }
            Delay::new().delay_us(WAIT_US);
            if time::now() > last.after(PATIENCE) {
                return Err("the device cannot be claimed any more");
            }
        }
        // All is quiet now: this must work.
        self.claim().map_err(|_| "the last claim failed")
    }
}

fn main() -> ! {
    let Some(mut churn) = Churn::new() else {
        panic!("the plan lacks something");
    };
    let result = churn.run();
    defmt::info!(
        "{=u64} round trips, {=u64} begun again, {=u64} claims cut off",
        churn.count.moved,
        churn.count.lost,
        churn.count.cut_off
    );
    let sent = match result {
        Ok(()) => report(Outcome::Pass, "memory -> device -> memory, equal"),
        Err(why) => report(Outcome::Fail, why),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        ipc::receive(0);
    }
}
