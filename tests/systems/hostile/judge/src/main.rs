//! The judge: above the fuzzer, and one of those that its device tries to reach.
//!
//! Plan: the right to read the status of the fuzzer's device; a pool for the canary; the parameters `tasks`
//! (how many there are before the one that nobody starts), `rounds` (of the fuzzer), `lives` (of the victim that end) and `patience`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu::pattern;
use hostile_judge::{Evidence, FINISHED, Finished, LAST_LIFE, MALFORMED, SURVIVED, judge};
use iommu_api::client::status;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::abi::{Code, notification};
use userlib::ipc::{self, Message, Received};
use userlib::memory::{Memory, PoolMemory, acquire};
use userlib::plan::task::MappingKind;
use userlib::server::Server;
use userlib::{config, time};

userlib::task!(main);

/// Seed of the canary's pattern.
const CANARY: u8 = 0x6b;

struct Judge {
    iommu: Server,
    pool: PoolMemory,
    finished: Option<Finished>,
    last_life: bool,
    survived: bool,
}

/// A parameter without which the image makes no sense.
fn parameter(name: &str) -> u64 {
    match config::parameter(name) {
        Some(value) => value,
        None => panic!("the plan has no parameter {}", name),
    }
}

fn index_of(name: &str) -> usize {
    match config::peer(name) {
        Some(peer) => peer.index as usize,
        None => panic!("the plan has no {}", name),
    }
}

impl Judge {
    /// Takes a message. Who sent it is the kernel's word, so the fuzzer cannot speak for the victim.
    fn hear(&mut self, message: &Message) -> u32 {
        let from = config::peer_name(message.sender.index());
        match (message.operation, from, message.len) {
            (FINISHED, "fuzzer", Finished::LEN) => {
                self.finished = Some(Finished::from_words(&message.payload));
            }
            (LAST_LIFE, "victim", 0) => self.last_life = true,
            (SURVIVED, "victim", 8) => {
                defmt::error!("illegal call {=u64} returned", message.payload[0]);
                self.survived = true;
                self.last_life = true;
            }
            _ => return MALFORMED,
        }
        0
    }

    /// Whether a task other than the victim died or is down, or the one that nobody starts is not as it was.
    fn disturbed(&self, victim: usize) -> bool {
        let mut disturbed = false;
        for index in (0..parameter("tasks") as usize).filter(|&index| index != victim) {
            let (id, code) = ipc::refresh(index);
            if id.generation() != 0 || code != Code::OK {
                defmt::error!(
                    "task {=usize} is in life {=u64}, state {=u32:#x}",
                    index,
                    id.generation(),
                    code.0
                );
                disturbed = true;
            }
        }
        let (sleeper, code) = ipc::refresh(parameter("tasks") as usize);
        if sleeper.generation() != 0 || code != Code::DOWN {
            defmt::error!("the task that nobody starts was started, or given up");
            disturbed = true;
        }
        disturbed
    }

    fn verdict(&self, finished: Finished) -> Result<(), &'static str> {
        let victim = index_of("victim");
        let status =
            status(&self.iommu, finished.device).map_err(|_| "the IOMMU server gives no status")?;
        acquire();
        let evidence = Evidence {
            finished,
            rounds: parameter("rounds"),
            deaths: ipc::refresh(victim).0.generation(),
            lives: parameter("lives"),
            survived: self.survived,
            disturbed: self.disturbed(victim),
            canary_intact: pattern::differences(&self.pool, 0, self.pool.len(), CANARY) == 0,
            faults: status.faults,
            claims: status.claims,
        };
        defmt::info!(
            "{=u64} rounds, {=u64} accepted; {=u64} claims, {=u64} transfers, {=u64} accesses blocked; {=u64} illegal calls",
            finished.rounds,
            finished.accepted,
            evidence.claims,
            finished.transfers,
            evidence.faults,
            evidence.deaths
        );
        judge(&evidence)
    }
}

fn tell(verdict: Result<(), &'static str>) {
    let sent = match verdict {
        Ok(()) => report(Outcome::Pass, "nobody but fuzzer and victim noticed"),
        Err(reason) => report(Outcome::Fail, reason),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
}

fn main() -> ! {
    let Some(iommu) = Server::named("iommu") else {
        panic!("the plan has no iommu for the judge");
    };
    let Some(pool) = config::mappings(MappingKind::Pool).next() else {
        panic!("the plan has no pool for the canary");
    };
    let pool = PoolMemory::of(pool);
    pattern::write(&pool, 0, pool.len(), CANARY);
    let mut judge = Judge {
        iommu,
        pool,
        finished: None,
        last_life: false,
        survived: false,
    };
    let mut told = false;
    time::set_timer(Some(time::now().after(parameter("patience"))));
    loop {
        match ipc::receive(notification::TIMER) {
            Received::Message(message) => {
                let code = judge.hear(&message);
                ipc::reply(message.sender, code, &[0; 8], 0);
            }
            Received::Notification(_) if !told => {
                told = true;
                tell(Err("fuzzer or victim did not finish in time"));
            }
            _ => {}
        }
        if let (false, true, Some(finished)) = (told, judge.last_life, judge.finished) {
            told = true;
            tell(judge.verdict(finished));
        }
    }
}
