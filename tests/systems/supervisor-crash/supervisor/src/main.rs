//! As supervisor: dies once the other task has called it. As the other task: calls the supervisor for ever.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use userlib::{config, ipc};

userlib::task!(main);

/// Index of the supervisor.
const SUPERVISOR: usize = 0;

fn main() -> ! {
    if config::own().name.as_str() == "supervisor" {
        ipc::receive(0);
        panic!("as planned");
    }
    loop {
        let supervisor = ipc::refresh(SUPERVISOR).0;
        ipc::call(supervisor, 1, &[0; 8], 0, 0, &[]);
    }
}
