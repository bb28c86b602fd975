//! A client of a disk whose driver keeps mapped what it is lent.
//!
//! One instance dies so many times, with a request under way and with none. The other reads all the while: it must lose
//! nothing by these deaths, and the driver must live on.
//!
//! Plan: the disk's driver, whose name is `disk`, a pool that is lent as a whole, and the bit `blk-done`. The parameter `deaths`
//! for the one, and the peer `mortal` for the other.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{Code, LeaseAttributes};
use blk_api::client::{Disk, Failure};
use blk_api::{Kind, Transfer};
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::ipc::{self, LeaseBuffer};
use userlib::memory::PoolMemory;
use userlib::plan::task::MappingKind;
use userlib::time;
use userlib::{config, delay::Delay, delay::DelayNs};

userlib::task!(main);

/// The region that is lent.
const REGION: u8 = 1;
const PAGES: u32 = 4;
/// Sectors of a page.
const SECTORS: u32 = 8;
/// Reads of a life that dies, and of the other after the last death.
const READS: u64 = 20;
/// A life after a death begins within this: a device that is taken away from its driver takes a second, and a reset.
const SOON: u64 = 900_000_000;

type Outcomes<T> = Result<T, &'static str>;

fn named(failure: Failure) -> &'static str {
    failure.name()
}

fn read(number: u64) -> Transfer {
    let page = (number % u64::from(PAGES)) as u32;
    Transfer {
        kind: Kind::Read,
        tag: page as u16,
        region: REGION,
        page,
        sector: u64::from(page * SECTORS),
        count: SECTORS,
    }
}

/// The disk, with this life's pool lent to its driver.
fn lent() -> Outcomes<Disk> {
    let disk = Disk::named("disk").ok_or("the plan does not name the disk")?;
    let pool = config::mappings(MappingKind::Pool).next();
    let pool = PoolMemory::of(pool.ok_or("the plan has no pool")?);
    let pages = pool.part(0, PAGES as usize * 4096);
    let memory = LeaseBuffer::pool(pages, LeaseAttributes::all());
    disk.lend(REGION, memory).map_err(named)?;
    Ok(disk)
}

fn reads(disk: &Disk, count: u64) -> Outcomes<()> {
    (0..count).try_for_each(|number| disk.one(&read(number), None).map_err(named))
}

/// Every other life leaves a request behind.
fn mortal(deaths: u64) -> Outcomes<()> {
    let life = ipc::who_am_i().generation();
    let disk = lent()?;
    reads(&disk, READS)?;
    if life >= deaths {
        return Ok(());
    }
    if life % 2 == 1 {
        disk.run(&[read(0)], None).map_err(named)?;
    }
    panic!("as planned: a lender dies");
}

/// Reads until the other has died for the last time, and then some more. Each of its lives comes soon.
fn steady() -> Outcomes<()> {
    let disk = lent()?;
    let driver = disk.driver();
    let mortal = config::peer("mortal").ok_or("the plan does not name `mortal`")?;
    let deaths = config::parameter("deaths").ok_or("no parameter `deaths`")?;
    let (mut last, _) = ipc::refresh(mortal.index as usize);
    let mut since = time::now();
    while last.generation() < deaths {
        reads(&disk, 1)?;
        let (life, code) = ipc::refresh(mortal.index as usize);
        if life != last && code == Code::OK {
            (last, since) = (life, time::now());
        }
        if time::now() > since.after(SOON) {
            return Err("a life after a death is late");
        }
        // Lets the other run.
        Delay::new().delay_us(200);
    }
    reads(&disk, READS)?;
    disk.refresh();
    if disk.driver() == driver {
        Ok(())
    } else {
        Err("the driver died with its client")
    }
}

fn main() -> ! {
    let result = match config::peer("mortal") {
        Some(_) => steady(),
        None => config::parameter("deaths").map_or(Err("no parameter `deaths`"), mortal),
    };
    let (outcome, text) = match result {
        Ok(()) => (Outcome::Pass, "nothing lost by another's death"),
        Err(why) => (Outcome::Fail, why),
    };
    let _ = report(outcome, text);
    loop {
        ipc::receive(0);
    }
}
