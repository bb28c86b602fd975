//! The machines that histories run on, as data.

use plan::NONE;
use plan::iommu::{DomainKind, PermanentEntry, PermanentKind};
use vmsa::Memory as MemoryType;

use super::{Machine, Planned, WINDOW, Window};

const fn direct(domain: u32, base: u64, len: u64) -> PermanentEntry {
    PermanentEntry {
        domain,
        kind: PermanentKind::Direct as u32,
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
const fn pool(domain: u32, kind: PermanentKind, task: u32, iova: u64, pa: u64) -> PermanentEntry {
    PermanentEntry {
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

const BRIDGE: Planned = Planned {
    name: "bridge",
    owner: NONE,
    domain: NONE,
    streams: &[],
    reset_unit: 0,
    standing: false,
};

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
        standing: false,
    }
}

/// Each kind of device once: a bridge, a device alone, two of owners that trust each other and share two StreamIDs,
/// one with blocks, a second one of the first owner, one that nobody may use, one with a direct region,
/// one of a persistent domain, one that bypasses.
pub static EVERYDAY: Machine = Machine {
    devices: &[
        BRIDGE,
        driven("disk", 4, 0, &[0x100], 1),
        driven("left", 5, 1, &[0x200, 0x208], 2),
        driven("right", 6, 1, &[0x200, 0x208], 2),
        driven("big", 6, 2, &[0x300], 3),
        driven("second", 4, 3, &[0x108], 4),
        driven("spare", NONE, NONE, &[0x310], 5),
        Planned {
            standing: true,
            ..driven("display", 5, 4, &[0x320], 6)
        },
        driven("network", 5, 5, &[0x328], 7),
        driven("raw", 4, 6, &[0x110], 8),
    ],
    windows: &[
        Window::PAGES,
        Window::PAGES,
        Window {
            blocks: 3,
            ..Window::PAGES
        },
        Window::PAGES,
        Window::PAGES,
        Window::PAGES,
        Window {
            kind: DomainKind::Bypass,
            ..Window::PAGES
        },
    ],
    permanent: &[
        direct(4, 0x7000_0000, 0x2000),
        pool(5, PermanentKind::Persistent, 5, WINDOW, 0x5020_0000),
    ],
    streams: &[
        0x100, 0x108, 0x200, 0x208, 0x300, 0x320, 0x328, 0x110, 0x310,
    ],
    watched: &[1, 4, 5],
};
