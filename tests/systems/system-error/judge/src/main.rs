//! The judge of the image of asynchronous errors, and its supervisor: who is charged with one, and who is not.
//!
//! Parameters: `syndrome`, which each error has (0 where the processor has no FEAT_RAS), and `fast-interrupt`, 1 for a
//! last scene that ends the run.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use core::fmt::{Arguments, Write};

use abi::privileged::TaskState;
use abi::{FaultKind, TaskId, notification};
use heapless::String;
use system_error_scenes::{Deed, LIVED, NEXT};
use userlib::ipc::{self, Message, Received};
use userlib::{config, privileged, time};

userlib::task!(main);

/// How often an interrupt comes while a victim spins.
const SPIN_NS: u64 = 2_000_000;
/// Exception class of an SError in `ESR_EL1`.
const CLASS: u64 = 0x2f;
/// The bits of `ESR_EL1` that the processor takes from the error.
const SYNDROME: u64 = 0x1ff_ffff;
/// A recoverable error: the program that it interrupted cannot go on.
const RECOVERABLE: u64 = 3 << 10 | 0x11;

/// Who raises an error, how, and what comes of it.
struct Scene {
    victim: &'static str,
    deed: Deed,
    /// It has another syndrome than the parameter; such scenes need FEAT_RAS.
    syndrome: Option<u64>,
    dies: bool,
}

const fn scene(victim: &'static str, deed: Deed, dies: bool) -> Scene {
    Scene {
        victim,
        deed,
        syndrome: None,
        dies,
    }
}

/// One with device registers is charged with what comes while it runs, before its call is carried out. One without is
/// charged with what it cannot survive.
const SCENES: [Scene; 9] = [
    scene("driver", Deed::Take, true),
    scene("plain", Deed::Take, false),
    scene("driver", Deed::Send, true),
    scene("driver", Deed::Post, true),
    scene("driver", Deed::Ask, true),
    scene("driver", Deed::Spin, true),
    scene("plain", Deed::Take, false),
    Scene {
        syndrome: Some(RECOVERABLE),
        ..scene("plain", Deed::Take, true)
    },
    scene("plain", Deed::FastInterrupt, true),
];

struct Judge {
    /// Scene under way.
    at: usize,
    /// It has begun.
    begun: bool,
    syndrome: u64,
    fast_interrupt: bool,
    nudge: u32,
    /// Who asks what to do next, by index.
    waiting: heapless::Vec<TaskId, 2>,
    /// Errors that were nobody's.
    unclaimed: u64,
    /// The supervisor's bit came since.
    told: bool,
}

fn say(text: Arguments<'_>) {
    let mut line = String::<160>::new();
    // What does not fit is cut.
    let _ = line.write_fmt(text);
    privileged::console(&line);
    privileged::console("\r\n");
}

fn index_of(name: &str) -> usize {
    match config::peer(name) {
        Some(peer) => peer.index as usize,
        None => panic!("the plan has no {}", name),
    }
}

fn interrupt_soon() {
    time::set_timer(Some(time::now().after(SPIN_NS)));
}

impl Judge {
    fn fail(&self, why: Arguments<'_>) -> ! {
        say(format_args!("system-error: scene {}: {why}", self.at));
        say(format_args!("supervisor: verdict: FAIL"));
        privileged::exit(1)
    }

