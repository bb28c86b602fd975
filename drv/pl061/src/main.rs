//! Tells the supervisor that somebody pressed the power key.
//!
//! Plan: the controller's registers and interrupt (`owns`); the parameter `power-key`, the pin that goes up when the key
//! is pressed; the right to post the supervisor's bit `power-key`. It calls nobody and serves nobody.
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

use embedded_hal::digital::InputPin;
use pl061::{Input, NotPl061, Pin, Pl061, Trigger};
use supervisor_api::POWER_KEY;
use userlib::ipc::{self, Received};
use userlib::registers::MappedRegisters;
use userlib::{config, interrupt};

userlib::task!(main);

/// The parameter that names the key's pin.
const PIN: &str = "power-key";
/// The platform's name of the controller, and of its interrupt.
const CONTROLLER: &str = "gpio";
const INTERRUPT: &str = "gpio-irq";
/// Code of the reply to any message: this task serves nobody.
const NOT_A_SERVER: u32 = 1;

/// Waits for the key for ever. That it bounces does no harm: a second request changes nothing.
fn watch(gpio: &Pl061<MappedRegisters>, mut key: Input<'_, MappedRegisters>, bit: u32) -> ! {
    key.listen(Trigger::Rising);
    // Held down from before the driver listened, it will not go up any more.
    let mut pressed = matches!(key.is_high(), Ok(true));
    loop {
        if gpio.pending().contains(key.pin()) {
            // Before the supervisor is told: the next press is a new one.
            key.clear();
            pressed = true;
        }
        if pressed {
            pressed = false;
            tell();
        }
        interrupt::unmask(bit);
        if let Received::Message(message) = ipc::receive(bit) {
            ipc::reply(message.sender, NOT_A_SERVER, &[0; 8], 0);
        }
    }
}

fn tell() {
    let supervisor = config::own().supervisor;
    let told = config::notification_of(supervisor, POWER_KEY)
        .map(|bit| ipc::post(ipc::refresh(supervisor as usize).0, bit));
    match told {
        Some(userlib::abi::Code::OK) => defmt::info!("power key: the supervisor is told"),
        _ => defmt::error!("power key: the supervisor cannot be told"),
    }
}

fn main() -> ! {
    let Some(registers) = config::mapping(CONTROLLER) else {
        userlib::give_up!("the plan has no registers called `gpio`");
    };
    let Some(interrupt) = config::notification(INTERRUPT) else {
        userlib::give_up!("the plan has no interrupt of `gpio`");
    };
    let Some(pin) = config::parameter(PIN).and_then(Pin::new) else {
        userlib::give_up!("the parameter `power-key` is no pin of the controller");
    };
    match Pl061::new(MappedRegisters::of(registers)) {
        Ok(gpio) => watch(&gpio, gpio.input(pin), interrupt),
        Err(NotPl061 { offset, value }) => {
            userlib::give_up!("not a PL061: {value:#x} at {offset:#x}")
        }
    }
}
