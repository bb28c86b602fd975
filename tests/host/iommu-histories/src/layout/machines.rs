//! The machines that histories run on, as data.

use plan::NONE;
use plan::iommu::{DomainKind, PremappedEntry, PremappedKind};
use vmsa::Memory as MemoryType;

use super::{Machine, Planned, Recipe, WINDOW, Window};

const fn direct(domain: u32, base: u64, len: u64) -> PremappedEntry {
    PremappedEntry {
        domain,
        kind: PremappedKind::Direct as u32,
        task: NONE,
        pool: 0,
        iova: base,
        pa: base,
        len,
        memory: MemoryType::NormalWriteBack as u32,
        reserved: 0,
    }
}

/// The only pool of a task, from `iova` on.
const fn pool(domain: u32, kind: PremappedKind, task: u32, iova: u64, pa: u64) -> PremappedEntry {
    PremappedEntry {
        domain,
        kind: kind as u32,
        task,
        pool: 0,
        iova,
        pa,
        len: 16 * 4096,
        memory: MemoryType::NormalWriteBack as u32,
        reserved: 0,
    }
}

/// A device of one driver.
const fn driven(
    name: &'static str,
    owner: u32,
    domain: u32,
    streams: &'static [u32],
    reset_unit: u32,
) -> Planned {
    Planned {
        name,
        owner,
        domain,
        streams,
        reset_unit,
        recipe: Recipe::Own,
        ..Planned::BRIDGE
    }
}

/// Each kind of device once: a bridge, a device alone, two of owners that trust each other and share two StreamIDs,
/// one with blocks, a second one of the first owner, one that nobody may use, one with a direct region,
/// one of a domain with a premapped pool, one that bypasses.
pub static EVERYDAY: Machine = Machine {
    devices: &[
        Planned::BRIDGE,
        driven("disk", 4, 0, &[0x100], 1),
        driven("left", 5, 1, &[0x200, 0x208], 2),
        driven("right", 6, 1, &[0x200, 0x208], 2),
        driven("big", 6, 2, &[0x300], 3),
        driven("second", 4, 3, &[0x108], 4),
        driven("spare", NONE, NONE, &[0x310], 5),
        Planned {
            always_open: true,
            ..driven("display", 5, 4, &[0x320], 6)
        },
        driven("network", 5, 5, &[0x328], 7),
        driven("raw", 4, 6, &[0x110], 8),
    ],
    windows: &[
        Window::LAZY,
        Window::LAZY,
        Window {
            lazy: 600,
            ..Window::BLOCKS
        },
        Window::PAGES,
        Window::PAGES,
        Window::PAGES,
        Window {
            kind: DomainKind::Bypass,
            ..Window::PAGES
        },
    ],
    premapped: &[
        direct(4, 0x7000_0000, 0x2000),
        pool(5, PremappedKind::Pool, 5, WINDOW, 0x5020_0000),
    ],
    streams: &[
        0x100, 0x108, 0x200, 0x208, 0x300, 0x320, 0x328, 0x110, 0x310,
    ],
    watched: &[1, 4, 5],
};

const CLIENT: u32 = super::CLIENT as u32;

/// Alias sets of unlike members: one with a device that is always open, owned or not, one of three with a platform
/// device, two with premapped pools, two of an identity domain whose owner lends memory as well; and a platform
/// device alone.
pub static SHARED: Machine = Machine {
    devices: &[
        Planned::BRIDGE,
        driven("disk", 4, 0, &[0x100], 1),
        Planned {
            always_open: true,
            ..driven("display", 5, 0, &[0x100], 2)
        },
        Planned {
            platform: true,
            ..driven("codec", 4, 1, &[0x200], 3)
        },
        driven("card", 6, 1, &[0x200], 4),
        driven("left", 5, 2, &[0x108], 5),
        driven("right", 5, 2, &[0x108], 6),
        driven("lender", CLIENT, 3, &[0x300], 7),
        driven("shadow", CLIENT, 3, &[0x300], 8),
        Planned {
            platform: true,
            ..driven("crypto", 6, 4, &[0x310], 9)
        },
        driven("network", 4, 5, &[0x320], 10),
        Planned {
            always_open: true,
            ..driven("console", NONE, 5, &[0x320], 11)
        },
        driven("tuner", 5, 1, &[0x200], 12),
    ],
    windows: &[
        Window::PAGES,
        Window {
            lazy: 9,
            ..Window::BLOCKS
        },
        Window::PAGES,
        Window {
            kind: DomainKind::Identity,
            pages: 0,
            blocks: 0,
            lazy: 0,
        },
        Window::PAGES,
        Window::PAGES,
    ],
    premapped: &[
        direct(0, 0x7000_0000, 0x2000),
        pool(2, PremappedKind::Pool, 5, WINDOW, 0x5020_0000),
        pool(3, PremappedKind::Identity, CLIENT, 0x5030_0000, 0x5030_0000),
        direct(5, 0x7100_0000, 0x1000),
    ],
    streams: &[0x100, 0x200, 0x108, 0x300, 0x310, 0x320, 0x208],
    watched: &[9],
};

/// A bus with four devices, one of which is always open and one of which can be reset alone; a slot with two alternatives;
/// a device that cannot be made quiet; one alone; one of a client that lends memory as well.
pub static RESETS: Machine = Machine {
    devices: &[
        Planned::BRIDGE,
        on_bus(driven("disk", 4, 0, &[0x100], 1)),
        on_bus(driven("network", 5, 1, &[0x108], 1)),
        Planned {
            below: Some(0),
            ..driven("card", 6, 2, &[0x110], 1)
        },
        Planned {
            always_open: true,
            ..on_bus(driven("display", 5, 3, &[0x118], 1))
        },
        driven("slot-a", 4, 4, &[0x200], 2),
        driven("slot-b", 5, 5, &[0x200], 2),
        Planned {
            recipe: Recipe::None,
            ..driven("once", 6, 6, &[0x300], 3)
        },
        driven("second", 4, 7, &[0x308], 4),
        driven("lender", CLIENT, 8, &[0x310], 5),
    ],
    windows: &[
        Window::LAZY,
        Window::PAGES,
        Window::BLOCKS,
        Window::PAGES,
        Window::PAGES,
        Window::PAGES,
        Window::PAGES,
        Window::PAGES,
        Window::PAGES,
    ],
    premapped: &[direct(3, 0x7000_0000, 0x2000)],
    streams: &[
        0x100, 0x108, 0x110, 0x118, 0x200, 0x300, 0x308, 0x310, 0x208,
    ],
    watched: &[1, 2, 8],
};

/// One that is reset with its whole bus.
const fn on_bus(planned: Planned) -> Planned {
    Planned {
        recipe: Recipe::Bus,
        below: Some(0),
        ..planned
    }
}
