//! How often the rows of `cargo xtask bench` wait for the SMMU, and for how many commands.
//!
//! QEMU does a command at once, so the rows' instructions say nothing of it; on hardware it is most of what they take. The
//! figures are exact: a test counts them on the model of the SMMU, and `bench` prints them beside its own.

/// Waits for a CMD_SYNC, and commands with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waits {
    /// Times that the server waited.
    pub sync_waits: u32,
    /// Commands submitted, CMD_SYNCs included.
    pub commands: u32,
}

/// A row's figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Name.
    pub name: &'static str,
    /// On an SMMU that invalidates by range (IDR3.RIL).
    pub by_range: Waits,
    /// On one that does not, whose queue has eight slots.
    pub by_page: Waits,
}

const fn row(name: &'static str, by_range: (u32, u32), by_page: (u32, u32)) -> Row {
    const fn waits((sync_waits, commands): (u32, u32)) -> Waits {
        Waits {
            sync_waits,
            commands,
        }
    }
    Row {
        name,
        by_range: waits(by_range),
        by_page: waits(by_page),
    }
}

/// The rows. Without ranges a queue of eight slots takes seven commands and a CMD_SYNC at a time; beyond 64 pages the whole
/// address space is forgotten by one command.
/// A read of a disk is a run of pages, mapped and unmapped; so is each frame, of which one goes out and one comes in.
pub const WAITS: [Row; 9] = [
    row("map-unmap-4k", (1, 2), (1, 2)),
    row("exchange-4k", (1, 2), (1, 2)),
    row("map-unmap-16x4k", (1, 2), (3, 19)),
    row("map-unmap-256x4k", (1, 2), (1, 2)),
    row("blk-read-4k-qd1", (1, 2), (1, 2)),
    row("nvme-read-4k-qd1", (1, 2), (1, 2)),
    row("nvme-read-128k-qd8", (1, 2), (5, 37)),
    row("frame-echo", (2, 4), (2, 4)),
    row("claim-release", (2, 8), (2, 8)),
];
