//! The witness: trusted, above the rogue, and the victim of some of its attempts.
//!
//! Plan: the right to read the status of the rogue's device; a pool that holds the canary; the parameters
//! `kernel`, `page-table`, `victim-pool`, `smmu` and `its`, the same as the rogue's.
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

use abi::notification;
use edu::pattern;
use iommu_api::client::status;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::ipc::{self, Message, Received};
use userlib::memory::{Memory, PoolMemory, acquire};
use userlib::plan::task::MappingKind;
use userlib::protocol::Wire;
use userlib::server::Server;
use userlib::{config, time};
use witness::attempt::{ATTEMPT, Attempt, FINISHED, Finished, MALFORMED};
use witness::judge::{Finding, Judge};

userlib::task!(main);

/// Seed of the canary's pattern.
const CANARY: u8 = 0x5c;
/// Nanoseconds without a word from the rogue after which it counts as silent.
const SILENCE: u64 = 60_000_000_000;

struct Witness {
    iommu: Server,
    pool: PoolMemory,
    judge: Judge,
    reported: bool,
}

impl Witness {
    fn canary_intact(&self) -> bool {
        acquire();
        pattern::differences(&self.pool, 0, self.pool.len(), CANARY) == 0
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let name = attempt.target.name();
        let direction = if attempt.read { "read" } else { "write" };
        let Ok(status) = status(&self.iommu, attempt.device) else {
            defmt::error!(
                "{=str} {=str}: the IOMMU server does not say what it recorded",
                direction,
                name
            );
            return;
        };
        let planned = attempt.target.parameter().and_then(config::parameter);
        let intact = self.canary_intact();
        if let Err(finding) = self.judge.attempt(attempt, planned, &status, intact) {
            defmt::error!(
                "{=str} {=str} {=u64:#x}: {=str}",
                direction,
                name,
                attempt.iova,
                finding.name()
            );
        }
    }

    fn finish(&mut self, finished: &Finished) {
        let blocked = self.judge.blocked();
        // A write that came after the last attempt shows only now.
        let verdict = if self.canary_intact() {
            self.judge.finish(finished)
        } else {
            Err(Finding::CanaryChanged)
        };
        match verdict {
            Ok(()) => {
                defmt::info!(
                    "{=u32} of {=u32} accesses blocked and recorded by the SMMU, canary intact",
                    blocked,
                    Attempt::ALL
                );
                self.report(Outcome::Pass, "every forbidden access was blocked");
            }
            Err(finding) => {
                defmt::error!(
                    "{=u32} of {=u32} accesses blocked: {=str}",
                    blocked,
                    Attempt::ALL,
                    finding.name()
                );
                self.report(Outcome::Fail, finding.name());
            }
        }
    }

    fn report(&mut self, outcome: Outcome, detail: &str) {
        self.reported = true;
        if report(outcome, detail).is_err() {
            userlib::give_up!("the supervisor does not take the report");
        }
    }

    fn serve(&mut self, message: &Message) -> u32 {
        let (payload, len) = (&message.payload, message.len);
        match message.operation {
            ATTEMPT => match Attempt::from_message(payload, len) {
                Some(attempt) => self.attempt(&attempt),
                None => return MALFORMED,
            },
            FINISHED => match Finished::from_message(payload, len) {
                Some(finished) => self.finish(&finished),
                None => return MALFORMED,
            },
            _ => return MALFORMED,
        }
        0
    }
}

fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        userlib::give_up!("the plan has no iommu for the witness");
    };
    let Some(pool) = config::mappings(MappingKind::Pool).next() else {
        userlib::give_up!("the plan has no pool for the canary");
    };
    let pool = PoolMemory::of(pool);
    pattern::write(&pool, 0, pool.len(), CANARY);
    let mut witness = Witness {
        iommu,
        pool,
        judge: Judge::new(0),
        reported: false,
    };
    loop {
        if !witness.reported {
            time::set_timer(Some(time::now().after(SILENCE)));
        }
        match ipc::receive(notification::TIMER) {
            Received::Message(message) => {
                let code = witness.serve(&message);
                ipc::reply(message.sender, code, &[0; 8], 0);
            }
            Received::Notification(_) if !witness.reported => {
                witness.report(Outcome::Fail, "the rogue fell silent");
            }
            _ => {}
        }
    }
}
