//! Rows of frames: application to application, both drivers' and the servers' work included, the processor's idling not (WFI
//! retires nothing).

use abi::LeaseAttributes;
use bench_protocol::row::{instructions, median, report};
use nic_api::client::Nic;
use nic_api::{Error, Frame, result};
use plan::task::MappingKind;
use queue_api::Operation;
use queue_api::client::Queue;
use userlib::ipc::LeaseBuffer;
use userlib::memory::{Memory, PoolMemory, publish};
use userlib::server::Server;
use userlib::{config, plan};

const PAGE: usize = 4096;
/// The region that the pages are in.
const REGION: u8 = 1;
/// Pages with frames to go, and as many for frames to come behind them.
const PAGES: u16 = 8;
/// Bytes of a frame.
const BYTES: u32 = 60;
/// Frames of a sample.
const FRAMES: u32 = 64;

/// Two interfaces of one network.
struct Pair {
    left: Nic,
    right: Nic,
}

/// Their queues.
struct Queues<'n> {
    left: Queue<&'n Server>,
    right: Queue<&'n Server>,
}

/// Runs all; false if one failed.
pub fn run() -> bool {
    let Some(pair) = Pair::of("left", "right") else {
        return report("frame-echo", None);
    };
    let mut queues = pair.queues();
    let strict = pair.each(&mut queues);
    let kept = Pair::of("kept-left", "kept-right").and_then(|kept| kept.each(&mut kept.queues()));
    let over = strict.zip(kept).and_then(|(strict, kept)| {
        let thousandths = u64::from(strict) * 1000;
        u32::try_from(thousandths.checked_div(kept.into())?).ok()
    });
    report("frame-echo", strict) & report("frame-strict-over-persistent", over)
}

impl Pair {
    /// Both, with all pages lent.
    fn of(left: &str, right: &str) -> Option<Self> {
        let pool = PoolMemory::of(config::mappings(MappingKind::Pool).next()?);
        for page in 0..usize::from(PAGES) {
            // To all; what is in it is nobody's business.
            pool.fill(page * PAGE, 6, 0xff);
            pool.fill(page * PAGE + 6, BYTES as usize - 6, 2);
        }
        publish();
        let pair = Self {
            left: Nic::named(left)?,
            right: Nic::named(right)?,
        };
        for nic in [&pair.left, &pair.right] {
            let lent = LeaseBuffer::pool(pool, LeaseAttributes::all());
            nic.lend(REGION, lent).ok()?;
        }
        Some(pair)
    }

    fn queues(&self) -> Queues<'_> {
        let depth = usize::from(2 * PAGES);
        Queues {
            left: Queue::new(self.left.caller(), depth),
            right: Queue::new(self.right.caller(), depth),
        }
    }

    /// What each frame takes, one at a time.
    fn each(&self, queues: &mut Queues<'_>) -> Option<u32> {
        for page in PAGES..2 * PAGES {
            let frame = Frame::receive(page, REGION, page.into());
            queues.right.ask(frame.request()).then_some(())?;
        }
        // Four a message.
        for _ in 0..PAGES / 4 {
            queues.right.turn::<Error>(Operation::Run, &[]).ok()?;
        }
        median(|| {
            let (taken, done) = instructions(|| {
                for number in 0..FRAMES {
                    one(queues, (number % u32::from(PAGES)) as u16)?;
                }
                Some(())
            });
            done.map(|()| taken / FRAMES)
        })
    }
}

/// A frame out, and in. The page in which the last one came is given back with the same message that waits for this one.
fn one(queues: &mut Queues<'_>, page: u16) -> Option<()> {
    let frame = Frame::send(page, REGION, page.into(), BYTES);
    queues.left.ask(frame.request()).then_some(())?;
    let gone = queues.left.turn::<Error>(Operation::Run, &[]);
    for completion in gone.ok()? {
        result(completion).ok()?;
    }
    for completion in queues.right.turn::<Error>(Operation::Wait, &[]).ok()? {
        if result(completion).ok()? != BYTES {
            return None;
        }
        let page = completion.tag();
        let frame = Frame::receive(page, REGION, page.into());
        queues.right.ask(frame.request()).then_some(())?;
    }
    Some(())
}
