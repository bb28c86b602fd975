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

mod data;
mod lending;
mod service;
mod start;

use userlib::server::Server;

userlib::task!(main);

/// A driver that cannot start, or whose device or IOMMU server failed, dies with the reason. The IOMMU
/// server then cuts off what it had mapped, and the supervisor starts it again by policy.
fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        userlib::give_up!("the plan has no iommu for this driver");
    };
    match start::start(&iommu) {
        Ok(started) => service::serve(started),
        Err(reason) => userlib::give_up!("{}", reason),
    }
}
