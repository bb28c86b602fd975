//! The `SVC` instructions. Register use is documented at [`abi::Syscall`].

/// Registers `x0..=x15` of a call that carries payload.
#[cfg_attr(
    not(target_os = "none"),
    expect(dead_code, reason = "only the target makes the call")
)]
pub(crate) struct Carried {
    pub payload: [u64; 8],
    pub arguments: [u64; 8],
}

/// Results of the same call: `x0..=x7`, and those of `x8..=x13` that any call returns.
pub(crate) struct Returned {
    pub payload: [u64; 8],
    pub x8: u64,
    pub x9: u64,
    pub x10: u64,
    pub x12: u64,
    pub x13: u64,
}

/// Results of a call that may have brought a wide message: `x20..=x27` too.
pub(crate) struct WideReturned {
    pub narrow: Returned,
    pub rest: [u64; 8],
}

#[cfg(target_os = "none")]
mod target {
    use super::{Carried, Returned, WideReturned};
    use abi::Syscall;
    use core::arch::asm;

    /// The instruction of a call that passes payload through, between what saves the two registers that
    /// cannot be named as operands: `x19` and `x29`. The caller names `x0` to `x15`; the kernel clobbers all
    /// others but `sp` and `pc`, and the compiler saves of those what it needs.
    macro_rules! passing {
        ($call:expr, $($operands:tt)*) => {
            asm!(
                "stp x19, x29, [sp, #-16]!",
                "svc #{call}",
                "ldp x19, x29, [sp], #16",
                call = const $call,
                $($operands)*
                out("x16") _, out("x17") _, out("x18") _, out("x20") _, out("x21") _,
                out("x22") _, out("x23") _, out("x24") _, out("x25") _, out("x26") _,
                out("x27") _, out("x28") _, out("x30") _,
            )
        };
    }

    /// The same of a call that may bring a wide message, in whose place the caller names `x20` to `x27` as well.
    macro_rules! passing_wide {
        ($call:expr, $($operands:tt)*) => {
            asm!(
                "stp x19, x29, [sp, #-16]!",
                "svc #{call}",
                "ldp x19, x29, [sp], #16",
                call = const $call,
                $($operands)*
                out("x16") _, out("x17") _, out("x18") _, out("x28") _, out("x30") _,
            )
        };
    }

    /// A send, receive, reply or reply-and-receive with all its arguments.
    #[inline(always)]
    pub(crate) fn carry<const CALL: u16>(with: &Carried) -> Returned {
        let p = &with.payload;
        let a = &with.arguments;
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (x8, x9, x10, x12, x13): (u64, u64, u64, u64, u64);
        // SAFETY: the call is one of those that pass payload through; all registers that it clobbers
        // are declared or saved. Memory that the kernel writes for it (reply buffer, receive buffer,
        // write leases) is described by arguments made from exclusive borrows that outlive the call,
        // and the block is a compiler barrier for memory.
        unsafe {
            passing!(
                CALL,
                inlateout("x0") p[0] => r0, inlateout("x1") p[1] => r1,
                inlateout("x2") p[2] => r2, inlateout("x3") p[3] => r3,
                inlateout("x4") p[4] => r4, inlateout("x5") p[5] => r5,
                inlateout("x6") p[6] => r6, inlateout("x7") p[7] => r7,
                inlateout("x8") a[0] => x8,
                inlateout("x9") a[1] => x9,
                inlateout("x10") a[2] => x10,
                inlateout("x11") a[3] => _,
                inlateout("x12") a[4] => x12,
                inlateout("x13") a[5] => x13,
                inlateout("x14") a[6] => _,
                inlateout("x15") a[7] => _,
            );
        }
        Returned {
            payload: [r0, r1, r2, r3, r4, r5, r6, r7],
            x8,
            x9,
            x10,
            x12,
            x13,
        }
    }

    /// A send without memory: the kernel looks at no argument behind `x9`.
    #[inline(always)]
    pub(crate) fn send_registers(p: &[u64; 8], target: u64, descriptor: u64) -> Returned {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (x8, x9): (u64, u64);
        // SAFETY: all registers that the call clobbers are declared or saved, and its descriptor names
        // no memory.
        unsafe {
            passing!(
                Syscall::Send as u16,
                inlateout("x0") p[0] => r0, inlateout("x1") p[1] => r1,
                inlateout("x2") p[2] => r2, inlateout("x3") p[3] => r3,
                inlateout("x4") p[4] => r4, inlateout("x5") p[5] => r5,
                inlateout("x6") p[6] => r6, inlateout("x7") p[7] => r7,
                inlateout("x8") target => x8,
                inlateout("x9") descriptor => x9,
                lateout("x10") _, lateout("x11") _, lateout("x12") _, lateout("x13") _,
                lateout("x14") _, lateout("x15") _,
            );
        }
        Returned {
            payload: [r0, r1, r2, r3, r4, r5, r6, r7],
            x8,
            x9,
            x10: 0,
            x12: 0,
            x13: 0,
        }
    }

