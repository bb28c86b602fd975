//! Privileged calls a task may make, from the plan.

use bitflags::bitflags;

bitflags! {
    /// Rights to make privileged calls. Each privileged call needs one of them; a task that makes the
    /// call without it is faulted.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Rights: u32 {
        /// Read status of, stop and restart tasks (the supervisor).
        const SUPERVISE = 1 << 0;
        /// Put holds on tasks and pin leases (the one task with `dma-authority`).
        const DMA_AUTHORITY = 1 << 1;
        /// Write to the polled console (the supervisor's last words).
        const CONSOLE = 1 << 2;
        /// End the run with a verdict; granted in test images and in the demo.
        const EXIT = 1 << 3;
        /// Arm faults in other tasks and read a dead task's registers; test images only.
        const TEST = 1 << 4;
        /// Carry out what the kernel wants changed of message interrupts (the one task that owns the interrupt
        /// translation service).
        const MESSAGES = 1 << 5;
    }
}
