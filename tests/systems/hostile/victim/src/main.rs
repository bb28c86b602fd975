//! Makes the illegal call that its life's number picks, and dies of it; the supervisor starts it again. In
//! its last life it tells the judge and rests.
//!
//! Plan: the judge and the servers that it may call; the parameters `lives` and `seed`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use hostile_judge::{LAST_LIFE, SURVIVED};
use hostile_victim::illegal::{CALLS, Means};
use oorandom::Rand64;
use userlib::server::Server;
use userlib::{config, ipc};

userlib::task!(main);

fn parameter(name: &str) -> u64 {
    match config::parameter(name) {
        Some(value) => value,
        None => panic!("the plan has no parameter {}", name),
    }
}

fn main() -> ! {
    let (Some(judge), Some(server)) = (Server::named("judge"), Server::named("iommu")) else {
        panic!("the plan has no judge or no iommu for the victim");
    };
    let own = ipc::who_am_i();
    let life = own.generation();
    if life < parameter("lives") {
        let seed = u128::from(parameter("seed")) << 64 | u128::from(life);
        let mut means = Means {
            random: Rand64::new(seed),
            server: server.id(),
            own,
        };
        let number = life % CALLS.len() as u64;
        if let Some(call) = CALLS.get(number as usize) {
            call(&mut means);
        }
        let _ = judge.call(SURVIVED, &[number, 0, 0, 0, 0, 0, 0, 0], 8, 0, &[]);
    } else {
        let _ = judge.call(LAST_LIFE, &[0; 8], 0, 0, &[]);
    }
    loop {
        ipc::receive(0);
    }
}
