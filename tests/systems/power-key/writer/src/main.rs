//! Writes blocks of a disk over and over, one at a time, and says which was acknowledged last: whoever reads the disk
//! afterwards can tell whether all of them are there.
//!
//! Write number `n`, from 1, fills block `n` modulo [`BLOCKS`] with the word `n`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::LeaseAttributes;
use blk_api::client::Disk;
use blk_api::{Kind, LEASE, Transfer};
use userlib::config;
use userlib::ipc::{self, LeaseBuffer};
use userlib::memory::{Memory, PoolMemory, publish};
use userlib::plan::task::MappingKind;

userlib::task!(main);

/// Blocks that are written in turn, each of so many bytes.
const BLOCKS: u64 = 64;
const BYTES: usize = 4096;
const SECTORS: u64 = BYTES as u64 / 512;

fn write(disk: &Disk, pool: PoolMemory, number: u64) -> Result<(), &'static str> {
    for offset in (0..BYTES).step_by(8) {
        pool.write64(offset, number);
    }
    publish();
    let request = Transfer {
        kind: Kind::Write,
        tag: 0,
        region: LEASE,
        page: 0,
        sector: number % BLOCKS * SECTORS,
        count: SECTORS as u32,
    };
    let buffer = LeaseBuffer::pool(pool.part(0, BYTES), LeaseAttributes::READ);
    disk.one(&request, Some(buffer))
        .map_err(|error| error.name())
}

fn main() -> ! {
    let plan = (
        Disk::named("virtio-blk"),
        config::mappings(MappingKind::Pool).next(),
    );
    let (Some(disk), Some(pool)) = plan else {
        panic!("the plan lacks something");
    };
    let pool = PoolMemory::of(pool);
    for number in 1.. {
        if let Err(why) = write(&disk, pool, number) {
            panic!("write {number}: {why}");
        }
        defmt::info!("acknowledged {=u64}", number);
    }
    loop {
        let _ = ipc::receive(0);
    }
}
