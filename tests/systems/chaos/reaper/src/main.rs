//! The reaper: arms a fault in a victim, at a system call of its next few, again and again.
//!
//! A server that serves nobody makes no calls and would never die, so after a while the reaper calls it until the fault has
//! hit. That spreads the deaths over what servers do for others and what they do by themselves.
//!
//! Plan: the right `test`; the parameters `seed`, `kills`, `shortest` and `longest` (between two kills), `calls` (of the
//! victim, the last of which it dies at), `together` (victims at one time), `calm` (time without kills at the start and at
//! the end), the name of each victim with its weight (0 for none), and `exact`, if 1: then nobody may die but of its faults.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{Code, TASKS_MAX, TaskId, notification};
use chaos_reaper::{
    ANSWER_LEN, ASK, Choice, MALFORMED, VICTIMS_MAX, Victim, died_by_itself, judge,
};
use heapless::Vec;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::ipc::{self, Message, Received};
use userlib::plan::task::PeerEntry;
use userlib::server::Server;
use userlib::time::{self, Ticks};
use userlib::{config, privileged};

userlib::task!(main);

/// An operation that no server knows: it is refused, at the cost of the server's one call that replies.
const PROVOCATION: u16 = 0xffff;
/// Calls after which a server that still lives is left alone.
const PROVOCATIONS_MAX: usize = 64;

struct Reaper {
    choice: Choice,
    /// Servers that it may call, with their index.
    servers: Vec<(usize, Server), VICTIMS_MAX>,
    /// The life of each task in which a fault was armed last.
    armed: [Option<TaskId>; TASKS_MAX],
    left: u64,
    over: bool,
}

/// A parameter without which the system makes no sense.
fn parameter(name: &str) -> u64 {
    match config::parameter(name) {
        Some(value) => value,
        None => panic!("the plan has no parameter {}", name),
    }
}

fn generation(index: usize) -> u64 {
    ipc::refresh(index).0.generation()
}

/// Whether it lives and no fault waits for its next calls: a second one would only put off the first.
fn can_be_armed(armed: &[Option<TaskId>; TASKS_MAX], index: usize) -> bool {
    let (life, code) = ipc::refresh(index);
    code == Code::OK && armed.get(index) != Some(&Some(life))
}

impl Reaper {
    fn new() -> Self {
        let mut choice = Choice::new(parameter("seed"));
        let mut servers = Vec::new();
        for peer in config::table::<PeerEntry>() {
            let index = peer.index as usize;
            let weight = config::parameter(peer.name.as_str());
            if let Some(weight) = weight.filter(|&weight| weight > 0) {
                let victim = Victim {
                    index,
                    weight,
                    asked: 0,
                };
                if choice.victims.push(victim).is_err() {
                    panic!("more victims than there is room for");
                }
            }
            if peer.may_send == 1 && peer.index != config::own().supervisor {
                let _ = servers.push((index, Server::at(index)));
            }
        }
        Self {
            choice,
            servers,
            armed: [None; TASKS_MAX],
            left: parameter("kills"),
            over: false,
        }
    }

    /// Calls it until it is dead, if it is a server that this task may call.
    fn provoke(&self, index: usize) {
        let Some((_, server)) = self.servers.iter().find(|(which, _)| *which == index) else {
            return;
        };
        let life = server.refresh();
        for _ in 0..PROVOCATIONS_MAX {
            let answer = ipc::call(life, PROVOCATION, &[0; 8], 0, 0, &[]);
            if answer.code.0 >= Code::KERNEL_FIRST {
                return;
            }
        }
    }

    /// Makes the servers that still live reach the call at which they die: each of them, or by the toss of a coin.
    fn provoke_servers(&mut self, each: bool) {
        for number in 0..self.servers.len() {
            let Some(&(index, _)) = self.servers.get(number) else {
                continue;
            };
            let victims = &self.choice.victims;
            let asked = |victim: &Victim| victim.index == index && victim.asked > 0;
            if victims.iter().any(asked) && (each || self.choice.between(0, 1) == 0) {
                self.provoke(index);
            }
        }
    }

    /// Arms the next victims.
    fn kill(&mut self) {
        for _ in 0..parameter("together").min(self.left) {
            self.left -= 1;
            let armed = &self.armed;
            if let Some(victim) = self.choice.next(|index| can_be_armed(armed, index)) {
                if let Some(armed) = self.armed.get_mut(victim) {
                    *armed = Some(ipc::refresh(victim).0);
                }
                let calls = self.choice.between(1, parameter("calls"));
                privileged::arm_fault(victim, calls);
            }
        }
    }

    /// Ends the killing: nobody dies of a fault that is still armed.
    fn disarm(&mut self) {
        for victim in &self.choice.victims {
            privileged::arm_fault(victim.index, 0);
        }
        self.over = true;
    }

    fn verdict(&self) -> Result<u64, &'static str> {
        let deaths: Vec<u64, VICTIMS_MAX> = self
            .choice
            .victims
            .iter()
            .map(|victim| generation(victim.index))
            .collect();
        for (victim, died) in self.choice.victims.iter().zip(&deaths) {
            defmt::info!(
                "{=str}: {=u64} deaths of {=u64} asked for",
                config::peer_name(victim.index),
                *died,
                victim.asked
            );
        }
        let is_victim = |index| {
            self.choice
                .victims
                .iter()
                .any(|victim| victim.index == index)
        };
        let named = |index: usize| !config::peer_name(index).is_empty();
        let mut disturbed = false;
        for index in (0..TASKS_MAX).filter(|&index| named(index) && !is_victim(index)) {
            if generation(index) != 0 {
                defmt::error!("{=str} died", config::peer_name(index));
                disturbed = true;
            }
        }
        if config::parameter("exact") == Some(1) && died_by_itself(&self.choice.victims, &deaths) {
            return Err("a victim died by itself");
        }
        judge(&self.choice.victims, &deaths, disturbed)
    }

    fn answer(&self, message: &Message) {
        if message.operation == ASK && message.reply_capacity >= ANSWER_LEN {
            let over = u64::from(self.over);
            ipc::reply(message.sender, 0, &[over, 0, 0, 0, 0, 0, 0, 0], ANSWER_LEN);
        } else {
            ipc::reply(message.sender, MALFORMED, &[0; 8], 0);
        }
    }

    /// Answers until `end`.
    fn serve_until(&self, end: Option<Ticks>) {
        time::set_timer(end);
        while end.is_none_or(|end| time::now() < end) {
            if let Received::Message(message) = ipc::receive(notification::TIMER) {
                self.answer(&message);
            }
        }
    }
}

fn main() -> ! {
    let mut reaper = Reaper::new();
    let calm = parameter("calm");
    reaper.serve_until(Some(time::now().after(calm)));
    while reaper.left > 0 {
        reaper.kill();
        let pause = reaper
            .choice
            .between(parameter("shortest"), parameter("longest"));
        reaper.serve_until(Some(time::now().after(pause)));
        reaper.provoke_servers(reaper.left == 0);
    }
    reaper.disarm();
    // The last of the dead is up again, and what it had to do is done.
    reaper.serve_until(Some(time::now().after(calm)));
    let sent = match reaper.verdict() {
        Ok(deaths) => {
            defmt::info!("{=u64} deaths", deaths);
            report(Outcome::Pass, "victims died, nobody else did")
        }
        Err(reason) => report(Outcome::Fail, reason),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    reaper.serve_until(None);
    panic!("it serves for ever")
}
