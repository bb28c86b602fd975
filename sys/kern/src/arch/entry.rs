//! Where the vectors enter Rust.

use core::cell::UnsafeCell;

use abi::FaultKind;
use kern::{Kernel, Task, TaskIndex};

use super::instructions::{read_register, wait_for_interrupt};
use super::machine::Machine;
use super::{console, gic, power};

/// The kernel's state. Page-aligned, so that the fast path reaches it with one instruction.
#[repr(C, align(4096))]
pub struct Place(UnsafeCell<Kernel<'static, Machine>>);

// SAFETY: there is one core, and the kernel runs with interrupts masked, so only one of the entries
// below uses the state at a time.
unsafe impl Sync for Place {}

pub static KERNEL: Place = Place(UnsafeCell::new(Kernel::new(Machine::NEW)));

/// The kernel's state, for the duration of one entry.
///
/// # Safety
/// To be called once in each entry from the vectors or from boot, by the outermost function, which
/// must not keep the reference beyond the entry.
pub unsafe fn kernel() -> &'static mut Kernel<'static, Machine> {
    // SAFETY: the caller promises that there is no other reference; the fast path's assembly works
    // only between entries.
    unsafe { &mut *KERNEL.0.get() }
}

/// Goes on with a task; waits until there is one. Entries end here and do not return, so that the
/// compiler saves no registers for a caller that wants none back.
#[inline(always)]
pub fn resume(kernel: &mut Kernel<'static, Machine>, next: Option<TaskIndex>) -> ! {
    let task: *const Task<'static> = match next {
        Some(index) => kernel.task(index),
        None => idle(kernel),
    };
    // SAFETY: the end of an entry: nothing on the stack and no reference is used again. The code jumped
    // to loads everything from the task, which is one of the table.
    unsafe { core::arch::asm!("b resume_task", in("x0") task, options(noreturn)) }
}

/// Waits until there is a task to go on with.
#[inline(never)]
fn idle(kernel: &mut Kernel<'static, Machine>) -> *const Task<'static> {
    loop {
        wait_for_interrupt();
        if let Some(index) = take_interrupt(kernel, None, gic::acknowledge()) {
            return kernel.task(index);
        }
    }
}

/// A task's exception: a system call or a fault. `index` is the task's, `syndrome` is `ESR_EL1`.
#[unsafe(no_mangle)]
extern "C" fn kernel_synchronous(index: u64, syndrome: u64) -> ! {
    // SAFETY: this is an entry, and the reference ends with it.
    let kernel = unsafe { kernel() };
    let running = running(index);
    const SVC: u64 = 0x15;
    let next = if syndrome >> 26 & 0x3f == SVC {
        kernel.system_call(running, syndrome as u16)
    } else {
        let (kind, has_address) = decode(syndrome);
        let address = if has_address {
            read_register!("far_el1")
        } else {
            kernel.task(running).frame().pc
        };
        kernel.exception(running, kind, address, syndrome)
    };
    resume(kernel, next)
}

/// An interrupt while a task ran, acknowledged already: `acknowledged` is what `ICC_IAR1_EL1` said.
#[unsafe(no_mangle)]
extern "C" fn kernel_interrupt(index: u64, acknowledged: u64) -> ! {
    // SAFETY: this is an entry, and the reference ends with it.
    let kernel = unsafe { kernel() };
    let next = take_interrupt(kernel, Some(running(index)), acknowledged as u32);
    resume(kernel, next)
}

/// An asynchronous abort while a task ran: what the kernel itself touches cannot cause one, so it is
/// the task's.
#[unsafe(no_mangle)]
extern "C" fn kernel_system_error(index: u64, syndrome: u64) -> ! {
    // SAFETY: this is an entry, and the reference ends with it.
    let kernel = unsafe { kernel() };
    let running = running(index);
    let pc = kernel.task(running).frame().pc;
    let next = kernel.exception(running, FaultKind::BusError, pc, syndrome);
    resume(kernel, next)
}

/// An exception in the kernel.
#[unsafe(no_mangle)]
extern "C" fn kernel_died(syndrome: u64, pc: u64, address: u64) -> ! {
    console::write("portcullis: exception in the kernel, esr ");
    console::write_number(syndrome);
    console::write(" pc ");
    console::write_number(pc);
    console::write(" far ");
    console::write_number(address);
    console::write("\r\n");
    power::fail()
}

fn running(index: u64) -> TaskIndex {
    // The number is the low byte of an id that this kernel made.
    TaskIndex::new(index as usize).unwrap_or(TaskIndex::SUPERVISOR)
}

/// Takes an acknowledged interrupt; `number` may say that there was none.
fn take_interrupt(
    kernel: &mut Kernel<'static, Machine>,
    running: Option<TaskIndex>,
    number: u32,
) -> Option<TaskIndex> {
    if number >= gic::SPECIAL {
        return running;
    }
    let next = if number == gic::TIMER_INTID {
        kernel.timer_interrupt(running)
    } else {
        kernel.interrupt(running, number)
    };
    gic::end(number);
    next
}

/// Kind of a fault by its exception class (Arm DDI 0487, ESR_EL1.EC), and whether `FAR_EL1` is valid.
fn decode(syndrome: u64) -> (FaultKind, bool) {
    const INSTRUCTION_ABORT: u64 = 0x20;
    const PC_ALIGNMENT: u64 = 0x22;
    const DATA_ABORT: u64 = 0x24;
    const SP_ALIGNMENT: u64 = 0x26;
    let status = syndrome & 0x3f;
    // External aborts: on the access itself, or on a table walk for it.
    let external = matches!(status, 0x10 | 0x13..=0x17);
    const ALIGNMENT: u64 = 0x21;
    match syndrome >> 26 & 0x3f {
        INSTRUCTION_ABORT | DATA_ABORT if external => (FaultKind::BusError, true),
        INSTRUCTION_ABORT => (FaultKind::InstructionFetch, true),
        DATA_ABORT if status == ALIGNMENT => (FaultKind::Alignment, true),
        DATA_ABORT => (FaultKind::MemoryAccess, true),
        PC_ALIGNMENT => (FaultKind::Alignment, true),
        SP_ALIGNMENT => (FaultKind::Alignment, false),
        _ => (FaultKind::IllegalInstruction, false),
    }
}
