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
/// Reads in one sample at full depth.
const MANY: u32 = 256;

/// A disk, and a pool with a page for each request in flight.
struct Reader {
    disk: Disk,
    pool: PoolMemory,
}

/// Runs both; false if one failed. `boot-to-first-read` is counted from the kernel's first
/// instructions to the first completion.
pub fn run() -> bool {
    let Some(reader) = reader("virtio-blk") else {
        return report("boot-to-first-read", None);
    };
    let first = reader.read_one(0).map(|()| time::instructions());
    let mut complete = report("boot-to-first-read", first);
    let single = median(|| {
        let (taken, read) = instructions(|| reader.read_one(8));
        read.map(|()| taken)
    });
    complete &= report("blk-read-4k-qd1", single);
    let many = reader.many().map(|taken| taken / MANY);
    complete & report("blk-read-4k-qd32", many)
}

/// Reads at full depth by a driver that maps and unmaps, in thousandths of the same by one that keeps the pool mapped.
pub fn compare() -> bool {
    let many = |driver| reader(driver)?.many();
    let of = |strict: u32, kept: u32| {
        let thousandths = u64::from(strict) * 1000;
        u32::try_from(thousandths.checked_div(u64::from(kept))?).ok()
    };
    let row = many("strict").zip(many("kept"));
    let row = row.and_then(|(strict, kept)| of(strict, kept));
    report("strict-over-persistent", row)
}

/// A disk, with a page lent for each request that can be under way.
fn reader(driver: &str) -> Option<Reader> {
    let reader = Reader {
        disk: Disk::named(driver)?,
        pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
    };
    reader.lend().then_some(reader)
}

impl Reader {
    fn read(&self, tag: u16, sector: u64) -> Transfer {
        Transfer {
            kind: Kind::Read,
            tag,
            region: REGION,
            page: u32::from(tag),
            sector,
            count: SECTORS as u32,
        }
    }

    /// Lends a page for each request that can be under way.
    fn lend(&self) -> bool {
        let pages = self.pool.part(0, DEPTH * PAGE as usize);
        let lent = LeaseBuffer::pool(pages, LeaseAttributes::all());
        self.disk.lend(REGION, lent).is_ok()
    }

    /// What `MANY` reads take.
    fn many(&self) -> Option<u32> {
        let mut requests = Queue::new(self.disk.caller(), DEPTH);
        median(|| {
            let (taken, read) = instructions(|| self.read_many(&mut requests));
            read.map(|()| taken)
        })
    }

    fn read_one(&self, sector: u64) -> Option<()> {
        self.disk.one(&self.read(0, sector), None).ok()
    }

    /// Keeps `DEPTH` reads in flight until `MANY` are done.
    fn read_many(&self, requests: &mut Queue<&Server>) -> Option<()> {
        let (mut asked, mut left) = (0, MANY);
        while left > 0 {
            while let Some(tag) = requests.free_tag().filter(|_| asked < MANY) {
                let read = self.read(tag, u64::from(asked) * SECTORS);
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
