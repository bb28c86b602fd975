//! The virtio block driver: one disk, served to clients by IPC (protocol: `blk-api`).
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod start;

use blk_server::service::{Claimed, serve};
use userlib::server::Server;
use virtio_blk::disk::Disk;
use virtio_blk::layout;
use virtio_blk::request::Requests;

userlib::task!(main);

/// A driver that cannot start, or whose device or IOMMU server failed, dies with the reason. The IOMMU
/// server then cuts off what it had mapped, and the supervisor starts it again by policy.
fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        userlib::give_up!("the plan has no iommu for this driver");
    };
    let started = match start::start(&iommu) {
        Ok(started) => started,
        Err(reason) => userlib::give_up!("{}", reason),
    };
    let (readable, writable) = (started.readable, started.writable);
    let claimed = Claimed {
        claim: started.claim,
        interrupts: started.interrupt,
        own: &[
            (readable, layout::READABLE_LEN),
            (writable, layout::WRITABLE_LEN),
        ],
    };
    serve(claimed, || Disk {
        transport: started.transport,
        negotiated: started.negotiated,
        requests: Requests::new(started.queue, readable, writable),
    })
}
