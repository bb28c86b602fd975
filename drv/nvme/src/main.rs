//! The NVMe driver: the namespaces of one controller as disks, served to clients by IPC (protocol: `blk-api`).
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

use blk_server::pause::Pause;
use blk_server::service::{Claimed, serve};
use nvme::disk::Disk;
use nvme::layout;
use userlib::server::Server;

userlib::task!(main);

/// A driver that cannot start, or whose controller or IOMMU server failed, dies with the reason. The IOMMU server then cuts
/// off what it had mapped, and the supervisor starts it again by policy.
fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        userlib::give_up!("the plan has no iommu for this driver");
    };
    let found = match start::find(&iommu) {
        Ok(found) => found,
        Err(reason) => userlib::give_up!("{}", reason),
    };
    let places = *found.controller.places();
    let vectors = start::vectors(found.device.interrupt);
    let claimed = Claimed {
        claim: found.claim,
        interrupts: found.device.interrupt,
        own: &[
            (places.readable, layout::READABLE_LEN),
            (places.writable, layout::WRITABLE_LEN),
        ],
    };
    serve(claimed, || {
        let of_client = start::namespace_of;
        match Disk::start(found.controller, vectors, of_client, &mut Pause::new()) {
            Ok(disk) => {
                start::announce(found.device, &disk);
                disk
            }
            Err(error) => userlib::give_up!("{}", error.name()),
        }
    })
}