    /// A receive: arguments from `x8`, and no payload goes in.
    #[inline(always)]
    pub(crate) fn receive(a: [u64; 4]) -> Returned {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (x8, x9, x10, x12, x13): (u64, u64, u64, u64, u64);
        // SAFETY: all registers that the call clobbers are declared or saved, and the buffer comes from an
        // exclusive borrow that outlives it.
        unsafe {
            passing!(
                Syscall::Receive as u16,
                lateout("x0") r0, lateout("x1") r1, lateout("x2") r2, lateout("x3") r3,
                lateout("x4") r4, lateout("x5") r5, lateout("x6") r6, lateout("x7") r7,
                inlateout("x8") a[0] => x8,
                inlateout("x9") a[1] => x9,
                inlateout("x10") a[2] => x10,
                inlateout("x11") a[3] => _,
                lateout("x12") x12, lateout("x13") x13,
                lateout("x14") _, lateout("x15") _,
            );
        }
        Returned {
            payload: [r0, r1, r2, r3, r4, r5, r6, r7],
            x8,
            x9,
            x10,
            x12,
            x13,
        }
    }

    /// A reply of up to 64 bytes together with a receive: `x8`, `x9`, and the receive's arguments from
    /// `x11`.
    #[inline(always)]
    pub(crate) fn reply_registers_receive(p: &[u64; 8], to: [u64; 2], a: [u64; 4]) -> Returned {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (x8, x9, x10, x12, x13): (u64, u64, u64, u64, u64);
        // SAFETY: as for the receive alone; the reply's descriptor names no memory.
        unsafe {
            passing!(
                Syscall::ReplyReceive as u16,
                inlateout("x0") p[0] => r0, inlateout("x1") p[1] => r1,
                inlateout("x2") p[2] => r2, inlateout("x3") p[3] => r3,
                inlateout("x4") p[4] => r4, inlateout("x5") p[5] => r5,
                inlateout("x6") p[6] => r6, inlateout("x7") p[7] => r7,
                inlateout("x8") to[0] => x8,
                inlateout("x9") to[1] => x9,
                lateout("x10") x10,
                inlateout("x11") a[0] => _,
                inlateout("x12") a[1] => x12,
                inlateout("x13") a[2] => x13,
                inlateout("x14") a[3] => _,
                lateout("x15") _,
            );
        }
        Returned {
            payload: [r0, r1, r2, r3, r4, r5, r6, r7],
            x8,
            x9,
            x10,
            x12,
            x13,
        }
    }

    /// A reply of up to 64 bytes together with the receive of the last time: `x8`, `x9`.
    #[inline(always)]
    pub(crate) fn reply_registers_again(p: &[u64; 8], to: [u64; 2]) -> Returned {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (x8, x9, x10, x12, x13): (u64, u64, u64, u64, u64);
        // SAFETY: all registers that the call clobbers are declared or saved, and the reply's descriptor names no
        // memory. Whoever calls this answers for the buffer of the last receive.
        unsafe {
            passing!(
                Syscall::ReplyAgain as u16,
                inlateout("x0") p[0] => r0, inlateout("x1") p[1] => r1,
                inlateout("x2") p[2] => r2, inlateout("x3") p[3] => r3,
                inlateout("x4") p[4] => r4, inlateout("x5") p[5] => r5,
                inlateout("x6") p[6] => r6, inlateout("x7") p[7] => r7,
                inlateout("x8") to[0] => x8,
                inlateout("x9") to[1] => x9,
                lateout("x10") x10, lateout("x11") _,
                lateout("x12") x12, lateout("x13") x13,
                lateout("x14") _, lateout("x15") _,
            );
        }
        Returned {
            payload: [r0, r1, r2, r3, r4, r5, r6, r7],
            x8,
            x9,
            x10,
            x12,
            x13,
        }
    }

