//! A role of the kernel's conformance image; which one, its name in the plan says.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use userlib::config;
use userlib::privileged::{self, HeldKind};

userlib::task!(main);

fn main() -> ! {
    if config::own().name.as_str() == kernel_suite_cases::AUTHORITY_NAME {
        lift_what_is_left();
    }
    suite::role::run(&kernel_suite_cases::SUITE)
}

/// A case that failed may have left holds and pins, which would keep their tasks down.
fn lift_what_is_left() {
    let mut cursor = 0;
    loop {
        let held = privileged::enumerate(cursor);
        match held.kind {
            HeldKind::None => return,
            HeldKind::Hold => _ = privileged::lift(held.task.index(), held.device),
            HeldKind::Pin => _ = privileged::unpin(held.slot),
        }
        if held.next == 0 {
            return;
        }
        cursor = held.next;
    }
}
