//! The rogue: claims its edu by right and then makes it reach for what was never mapped.
//!
//! Plan: one edu; a pool of three pages; the notification `iommu-fault`; the parameters `kernel`,
//! `page-table`, `victim-pool`, `smmu` and `its` with the addresses to reach for.
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

mod impostor;
mod trial;

use userlib::ipc;
use userlib::protocol::Wire;
use userlib::server::Server;
use witness::attempt::{ATTEMPT, Attempt, FINISHED, Finished};

userlib::task!(main);

fn main() -> ! {
    let (Some(iommu), Some(witness)) = (Server::named("iommu"), Server::named("witness")) else {
        userlib::give_up!("the plan has no iommu or no witness for the rogue");
    };
    let mut trial = match trial::Trial::new(&iommu) {
        Ok(trial) => trial,
        Err(reason) => userlib::give_up!("{}", reason),
    };
    for (number, (target, read)) in rogue::attempts().enumerate() {
        let attempt = match trial.attempt(number, target, read) {
            Ok(attempt) => attempt,
            Err(reason) => userlib::give_up!("{}", reason),
        };
        let told = witness.call(ATTEMPT, &attempt.to_words(), Attempt::LEN, 0, &[]);
        if told.is_err() {
            userlib::give_up!("the witness does not listen");
        }
    }
    let finished: Finished = impostor::claim_what_is_not_mine(&iommu, trial.device());
    if witness
        .call(FINISHED, &finished.to_words(), Finished::LEN, 0, &[])
        .is_err()
    {
        userlib::give_up!("the witness does not listen");
    }
    loop {
        // Done; there is nothing to wait for.
        let _ = ipc::receive(0);
    }
}
