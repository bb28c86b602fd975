//! Ending a run.

use core::sync::atomic::{AtomicBool, Ordering};

use smccc::{Hvc, Smc, psci};

/// Verdict of a run that the kernel itself ends.
pub const FAILED: u64 = 1;

/// Whether firmware is called by `SMC`: so if the kernel was entered at EL2, where an `HVC` would come
/// back to what it left there.
static BY_SMC: AtomicBool = AtomicBool::new(false);
/// Whether semihosting may be tried.
static SEMIHOSTING: AtomicBool = AtomicBool::new(false);

/// Remembers how firmware is called.
pub fn set_conduit(entered_at_el2: bool) {
    BY_SMC.store(entered_at_el2, Ordering::Relaxed);
}

/// Remembers whether the image may use semihosting.
pub fn set_semihosting(allowed: bool) {
    SEMIHOSTING.store(allowed, Ordering::Relaxed);
}

/// Ends the run with a verdict: by semihosting if the image may, which gives an emulator's exit code,
/// else by switching the machine off.
pub fn exit(semihosting: bool, verdict: u64) -> ! {
    if semihosting {
        // An exception that this raises where nobody listens comes back here, and must not try again.
        SEMIHOSTING.store(false, Ordering::Relaxed);
        semihosting_exit(verdict);
    }
    off()
}

/// Ends the run as failed.
pub fn fail() -> ! {
    exit(SEMIHOSTING.load(Ordering::Relaxed), FAILED)
}

fn off() -> ! {
    // Either returns only if it failed; then there is nothing left but to wait.
    let _ = if BY_SMC.load(Ordering::Relaxed) {
        psci::system_off::<Smc>()
    } else {
        psci::system_off::<Hvc>()
    };
    loop {
        super::instructions::wait_for_interrupt();
    }
}

/// `SYS_EXIT` (Arm semihosting specification): the block says that the application exited, and the code.
fn semihosting_exit(verdict: u64) {
    const SYS_EXIT: u64 = 0x18;
    const APPLICATION_EXIT: u64 = 0x2_0026;
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
