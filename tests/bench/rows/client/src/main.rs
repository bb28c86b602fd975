//! Counts instructions for every row of the table that `cargo xtask bench` prints.
//!
//! User code of both sides is included in each row; what a row spans is said where it is measured.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

mod disk_rows;
mod frame_rows;
mod iommu_rows;
mod kernel_rows;
mod lazy_rows;

use bench_protocol::supervisor;
use userlib::server::Server;
use userlib::{config, ipc};

userlib::task!(main);

fn main() -> ! {
    if let Some(go) = config::notification("go") {
        as_caller(go);
    }
    let complete = if config::peer("nvme").is_some() {
        disk_rows::run_nvme() & kernel_rows::run_message()
    } else if config::peer("left").is_some() {
        frame_rows::run()
    } else if config::peer("kept").is_some() {
        disk_rows::compare()
    } else {
        run_all()
    };
    if let Some(supervisor) = Server::named("supervisor") {
        let _ = supervisor.call(
            supervisor::FINISH,
            &[u64::from(!complete), 0, 0, 0, 0, 0, 0, 0],
            8,
            0,
            &[],
        );
    }
    loop {
        ipc::receive(0);
    }
}

/// Runs every row but the one that has an image of its own. The disk comes first, for the count from boot.
fn run_all() -> bool {
    disk_rows::run()
        & let_run("caller")
        & let_run("payer")
        & kernel_rows::run()
        & iommu_rows::run()
        & lazy_rows::run()
}

/// An instance without a device: runs its rows when it is told to. A row that is missing is seen by who reads
/// the rows.
fn as_caller(go: u32) -> ! {
    ipc::receive(go);
    kernel_rows::run_plain();
    post("client", "called");
    loop {
        ipc::receive(0);
    }
}

/// Lets another instance run its rows.
fn let_run(instance: &str) -> bool {
    let posted = post(instance, "go");
    if let Some(called) = config::notification("called").filter(|_| posted) {
        ipc::receive(called);
    }
    posted
}

/// Posts a notification that another task declared.
fn post(task: &str, name: &str) -> bool {
    let Some(peer) = config::peer(task) else {
        return false;
    };
    let bit = config::notification_of(peer.index, name);
    bit.is_some_and(|bit| Server::at(peer.index as usize).post(bit).is_ok())
}