    /// A wide send: the kernel looks at no argument behind `x9`.
    #[inline(always)]
    pub(crate) fn send_wide(p: &[u64; 16], target: u64, descriptor: u64) -> WideReturned {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (s0, s1, s2, s3, s4, s5, s6, s7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (x8, x9): (u64, u64);
        // SAFETY: all registers that the call clobbers are declared or saved, and its descriptor names
        // no memory.
        unsafe {
            passing_wide!(
                Syscall::Send as u16,
                inlateout("x0") p[0] => r0, inlateout("x1") p[1] => r1,
                inlateout("x2") p[2] => r2, inlateout("x3") p[3] => r3,
                inlateout("x4") p[4] => r4, inlateout("x5") p[5] => r5,
                inlateout("x6") p[6] => r6, inlateout("x7") p[7] => r7,
                inlateout("x20") p[8] => s0, inlateout("x21") p[9] => s1,
                inlateout("x22") p[10] => s2, inlateout("x23") p[11] => s3,
                inlateout("x24") p[12] => s4, inlateout("x25") p[13] => s5,
                inlateout("x26") p[14] => s6, inlateout("x27") p[15] => s7,
                inlateout("x8") target => x8,
                inlateout("x9") descriptor => x9,
                lateout("x10") _, lateout("x11") _, lateout("x12") _, lateout("x13") _,
                lateout("x14") _, lateout("x15") _,
            );
        }
        WideReturned {
            narrow: Returned {
                payload: [r0, r1, r2, r3, r4, r5, r6, r7],
                x8,
                x9,
                x10: 0,
                x12: 0,
                x13: 0,
            },
            rest: [s0, s1, s2, s3, s4, s5, s6, s7],
        }
    }

    /// A receive that takes wide messages: arguments from `x8`.
    #[inline(always)]
    pub(crate) fn receive_wide(a: [u64; 4]) -> WideReturned {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (s0, s1, s2, s3, s4, s5, s6, s7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (x8, x9, x10, x12, x13): (u64, u64, u64, u64, u64);
        // SAFETY: all registers that the call clobbers are declared or saved, and the buffer comes from an
        // exclusive borrow that outlives it.
        unsafe {
            passing_wide!(
                Syscall::Receive as u16,
                lateout("x0") r0, lateout("x1") r1, lateout("x2") r2, lateout("x3") r3,
                lateout("x4") r4, lateout("x5") r5, lateout("x6") r6, lateout("x7") r7,
                lateout("x20") s0, lateout("x21") s1, lateout("x22") s2, lateout("x23") s3,
                lateout("x24") s4, lateout("x25") s5, lateout("x26") s6, lateout("x27") s7,
                inlateout("x8") a[0] => x8,
                inlateout("x9") a[1] => x9,
                inlateout("x10") a[2] => x10,
                inlateout("x11") a[3] => _,
                lateout("x12") x12, lateout("x13") x13,
                lateout("x14") _, lateout("x15") _,
            );
        }
        WideReturned {
            narrow: Returned {
                payload: [r0, r1, r2, r3, r4, r5, r6, r7],
                x8,
                x9,
                x10,
                x12,
                x13,
            },
            rest: [s0, s1, s2, s3, s4, s5, s6, s7],
        }
    }

    /// A reply in registers together with the receive of the last time, which took wide messages: `x8`, `x9`.
    #[inline(always)]
    pub(crate) fn reply_wide_again(p: &[u64; 16], to: [u64; 2]) -> WideReturned {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (s0, s1, s2, s3, s4, s5, s6, s7): (u64, u64, u64, u64, u64, u64, u64, u64);
        let (x8, x9, x10, x12, x13): (u64, u64, u64, u64, u64);
        // SAFETY: all registers that the call clobbers are declared or saved, and the reply's descriptor names no
        // memory. Whoever calls this answers for the buffer of the last receive.
        unsafe {
            passing_wide!(
                Syscall::ReplyAgain as u16,
                inlateout("x0") p[0] => r0, inlateout("x1") p[1] => r1,
                inlateout("x2") p[2] => r2, inlateout("x3") p[3] => r3,
                inlateout("x4") p[4] => r4, inlateout("x5") p[5] => r5,
                inlateout("x6") p[6] => r6, inlateout("x7") p[7] => r7,
                inlateout("x20") p[8] => s0, inlateout("x21") p[9] => s1,
                inlateout("x22") p[10] => s2, inlateout("x23") p[11] => s3,
                inlateout("x24") p[12] => s4, inlateout("x25") p[13] => s5,
                inlateout("x26") p[14] => s6, inlateout("x27") p[15] => s7,
                inlateout("x8") to[0] => x8,
                inlateout("x9") to[1] => x9,
                lateout("x10") x10, lateout("x11") _,
                lateout("x12") x12, lateout("x13") x13,
                lateout("x14") _, lateout("x15") _,
            );
        }
        WideReturned {
            narrow: Returned {
                payload: [r0, r1, r2, r3, r4, r5, r6, r7],
                x8,
                x9,
                x10,
                x12,
                x13,
            },
            rest: [s0, s1, s2, s3, s4, s5, s6, s7],
        }
    }

    /// Any other call: arguments from `x8`, results in `x0..=x7`.
    #[inline(always)]
    pub(crate) fn plain<const CALL: u16>(a: [u64; 6]) -> [u64; 8] {
        let (r0, r1, r2, r3, r4, r5, r6, r7): (u64, u64, u64, u64, u64, u64, u64, u64);
        // SAFETY: the call clobbers at most x0..=x17; memory that it writes (a borrow's destination) is
        // described by an exclusive borrow that outlives it.
        unsafe {
            asm!(
                "svc #{call}",
                call = const CALL,
                lateout("x0") r0, lateout("x1") r1, lateout("x2") r2, lateout("x3") r3,
                lateout("x4") r4, lateout("x5") r5, lateout("x6") r6, lateout("x7") r7,
                inlateout("x8") a[0] => _,
                inlateout("x9") a[1] => _,
                inlateout("x10") a[2] => _,
                inlateout("x11") a[3] => _,
                inlateout("x12") a[4] => _,
                inlateout("x13") a[5] => _,
                out("x14") _, out("x15") _, out("x16") _, out("x17") _,
            );
        }
        [r0, r1, r2, r3, r4, r5, r6, r7]
    }

    /// A call without payload that takes two arguments and returns one word.
    #[inline(always)]
    pub(crate) fn plain_pair<const CALL: u16>(first: u64, second: u64) -> u64 {
        let result: u64;
        // SAFETY: the call clobbers at most x0..=x17, and neither argument names memory.
        unsafe {
            asm!(
                "svc #{call}",
                call = const CALL,
                lateout("x0") result, lateout("x1") _, lateout("x2") _, lateout("x3") _,
                lateout("x4") _, lateout("x5") _, lateout("x6") _, lateout("x7") _,
                inlateout("x8") first => _,
                inlateout("x9") second => _,
                lateout("x10") _, lateout("x11") _, lateout("x12") _, lateout("x13") _,
                lateout("x14") _, lateout("x15") _, lateout("x16") _, lateout("x17") _,
            );
        }
        result
    }

    /// Dies with `text` as last words.
    pub(crate) fn panic(text: &[u8]) -> ! {
        // SAFETY: the call does not return; the kernel only records where the text is.
        unsafe {
            asm!(
                "svc #{call}",
                "brk #1",
                call = const Syscall::Panic as u16,
                in("x8") text.as_ptr(),
                in("x9") text.len(),
                options(noreturn)
            )
        }
    }

    /// `CNTVCT_EL0`, not hoisted above earlier instructions.
    #[inline(always)]
    pub(crate) fn counter() -> u64 {
        let value: u64;
        // SAFETY: reading the virtual counter is permitted at EL0 and has no effect on memory.
        unsafe {
            asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack, preserves_flags))
        };
        value
    }

    /// `PMEVCNTR0_EL0`, which the kernel sets up to count INST_RETIRED.
    #[inline(always)]
    pub(crate) fn instructions() -> u32 {
        let value: u64;
        // SAFETY: reading a counter has no effect on memory; where it is not permitted it faults the task.
        // The block is volatile and orders with memory accesses, so that measured code stays inside.
        unsafe { asm!("mrs {}, pmevcntr0_el0", out(reg) value, options(nostack, preserves_flags)) };
        value as u32
    }

    /// `CNTFRQ_EL0`, ticks a second.
    #[inline(always)]
    pub(crate) fn frequency() -> u64 {
        let value: u64;
        // SAFETY: as above; the frequency is constant.
        unsafe {
            asm!("mrs {}, cntfrq_el0", out(reg) value, options(nostack, preserves_flags, nomem, pure))
        };
        value
    }
}

#[cfg(not(target_os = "none"))]
mod host;
#[cfg(not(target_os = "none"))]
pub(crate) use host::*;
#[cfg(target_os = "none")]
pub(crate) use target::*;
