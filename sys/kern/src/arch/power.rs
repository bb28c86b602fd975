//! Ending a run.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::boot::{BOOT_SEMIHOSTING, BootHeader, CONDUIT_HVC, CONDUIT_NONE, CONDUIT_SMC};
use smccc::{Hvc, Smc, psci};

/// Verdict of a run that the kernel itself ends.
pub const FAILED: u64 = 1;
/// Semihosting: the operation that ends the application (Arm semihosting specification).
pub const SYS_EXIT: u64 = 0x18;
/// The reason that goes with it: the application ended by itself.
pub const APPLICATION_EXIT: u64 = 0x2_0026;

/// How firmware is called: one of `abi::boot::CONDUIT_*`.
static CONDUIT: AtomicU32 = AtomicU32::new(CONDUIT_NONE);
/// Whether semihosting may be tried.
static SEMIHOSTING: AtomicBool = AtomicBool::new(false);

/// Remembers how firmware is called and whether the image may use semihosting. Entered at EL2, an `HVC` would come to
/// the image's own program there, so firmware can only be below it.
pub fn configure(header: &BootHeader, level: u64) {
    let conduit = match header.conduit {
        CONDUIT_HVC if level == 2 => CONDUIT_SMC,
        conduit => conduit,
    };
    CONDUIT.store(conduit, Ordering::Relaxed);
    let semihosting = header.flags & BOOT_SEMIHOSTING != 0;
    SEMIHOSTING.store(semihosting, Ordering::Relaxed);
}

/// Ends the run with a verdict: by semihosting if the image may, which gives an emulator's exit code,
/// else by switching the machine off.
pub fn exit(verdict: u64) -> ! {
    if SEMIHOSTING.load(Ordering::Relaxed) {
        // An exception that this raises where nobody listens comes back here, and must not try again.
        SEMIHOSTING.store(false, Ordering::Relaxed);
        semihosting_exit(verdict);
    }
    off()
}

/// Ends the run as failed.
pub fn fail() -> ! {
    exit(FAILED)
}

fn off() -> ! {
    let conduit = CONDUIT.load(Ordering::Relaxed);
    // An exception that the call raises where it is undefined comes back here, and must not try again.
    CONDUIT.store(CONDUIT_NONE, Ordering::Relaxed);
    // Either returns only if it failed; then there is nothing left but to wait.
    let _ = match conduit {
        CONDUIT_SMC => psci::system_off::<Smc>(),
        CONDUIT_HVC => psci::system_off::<Hvc>(),
        _ => Ok(()),
    };
    loop {
        super::instructions::wait_for_interrupt();
    }
}

/// `SYS_EXIT` (Arm semihosting specification): the block says that the application exited, and the code.
fn semihosting_exit(verdict: u64) {
    let block = [APPLICATION_EXIT, verdict];
    // SAFETY: the debugger reads the block and ends the machine; if it does not, the instruction is
    // undefined or does nothing.
    unsafe {
        core::arch::asm!(
            "hlt #0xf000",
            inout("x0") SYS_EXIT => _,
            in("x1") block.as_ptr(),
            options(nostack)
        );
    }
}
