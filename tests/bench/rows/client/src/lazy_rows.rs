//! Rows of a lazy domain, in which 64 pages wait for a flush at most.

use iommu_api::client::Device;
use iommu_api::{Extent, MapFlags};
use userlib::config;
use userlib::plan::cost;
use userlib::server::Server;

use bench_protocol::row::{instructions, median, report, report_bounded};

/// Number of the pool.
const PAGES: u16 = 0;
/// Pages that may wait.
const MOST: u32 = 64;

/// Runs all of them; false if one failed.
pub fn run() -> bool {
    let server = Server::named("iommu");
    let number = config::device("edu2").map(|device| device.device);
    let (Some(server), Some(number)) = (server, number) else {
        return report("map-unmap-4k-lazy", None);
    };
    let Ok(mut device) = Device::claim(&server, number) else {
        return report("map-unmap-4k-lazy", None);
    };
    // Once for as many as may wait, the flush of the last of them included.
    let each = median(|| {
        device.flush().ok()?;
        let (taken, result) = instructions(|| pages(&mut device, MOST));
        result.map(|()| taken / MOST)
    });
    let complete = report("map-unmap-4k-lazy", each);
    let waiting = MOST - 1;
    let flushed = median(|| {
        pages(&mut device, waiting)?;
        let (taken, result) = instructions(|| device.flush());
        result.ok().map(|()| taken)
    });
    let _ = device.release();
    complete & report_bounded("flush-63x4k", flushed, cost::flush(u64::from(waiting)))
}

/// Maps and unmaps a page so many times.
fn pages(device: &mut Device<'_>, count: u32) -> Option<()> {
    for _ in 0..count {
        let page = Extent { first: 0, pages: 1 };
        let iova = device.map(PAGES, page, MapFlags::READ_WRITE).ok()?;
        device.unmap(iova, 1).ok()?;
    }
    Some(())
}
