//! The rows, with the figures of other systems measured on the same machine (QEMU `virt`, `-icount shift=0`,
//! INST_RETIRED), and the goals that this project sets itself.

/// One operation.
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
}

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
    }
}

/// A time with interrupts masked, in a system of 64 tasks; its image fails if it is longer than this.
const fn masked(name: &'static str, spans: &'static str) -> Row {
    row(name, "", "", Some(abi::LONGEST_MASKED as u64), spans)
}

/// In the order they are printed.
pub const ROWS: [Row; 40] = [
    row(
        "null-syscall",
        "455",
        "91",
        Some(40),
        "WhoAmI, EL0 and back",
    ),
    row(
        "ipc-0",
        "10688",
        "425",
        Some(150),
        "call and reply, no payload, across address spaces",
    ),
    row(
        "ipc-64",
        "",
        "1388",
        Some(150),
        "the same, 64 bytes each way",
    ),
    row(
        "ipc-128",
        "",
        "1468",
        Some(250),
        "the same, 128 bytes each way",
    ),
    row("ipc-1024", "", "", None, "the same, 1024 bytes each way"),
    row(
        "notify",
        "",
        "501",
        Some(150),
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
        Some(150),
        "device raises its line, until the driver's handler runs",
    ),
    row(
        "fault",
        "",
        "511",
        Some(250),
        "faulting access, until the supervisor's handler runs",
    ),
    row(
        "map-unmap-4k",
        "9473",
        "1056",
        Some(400),
        "two calls to the server, strict invalidation",
    ),
    row(
        "map-unmap-16x4k",
        "14253",
        "",
        Some(800),
        "16 scattered pages, a list each way",
    ),
    row(
        "map-unmap-256x4k",
        "194227",
        "",
        Some(5000),
        "256 scattered pages, a list each way",
    ),
    row("map-unmap-2m", "250218", "", Some(400), "one block"),
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
    ),
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
        Some(3000),
        "submit, interrupt, unmap, collect; application to application",
    ),
    row(
        "blk-read-4k-qd32",
        "20971",
        "",
        Some(2000),
        "the same with 32 in flight, per read",
    ),
    row(
        "boot-to-first-read",
        "1240000000",
        "",
        Some(2_000_000),
        "the kernel's first instructions to the first completed read",
    ),
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
        Some(24_000),
        "bytes of the kernel's executable segment",
    ),
];
