//! Takes all the processor time that it can get. How, the parameter `does` says.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use pl061::{Pin, Pl061, Trigger};
use userlib::abi::notification;
use userlib::ipc::{self, Received};
use userlib::registers::MappedRegisters;
use userlib::server::Server;
use userlib::time::Ticks;
use userlib::{config, interrupt, time};

userlib::task!(main);

/// Never waits, and makes no call.
fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Waits only for a timer that has fired already: no run of it is ever long.
fn timer() -> ! {
    loop {
        time::set_timer(Some(Ticks(0)));
        ipc::receive(notification::TIMER);
    }
}

/// Waits only for what it has posted to itself.
fn self_post() -> ! {
    let own = ipc::who_am_i();
    let again = config::notification("again").unwrap_or(0);
    loop {
        ipc::post(own, again);
        ipc::receive(again);
    }
}

/// Has a server work for it without end.
fn caller() -> ! {
    let Some(server) = Server::named("echo") else {
        panic!("no server in the plan");
    };
    loop {
        let answer = ipc::call(server.refresh(), 0, &[0; 8], 8, 8, &[]);
        if answer.code != userlib::abi::Code::OK {
            panic!("the server does not answer");
        }
    }
}

/// Throws a bit to and fro with its partner.
fn ping_pong() -> ! {
    let own = config::own().name.as_str();
    let partner = if own == "ping" { "pong" } else { "ping" };
    let Some(partner) = config::peer(partner) else {
        panic!("no partner in the plan");
    };
    let bit = config::notification("ball").unwrap_or(0);
    let theirs = config::notification_of(partner.index, "ball").unwrap_or(0);
    loop {
        ipc::post(ipc::refresh(partner.index as usize).0, theirs);
        ipc::receive(bit);
    }
}

/// Lets an interrupt through again and again whose line is always up.
fn storm() -> ! {
    let registers = config::mapping("gpio").map(MappedRegisters::of);
    let (Some(registers), Some(bit)) = (registers, config::notification("gpio-irq")) else {
        panic!("no controller in the plan");
    };
    let (Ok(gpio), Some(pin)) = (Pl061::new(registers), Pin::new(6)) else {
        panic!("not a PL061");
    };
    gpio.input(pin).listen(Trigger::Low);
    loop {
        interrupt::unmask(bit);
        if let Received::Notification(_) = ipc::receive(bit) {}
    }
}

fn main() -> ! {
    match config::parameter("does") {
        Some(0) => spin(),
        Some(1) => timer(),
        Some(2) => self_post(),
        Some(3) => caller(),
        Some(4) => ping_pong(),
        Some(5) => storm(),
        _ => panic!("the plan does not say what to do"),
    }
}
