//! Rows of the IOMMU server, asked for by a driver: strict invalidation, both messages of each pair
//! included.

use iommu_api::client::{Device, IovaList, PoolList, ReplacementList};
use iommu_api::{BLOCK_PAGES, Extent, MapFlags, Replacement};
use userlib::config;
use userlib::plan::cost;
use userlib::server::Server;

use bench_protocol::row::{instructions, median, report, report_bounded};

/// Number of the pool that is mapped by pages, and of the one that is mapped as one block.
const PAGES: u16 = 0;
const BLOCK: u16 = 1;
/// Pages of the device's window.
const WINDOW_PAGES: u64 = 1024;

/// Runs all of them; false if one failed.
pub fn run() -> bool {
    let server = Server::named("iommu");
    let number = config::device("edu1").map(|device| device.device);
    let (Some(server), Some(number)) = (server, number) else {
        return report("claim-release", None);
    };
    let mut complete = report(
        "claim-release",
        median(|| claim_and_release(&server, number)),
    );
    let Ok(mut device) = Device::claim(&server, number) else {
        return report("map-unmap-4k", None);
    };
    complete &= report(
        "map-unmap-4k",
        median(|| run_of(&mut device, PAGES, 1, MapFlags::READ_WRITE)),
    );
    complete &= report("exchange-4k", median(|| exchanged(&mut device)));
    complete &= report("map-unmap-16x4k", median(|| list(&mut device, 16)));
    complete &= report("map-unmap-256x4k", median(|| list(&mut device, 256)));
    let blocks = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
    complete &= report(
        "map-unmap-2m",
        median(|| run_of(&mut device, BLOCK, BLOCK_PAGES as u32, blocks)),
    );
    complete &= longest(&mut device);
    let _ = device.release();
    complete
        & report_bounded(
            "empty-window",
            emptied(&server, number),
            cost::empty(WINDOW_PAGES),
        )
}

/// What the end of a claim costs more with every other page of the window mapped, which is the worst, than with a page of
/// it: either has its device made quiet.
fn emptied(server: &Server, number: u32) -> Option<u32> {
    let all = median(|| released(server, number, fill_in_pieces))?;
    let one = Extent { first: 0, pages: 1 };
    let map_one = |device: &mut Device<'_>| device.map(PAGES, one, MapFlags::READ).ok().map(|_| ());
    let page = median(|| released(server, number, map_one))?;
    all.checked_sub(page)
}

/// The window with every other page mapped.
fn fill_in_pieces(device: &mut Device<'_>) -> Option<()> {
    let iova = fill(device)?;
    for page in (0..WINDOW_PAGES).step_by(2) {
        device.unmap(iova + page * 4096, 1).ok()?;
    }
    Some(())
}