    fn scene(&mut self) -> &'static Scene {
        loop {
            match SCENES.get(self.at) {
                Some(scene) if scene.syndrome.is_some() && self.syndrome == 0 => self.at += 1,
                Some(scene) if scene.deed == Deed::FastInterrupt && !self.fast_interrupt => {
                    self.at += 1;
                }
                Some(scene) => return scene,
                None => {
                    say(format_args!(
                        "system-error: {} errors were nobody's",
                        self.unclaimed
                    ));
                    say(format_args!("supervisor: verdict: pass"));
                    privileged::exit(0)
                }
            }
        }
    }

    fn expected_syndrome(&mut self) -> u64 {
        self.scene().syndrome.unwrap_or(self.syndrome)
    }

    /// Lets the victim of the scene begin, if it is there.
    fn go_on(&mut self) {
        let scene = self.scene();
        let victim = index_of(scene.victim);
        let syndrome = self.expected_syndrome();
        let asks = self.waiting.iter().position(|id| id.index() == victim);
        if let Some(at) = asks
            && !self.begun
        {
            let id = self.waiting.swap_remove(at);
            self.begun = true;
            self.told = false;
            if scene.deed == Deed::Spin {
                interrupt_soon();
            }
            let payload = [scene.deed as u64, syndrome, 0, 0, 0, 0, 0, 0];
            ipc::reply(id, 0, &payload, 16);
        }
    }

    fn over(&mut self) {
        self.at += 1;
        self.begun = false;
    }

    /// Whether `ESR_EL1` is of the error that the victim raised.
    fn check_syndrome(&mut self, found: u64) {
        let expected = self.expected_syndrome();
        if found >> 26 & 0x3f != CLASS || expected != 0 && found & SYNDROME != expected {
            self.fail(format_args!("syndrome {found:#x}, not of {expected:#x}"));
        }
    }

    fn message(&mut self, message: &Message) {
        let scene = self.scene();
        let from = message.sender.index();
        match message.operation {
            NEXT => {
                if self.waiting.push(message.sender).is_err() {
                    self.fail(format_args!("task {from} asks twice"));
                }
            }
            LIVED if self.begun && from == index_of(scene.victim) && !scene.dies => {
                let (count, last) = privileged::system_errors();
                if count != self.unclaimed + 1 || !self.told {
                    self.fail(format_args!("{count} errors, told {}", self.told));
                }
                self.check_syndrome(last);
                self.unclaimed = count;
                self.over();
                ipc::reply(message.sender, 0, &[0; 8], 0);
            }
            operation => self.fail(format_args!("task {from} says {operation}")),
        }
    }

    /// Somebody died, or an error was nobody's.
    fn faults(&mut self) {
        self.told = true;
        for name in ["driver", "plain"] {
            let index = index_of(name);
            let Some(status) = privileged::status(index) else {
                continue;
            };
            if status.state < TaskState::Dead as u64 {
                continue;
            }
            let scene = self.scene();
            let [kind, _, pc, _, syndrome] = status.fault;
            let kind = kind & 0xffff;
            if !self.begun || !scene.dies || scene.victim != name {
                self.fail(format_args!("{name} died of {kind} at {pc:#x}"));
            }
            if kind != FaultKind::BusError as u64 {
                self.fail(format_args!(
                    "{name} died of {kind} at {pc:#x}, not of the error"
                ));
            }
            self.check_syndrome(syndrome);
            let (count, _) = privileged::system_errors();
            if count != self.unclaimed {
                self.fail(format_args!("{name} died of an error that is nobody's"));
            }
            self.over();
            privileged::restart(index);
        }
    }
}

fn main() -> ! {
    let mut judge = Judge {
        at: 0,
        begun: false,
        syndrome: config::parameter("syndrome").unwrap_or(0),
        fast_interrupt: config::parameter("fast-interrupt") == Some(1),
        nudge: config::notification("nudge").unwrap_or(0),
        waiting: heapless::Vec::new(),
        unclaimed: 0,
        told: false,
    };
    loop {
        judge.go_on();
        match ipc::receive(notification::FAULT | notification::TIMER | judge.nudge) {
            Received::Message(message) => judge.message(&message),
            Received::Notification(bits) => {
                if bits & judge.nudge != 0 {
                    judge.fail(format_args!("a post of one that had to die arrived"));
                }
                if bits & notification::FAULT != 0 {
                    judge.faults();
                }
                // It had not begun to spin.
                if judge.begun && judge.scene().deed == Deed::Spin {
                    interrupt_soon();
                }
            }
            _ => {}
        }
    }
}
