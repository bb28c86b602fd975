//! Ends the servers that it may call, one after the other, at a system call of theirs; the supervisor starts them
//! again. Everybody else has to stay in the first life, and to have done its work.
//!
//! Plan: the right `test`; the servers to be ended; the parameters `tasks` (how many there are), `kills`, `least` and
//! `most` (time between two of them), `seed`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{Code, notification};
use oorandom::Rand64;
use supervisor::report::{self, Outcome};
use userlib::server::{CallError, Server};
use userlib::{config, ipc, privileged, time};

userlib::task!(main);

/// No operation of any server: it is refused, which takes the server a reply.
const NOTHING: u16 = 0x3ff;
/// System calls within which a server is ended: some are of its start.
const CALLS: u64 = 6;

fn parameter(name: &str) -> u64 {
    match config::parameter(name) {
        Some(value) => value,
        None => panic!("the plan has no parameter {}", name),
    }
}

fn sleep(nanoseconds: u64) {
    time::set_timer(Some(time::now().after(nanoseconds)));
    // Nobody sends to itself: only the timer ends it.
    let _ = ipc::receive_from(ipc::who_am_i(), notification::TIMER);
}

/// Makes a server die in one of its next calls; calls it until it has.
fn end(server: &Server, random: &mut Rand64) -> bool {
    let call = random.rand_range(1..CALLS + 1);
    if privileged::arm_fault(server.id().index(), call) != Code::OK {
        return false;
    }
    for _ in 0..CALLS {
        match server.call(NOTHING, &[0; 8], 0, 0, &[]) {
            Err(CallError::Dead) => return true,
            Err(CallError::Down | CallError::Held) => return false,
            Ok(_) | Err(CallError::Code(_)) => {}
        }
    }
    false
}

/// Whether all but the victims are in their first life.
fn undisturbed(victims: &[Option<Server>]) -> bool {
    let is_victim = |index| {
        let mut others = victims.iter().flatten();
        others.any(|victim| victim.id().index() == index)
    };
    let mut undisturbed = true;
    for index in (0..parameter("tasks") as usize).filter(|index| !is_victim(*index)) {
        let (id, code) = ipc::refresh(index);
        if id.generation() != 0 || code != Code::OK {
            defmt::error!("task {=usize} is in life {=u64}", index, id.generation());
            undisturbed = false;
        }
    }
    undisturbed
}

fn main() -> ! {
    let victims = ["pci", "iommu"].map(Server::named);
    let mut random = Rand64::new(parameter("seed").into());
    let (least, most) = (parameter("least"), parameter("most"));
    let mut ended = 0;
    while ended < parameter("kills") {
        for victim in victims.iter().flatten() {
            ended += u64::from(end(victim, &mut random));
        }
        sleep(random.rand_range(least..most + 1));
    }
    // Whoever recovers from the last one has had the time for it.
    sleep(parameter("rest"));
    defmt::info!("{=u64} deaths", ended);
    let sent = if undisturbed(&victims) {
        report::send(Outcome::Pass, "nobody else noticed")
    } else {
        report::send(Outcome::Fail, "a task that was no victim died")
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        ipc::receive(0);
    }
}