fn released(
    server: &Server,
    number: u32,
    map: impl Fn(&mut Device<'_>) -> Option<()>,
) -> Option<u32> {
    let mut device = Device::claim(server, number).ok()?;
    map(&mut device)?;
    let (taken, result) = instructions(|| device.release());
    result.ok().map(|()| taken)
}

/// The longest messages that there are: what others may have to wait for. The window has 1024 pages.
fn longest(device: &mut Device<'_>) -> bool {
    let all = WINDOW_PAGES;
    let rows = [
        report_bounded(
            "map-window",
            median(|| map_window(device)),
            cost::map(all, 2, 0),
        ),
        report_bounded(
            "map-window-searched",
            median(|| map_searched(device)),
            cost::map(all, 2, all),
        ),
        report_bounded(
            "unmap-window",
            median(|| unmap_window(device)),
            cost::unmap(all, 1),
        ),
        report_bounded(
            "unmap-list-510",
            median(|| unmap_each(device)),
            cost::unmap(cost::EXTENTS_MAX, cost::EXTENTS_MAX),
        ),
        report_bounded(
            "exchange-list-509",
            median(|| exchange_each(device)),
            cost::exchange(cost::REPLACEMENTS_MAX),
        ),
        report_bounded(
            "map-no-space",
            median(|| no_space(device)),
            cost::map(0, 1, all),
        ),
    ];
    rows.iter().all(|row| *row)
}

/// The whole window in one list; its first IOVA.
fn fill(device: &mut Device<'_>) -> Option<u64> {
    let mut extents = PoolList::new();
    for _ in 0..2 {
        extents.push(Extent {
            first: 0,
            pages: (WINDOW_PAGES / 2) as u32,
        });
    }
    let mapped = device.map_list(PAGES, &mut extents, MapFlags::READ_WRITE);
    mapped.ok()
}

fn map_window(device: &mut Device<'_>) -> Option<u32> {
    let (taken, iova) = instructions(|| fill(device));
    device.unmap(iova?, WINDOW_PAGES).ok()?;
    Some(taken)
}

/// The same, where nothing is known of what is free.
fn map_searched(device: &mut Device<'_>) -> Option<u32> {
    let iova = fill(device)?;
    for page in (0..WINDOW_PAGES).step_by(2) {
        device.unmap(iova + page * 4096, 1).ok()?;
    }
    for page in (1..WINDOW_PAGES).step_by(2) {
        device.unmap(iova + page * 4096, 1).ok()?;
    }
    map_window(device)
}

fn unmap_window(device: &mut Device<'_>) -> Option<u32> {
    let iova = fill(device)?;
    let (taken, result) = instructions(|| device.unmap(iova, WINDOW_PAGES));
    result.ok().map(|()| taken)
}

/// As many single pages as a list has room for, every other one, backwards.
fn unmap_each(device: &mut Device<'_>) -> Option<u32> {
    let iova = fill(device)?;
    let mut extents = IovaList::new();
    for page in (0..510).rev() {
        extents.push(Extent {
            first: (iova / 4096) as u32 + page * 2,
            pages: 1,
        });
    }
    let (taken, result) = instructions(|| device.unmap_list(&mut extents));
    result.ok()?;
    let mut rest = IovaList::new();
    for page in 0..510 {
        rest.push(Extent {
            first: (iova / 4096) as u32 + page * 2 + 1,
            pages: 1,
        });
    }
    device.unmap_list(&mut rest).ok()?;
    device.unmap(iova + 1020 * 4096, 4).ok()?;
    Some(taken)
}

/// As many single pages as a list has room for, every other one, backwards.
fn exchange_each(device: &mut Device<'_>) -> Option<u32> {
    let iova = fill(device)?;
    let mut pages = ReplacementList::new();
    for page in (0..cost::REPLACEMENTS_MAX as u32).rev() {
        pages.replace(Replacement {
            page,
            at: (iova / 4096) as u32 + page * 2,
        });
    }
    let (taken, result) =
        instructions(|| device.exchange_list(PAGES, &mut pages, MapFlags::READ_WRITE));
    result.ok()?;
    device.unmap(iova, WINDOW_PAGES).ok()?;
    Some(taken)
}

/// Two pages in a window of which every other one is free: all of it is looked at.
fn no_space(device: &mut Device<'_>) -> Option<u32> {
    let iova = fill(device)?;
    for page in (0..WINDOW_PAGES).step_by(2) {
        device.unmap(iova + page * 4096, 1).ok()?;
    }
    let two = Extent { first: 0, pages: 2 };
    let (taken, result) = instructions(|| device.map(PAGES, two, MapFlags::READ_WRITE));
    if result.is_ok() {
        return None;
    }
    for page in (0..WINDOW_PAGES).step_by(2) {
        device.unmap(iova + (page + 1) * 4096, 1).ok()?;
    }
    Some(taken)
}

/// The device is quiet already, so that its reset is not part of the figure.
fn claim_and_release(server: &Server, number: u32) -> Option<u32> {
    let (taken, result) = instructions(|| Device::claim(server, number).and_then(Device::release));
    result.ok().map(|()| taken)
}

fn run_of(device: &mut Device<'_>, pool: u16, pages: u32, flags: MapFlags) -> Option<u32> {
    let (taken, result) = instructions(|| {
        let iova = device.map(pool, Extent { first: 0, pages }, flags)?;
        device.unmap(iova, u64::from(pages))
    });
    result.ok().map(|()| taken)
}

/// One page in the place of another, as in a ring.
fn exchanged(device: &mut Device<'_>) -> Option<u32> {
    let page = |first| Extent { first, pages: 1 };
    let iova = device.map(PAGES, page(0), MapFlags::READ_WRITE).ok()?;
    let (taken, result) =
        instructions(|| device.exchange(PAGES, page(1), MapFlags::READ_WRITE, iova));
    device.unmap(iova, 1).ok()?;
    result.ok().map(|()| taken)
}

/// Scattered pages (every other one, backwards) to contiguous IOVAs, one message each way. Making the
/// list is part of the figure.
fn list(device: &mut Device<'_>, pages: u32) -> Option<u32> {
    let mut extents = PoolList::new();
    let mut unmapped = IovaList::new();
    let (taken, result) = instructions(|| {
        extents.extend((0..pages).rev().map(|page| Extent {
            first: page * 2,
            pages: 1,
        }));
        let iova = device.map_list(PAGES, &mut extents, MapFlags::READ_WRITE)?;
        unmapped.push(Extent {
            first: (iova / 4096) as u32,
            pages,
        });
        device.unmap_list(&mut unmapped)
    });
    result.ok().map(|()| taken)
}
