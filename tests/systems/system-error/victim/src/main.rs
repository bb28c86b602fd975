//! Raises an asynchronous error and does what the judge says meanwhile. This image's EL2 makes a virtual one of each read
//! of `CTR_EL0`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use system_error_scenes::{Deed, LIVED, NEXT};
use userlib::ipc::{self, Payload};
use userlib::{config, provoke};

userlib::task!(main);

/// Index of the judge: the supervisor.
const JUDGE: usize = 0;
/// `HCR_EL2`: errors are virtual ones of EL1 (AMO), and one is pending (VSE).
const ERROR: u64 = 1 << 5 | 1 << 8;
/// `HCR_EL2`: the same of interrupts of group 0 (FMO, VF).
const FAST_INTERRUPT: u64 = 1 << 3 | 1 << 6;
/// `PSTATE`: errors wait (A).
const MASKED: u64 = 1 << 8;

fn tell(operation: u16) -> Payload {
    let judge = ipc::refresh(JUDGE).0;
    ipc::call(judge, operation, &[0; 8], 0, 64, &[]).payload
}

fn main() -> ! {
    let bits = config::notification_of(JUDGE as u32, "nudge").unwrap_or(0);
    loop {
        let [deed, syndrome, ..] = tell(NEXT);
        let judge = ipc::refresh(JUDGE).0;
        match Deed::ALL.get(deed as usize) {
            Some(Deed::Take) => provoke::read_cache_type(syndrome, ERROR, 0),
            Some(Deed::FastInterrupt) => provoke::read_cache_type(0, FAST_INTERRUPT, 0),
            Some(deed) => {
                provoke::read_cache_type(syndrome, ERROR, MASKED);
                match deed {
                    Deed::Post => {
                        ipc::post(judge, bits);
                    }
                    Deed::Ask => {
                        ipc::who_am_i();
                    }
                    Deed::Spin => loop {
                        core::hint::spin_loop();
                    },
                    Deed::Send | Deed::Take | Deed::FastInterrupt => {}
                }
            }
            None => panic!("no deed has number {}", deed),
        }
        tell(LIVED);
    }
}
