//! Rows of the disk: application to application, the driver's and the servers' work included, the
//! processor's idling for the disk not (WFI retires nothing).

use abi::LeaseAttributes;
use blk_api::client::Disk;
use blk_api::{DEPTH, DONE, Kind, SECTOR, Submit};
use plan::task::MappingKind;
use userlib::ipc::{self, LeaseBuffer, Received};
use userlib::memory::PoolMemory;
use userlib::{config, plan, time};

use bench_protocol::row::{instructions, median, report};

const PAGE: u64 = 4096;
const SECTORS: u64 = PAGE / SECTOR;
/// Reads in one sample at full depth.
const MANY: u32 = 256;

/// A disk, and a pool with a page for each request in flight.
struct Reader {
    disk: Disk,
    pool: PoolMemory,
    done: u32,
}

/// Runs both; false if one failed. `boot-to-first-read` is counted from the kernel's first
/// instructions to the first completion.
pub fn run() -> bool {
    let Some(reader) = reader() else {
        return report("boot-to-first-read", None);
    };
    let first = reader.read_one(0).map(|()| time::instructions());
    let mut complete = report("boot-to-first-read", first);
    let single = median(|| {
        let (taken, read) = instructions(|| reader.read_one(8));
        read.map(|()| taken)
    });
    complete &= report("blk-read-4k-qd1", single);
    let many = median(|| {
        let (taken, read) = instructions(|| reader.read_many());
        read.map(|()| taken / MANY)
    });
    complete & report("blk-read-4k-qd32", many)
}

fn reader() -> Option<Reader> {
    Some(Reader {
        disk: Disk::named("virtio-blk")?,
        pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
        done: config::notification(DONE)?,
    })
}

impl Reader {
    fn submit(&self, slot: u32, sector: u64) -> Option<()> {
        let offset = slot as usize * PAGE as usize;
        let page = self.pool.part(offset, PAGE as usize);
        let buffer = LeaseBuffer::pool(page, LeaseAttributes::all());
        let request = Submit {
            kind: Kind::Read,
            tag: slot,
            sector,
            count: SECTORS as u32,
        };
        self.disk.submit(&request, buffer).ok()
    }

    fn wait(&self) {
        while !matches!(ipc::receive(self.done), Received::Notification(_)) {}
    }

    fn read_one(&self, sector: u64) -> Option<()> {
        self.submit(0, sector)?;
        loop {
            self.wait();
            if let Some(completion) = self.disk.collect().ok()?.next() {
                return completion.result.ok();
            }
        }
    }

    /// Keeps `DEPTH` reads in flight until `MANY` are done.
    fn read_many(&self) -> Option<()> {
        let mut sector = 0;
        let mut left = MANY;
        let mut submitted = 0;
        for slot in 0..DEPTH as u32 {
            self.submit(slot, sector)?;
            sector += SECTORS;
            submitted += 1;
        }
        while left > 0 {
            self.wait();
            loop {
                let mut any = false;
                for completion in self.disk.collect().ok()? {
                    any = true;
                    completion.result.ok()?;
                    left -= 1;
                    if submitted < MANY {
                        self.submit(completion.tag, sector)?;
                        sector += SECTORS;
                        submitted += 1;
                    }
                }
                if !any {
                    break;
                }
            }
        }
        Some(())
    }
}
