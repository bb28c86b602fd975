//! The rows, with the figures of other systems measured on the same machine (QEMU `virt`, `-icount shift=0`,
//! INST_RETIRED), and the goals that this project sets itself.

use planner::failure::{Failure, Outcome};

use super::counted::Counted;
use crate::testing::suggest;

/// One operation.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    /// Linux 6.12; empty where it has no such operation.
    pub linux: &'static str,
    /// seL4 16, fastpath on.
    pub sel4: &'static str,
    /// The goal that this project sets itself; none where it set none.
    pub goal: Option<u64>,
    /// The part of an operation that the figure includes.
    pub spans: &'static str,
    /// What the counter has to do with the figure.
    pub counted: Counted,
    /// The image that counts it, below the root.
    pub app: &'static str,
    /// By how many parts of a hundred a figure may be larger than the one kept.
    pub tolerance: u64,
}

/// In percent, of rows that repeat exactly.
const USUAL_TOLERANCE: u64 = 3;

/// The images: what operations cost, what it is to map for each request, another kind of disk, frames, and the longest times with interrupts masked.
pub const BENCH_APP: &str = "tests/bench/rows/app.toml";
pub const PERSISTENT_APP: &str = "tests/bench/persistent/app.toml";
pub const NVME_APP: &str = "tests/bench/nvme/app.toml";
pub const FRAMES_APP: &str = "tests/bench/frames/app.toml";
pub const LONGEST_APP: &str = "tests/bench/longest/app.toml";

/// The row that counts bytes.
pub const KERNEL_TEXT: &str = "kernel-text";

const fn row(
    name: &'static str,
    linux: &'static str,
    sel4: &'static str,
    goal: Option<u64>,
    spans: &'static str,
) -> Row {
    Row {
        name,
        linux,
        sel4,
        goal,
        spans,
        counted: Counted::Once,
        app: BENCH_APP,
        tolerance: USUAL_TOLERANCE,
    }
}

impl Row {
    /// Of a row whose figure depends on when the disk's interrupt comes.
    const fn varying(mut self, tolerance: u64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The name of its test.
    pub fn case(&self) -> String {
        format!("bench::{}", self.name)
    }

    /// Whether two runs of the same image give two figures.
    pub fn varies(&self) -> bool {
        self.tolerance != USUAL_TOLERANCE
    }

    const fn counted(mut self, counted: Counted) -> Self {
        self.counted = counted;
        self
    }

    /// The row of that name.
    ///
    /// # Errors
    /// There is none; the message has names like it.
    pub fn named(name: &str) -> Outcome<&'static Self> {
        ROWS.iter().find(|row| row.name == name).ok_or_else(|| {
            let meant = suggest(name, ROWS.iter().map(|row| row.name));
            let meant: Vec<String> = meant.iter().map(|name| format!("`{name}`")).collect();
            let hint = if meant.is_empty() {
                "`cargo xtask bench` shows all".to_owned()
            } else {
                format!("did you mean {}?", meant.join(" or "))
            };
            Failure::new(format!("no row is called `{name}`; {hint}"))
        })
    }
}

/// A time with interrupts masked, in a system of 64 tasks; its image fails if it is longer than this.
const fn masked(name: &'static str, spans: &'static str) -> Row {
    let mut row = row(name, "", "", Some(abi::LONGEST_MASKED as u64), spans);
    row.app = LONGEST_APP;
    row
}

/// Of a device that signals by messages.
const fn by_messages(name: &'static str, goal: Option<u64>, spans: &'static str) -> Row {
    let mut row = row(name, "", "", goal, spans);
    row.app = NVME_APP;
    row
}

/// Of network interfaces.
const fn of_frames(name: &'static str, goal: Option<u64>, spans: &'static str) -> Row {
    let mut row = row(name, "", "", goal, spans);
    row.app = FRAMES_APP;
    row
}

