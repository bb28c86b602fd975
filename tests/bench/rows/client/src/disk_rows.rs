//! Rows of the disk: application to application, the driver's and the servers' work included, the
//! processor's idling for the disk not (WFI retires nothing).

use abi::LeaseAttributes;
use blk_api::client::Disk;
use blk_api::{DEPTH, Error, Kind, SECTOR, Transfer, result};
use plan::task::MappingKind;
use queue_api::Operation;
use queue_api::client::Queue;
use userlib::ipc::LeaseBuffer;
use userlib::memory::PoolMemory;
use userlib::server::Server;
use userlib::{config, plan, time};

use bench_protocol::row::{instructions, median, report};

const PAGE: u64 = 4096;
/// The region that the buffers are in.
const REGION: u8 = 1;
const SECTORS: u64 = PAGE / SECTOR;
/// Many reads of one length, so many of them under way at a time.
#[derive(Clone, Copy)]
struct Load {
    reads: u32,
    depth: usize,
    pages: u32,
}

/// Single pages at full depth.
const MANY: Load = Load {
    reads: 256,
    depth: DEPTH,
    pages: 1,
};
/// 128 KiB at a time.
const LONG: Load = Load {
    reads: 64,
    depth: 8,
    pages: 32,
};

/// A disk, and a pool with the pages of each request in flight.
struct Reader {
    disk: Disk,
    pool: PoolMemory,
}

/// Runs both; false if one failed. `boot-to-first-read` is counted from the kernel's first
/// instructions to the first completion.
pub fn run() -> bool {
    let Some(reader) = reader("virtio-blk", MANY) else {
        return report("boot-to-first-read", None);
    };
    let first = reader.read_one(0).map(|()| time::instructions());
    let mut complete = report("boot-to-first-read", first);
    complete &= report("blk-read-4k-qd1", reader.single());
    complete & report("blk-read-4k-qd32", reader.each(MANY))
}

/// The rows of an NVMe disk.
pub fn run_nvme() -> bool {
    let Some(reader) = reader("nvme", LONG) else {
        return report("nvme-read-4k-qd1", None);
    };
    // The first read waits for the driver to come up.
    let mut complete = reader.read_one(0).is_some();
    complete &= report("nvme-read-4k-qd1", reader.single());
    complete &= report("nvme-read-4k-qd32", reader.each(MANY));
    complete &= report("nvme-read-128k-qd8", reader.each(LONG));
    complete & report("nvme-strict-over-persistent", reader.over_kept())
}

/// The row of one driver that maps and unmaps, over another that keeps the pool mapped.
pub fn compare() -> bool {
    let strict = reader("strict", MANY).and_then(|strict| strict.over_kept());
    report("strict-over-persistent", strict)
}

/// A disk, with the pages lent for each request of a load.
fn reader(driver: &str, load: Load) -> Option<Reader> {
    let reader = Reader {
        disk: Disk::named(driver)?,
        pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
    };
    reader.lend(load).then_some(reader)
}

impl Reader {
    fn read(&self, tag: u16, sector: u64, pages: u32) -> Transfer {
        Transfer {
            kind: Kind::Read,
            tag,
            region: REGION,
            page: u32::from(tag) * pages,
            sector,
            count: SECTORS as u32 * pages,
        }
    }

    fn lend(&self, load: Load) -> bool {
        let bytes = load.depth * load.pages as usize * PAGE as usize;
        let pages = self.pool.part(0, bytes);
        let lent = LeaseBuffer::pool(pages, LeaseAttributes::all());
        self.disk.lend(REGION, lent).is_ok()
    }

    /// What all reads of a load take.
    fn many(&self, load: Load) -> Option<u32> {
        let mut requests = Queue::new(self.disk.caller(), load.depth);
        median(|| {
            let (taken, read) = instructions(|| self.read_many(&mut requests, load));
            read.map(|()| taken)
        })
    }

    /// What each read of a load takes.
    fn each(&self, load: Load) -> Option<u32> {
        self.many(load).map(|taken| taken / load.reads)
    }

    /// Reads at full depth, in thousandths of the same by a driver that keeps the pool mapped.
    fn over_kept(&self) -> Option<u32> {
        let strict = u64::from(self.many(MANY)?) * 1000;
        let kept = reader("kept", MANY)?.many(MANY)?;
        u32::try_from(strict.checked_div(kept.into())?).ok()
    }

    /// What a read alone takes.
    fn single(&self) -> Option<u32> {
        median(|| {
            let (taken, read) = instructions(|| self.read_one(8));
            read.map(|()| taken)
        })
    }

    fn read_one(&self, sector: u64) -> Option<()> {
        self.disk.one(&self.read(0, sector, 1), None).ok()
    }

    /// Keeps as many reads in flight as a load has, until all of it is done.
    fn read_many(&self, requests: &mut Queue<&Server>, load: Load) -> Option<()> {
        let (mut asked, mut left) = (0, load.reads);
        while left > 0 {
            while let Some(tag) = requests.free_tag().filter(|_| asked < load.reads) {
                let sector = u64::from(asked * load.pages) * SECTORS;
                let read = self.read(tag, sector, load.pages);
                requests.ask(read.request()).then_some(())?;
                asked += 1;
            }
            let completions = requests.turn::<Error>(Operation::Wait, &[]);
            for completion in completions.ok()? {
                result(completion).ok()?;
                left -= 1;
            }
        }
        Some(())
    }
}