/// In the order they are printed.
pub const ROWS: [Row; 53] = [
    row(
        "null-syscall",
        "455",
        "91",
        Some(24),
        "WhoAmI, EL0 and back",
    ),
    row(
        "ipc-0",
        "10688",
        "425",
        Some(140),
        "call and reply, no payload, across address spaces",
    ),
    row(
        "ipc-64",
        "",
        "1388",
        Some(140),
        "the same, 64 bytes each way",
    ),
    row(
        "ipc-128",
        "",
        "1468",
        Some(145),
        "the same, 128 bytes each way, in registers on both sides",
    ),
    row(
        "ipc-128-memory",
        "",
        "",
        None,
        "the same, from memory to memory",
    ),
    row(
        "ipc-1024",
        "",
        "",
        Some(620),
        "the same, 1024 bytes each way",
    ),
    row(
        "notify",
        "",
        "501",
        Some(118),
        "post to a waiting higher-priority task, until it runs",
    ),
    row(
        "ipc-0-drivers",
        "",
        "",
        None,
        "ipc-0 between tasks with device registers, whose accesses complete first",
    ),
    row("notify-drivers", "", "", None, "notify between such tasks"),
    row(
        "ipc-0-accounts",
        "",
        "",
        None,
        "ipc-0 between tasks whose processor time is limited",
    ),
    row("notify-accounts", "", "", None, "notify between such tasks"),
    row(
        "irq",
        "",
        "332",
        Some(120),
        "device raises its line, until the driver's handler runs",
    ),
    row(
        "fault",
        "",
        "511",
        Some(235),
        "faulting access, until the supervisor's handler runs",
    ),
    row(
        "map-unmap-4k",
        "9473",
        "1056",
        Some(370),
        "two calls to the server, strict invalidation",
    ),
    row(
        "map-unmap-4k-lazy",
        "1948",
        "",
        Some(370),
        "the same in a lazy domain, per page of 64, their flush included",
    )
    .counted(Counted::Each(64)),
    row(
        "flush-63x4k",
        "",
        "",
        None,
        "one call, 63 single pages waiting in a lazy domain",
    ),
    row(
        "exchange-4k",
        "",
        "",
        Some(215),
        "a page in the place of another, one call, strict",
    ),
    row(
        "map-unmap-16x4k",
        "14253",
        "",
        Some(780),
        "16 scattered pages, a list each way",
    ),
    row(
        "map-unmap-256x4k",
        "194227",
        "",
        Some(4300),
        "256 scattered pages, a list each way",
    ),
    row("map-unmap-2m", "250218", "", Some(385), "one block"),
    row(
        "map-window",
        "",
        "",
        None,
        "1024 pages, all of the window, in one list",
    ),
    row(
        "map-window-searched",
        "",
        "",
        None,
        "the same, where nothing is known of what is free",
    ),
    row("unmap-window", "", "", None, "the same again, as one range"),
    row(
        "unmap-list-510",
        "",
        "",
        None,
        "510 single pages, backwards, in one list",
    ),
    row(
        "exchange-list-509",
        "",
        "",
        None,
        "509 single pages in the places of others, backwards, in one list",
    ),
    row(
        "map-no-space",
        "",
        "",
        None,
        "2 pages where every other one of 1024 is free: refused",
    ),
    row(
        "empty-window",
        "",
        "",
        None,
        "the end of a claim, every other of 1024 pages mapped, beside the same with one",
    )
    .counted(Counted::Apart),
    row(
        "claim-release",
        "7921",
        "",
        Some(1500),
        "a quiet device, without its reset",
    ),
    row(
        "blk-read-4k-qd1",
        "28528",
        "",
        Some(1500),
        "submit, interrupt, unmap, collect; application to application",
    )
    .varying(5),
    row(
        "blk-read-4k-qd32",
        "20971",
        "",
        Some(620),
        "the same with 32 in flight, per read",
    )
    .counted(Counted::Each(256))
    .varying(5),
    Row {
        app: PERSISTENT_APP,
        ..row(
            "strict-over-persistent",
            "2220",
            "",
            Some(1150),
            "the same in thousandths of one whose pool stays mapped",
        )
    }
    .counted(Counted::Apart)
    .varying(5),
    by_messages(
        "nvme-read-4k-qd1",
        Some(1500),
        "blk-read-4k-qd1 of an NVMe disk",
    )
    .varying(5),
    by_messages(
        "nvme-read-4k-qd32",
        Some(620),
        "the same with 32 in flight, per read",
    )
    .counted(Counted::Each(256))
    .varying(5),
    by_messages(
        "nvme-read-128k-qd8",
        None,
        "128 KiB of an NVMe disk, 8 in flight, per read",
    )
    .counted(Counted::Each(64))
    .varying(5),
    by_messages(
        "nvme-strict-over-persistent",
        Some(1150),
        "strict-over-persistent of NVMe disks",
    )
    .counted(Counted::Apart)
    .varying(5),
    by_messages(
        "irq-msi",
        None,
        "device sends a message, until the driver's handler runs",
    ),
    of_frames(
        "frame-echo",
        None,
        "a frame out by one interface and in by another, application to application",
    )
    .counted(Counted::Each(64))
    .varying(10),
    of_frames(
        "frame-strict-over-persistent",
        Some(1150),
        "the same in thousandths of one whose pools stay mapped",
    )
    .counted(Counted::Apart)
    .varying(10),
    row(
        "boot-to-first-read",
        "1240000000",
        "",
        Some(1_300_000),
        "the kernel's first instructions to the first completed read",
    )
    .varying(5),
    masked("longest-masked-console", "32 bytes to the polled console"),
    masked("longest-masked-borrow", "4096 bytes of a lease"),
    masked(
        "longest-masked-receive",
        "a message of 4096 bytes, the oldest of 60",
    ),
    masked(
        "longest-masked-reply-receive",
        "the same, after a reply of 4096 bytes",
    ),
    masked("longest-masked-death", "60 tasks wait for the dead one"),
    masked(
        "longest-masked-timer",
        "32 of 61 timers due at once: one turn",
    ),
    masked("longest-masked-start", "60 tasks depend on the one started"),
    masked("longest-masked-hold", "a hold when all slots are taken"),
    masked("longest-masked-lift", "its end"),
    masked("longest-masked-enumerate", "the first of them"),
    masked("longest-masked-post", "by a task that may post 60 others"),
    masked("longest-masked-oldest", "a short message, the oldest of 60"),
    masked("longest-masked-read-memory", "4096 bytes of a dead task"),
    row(
        KERNEL_TEXT,
        "",
        "31700",
        Some(26 << 10),
        "bytes of the kernel's executable segment",
    )
    .counted(Counted::Apart),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_not_there_has_neighbours() {
        assert_eq!(
            Row::named("ipc-64").ok().map(|row| row.name),
            Some("ipc-64")
        );
        let said = |name| match Row::named(name) {
            Err(Failure::Message(why)) => why,
            other => panic!("{name}: {other:?}"),
        };
        let near = said("claim-relase");
        assert_eq!(
            near,
            "no row is called `claim-relase`; did you mean `claim-release`?"
        );
        assert_eq!(
            said("zzzzzzzz"),
            "no row is called `zzzzzzzz`; `cargo xtask bench` shows all"
        );
    }
}
