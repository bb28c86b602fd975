//! The Rust functions that the vectors call.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use kern::syndrome::{self, Address};
use kern::{Arch, Kernel, Task, TaskIndex, offsets};

use super::instructions::{read_register, wait_for_interrupt};
use super::machine::Machine;
use super::{console, gic, power, system_error};

/// The kernel's state. Aligned so that the fast path reaches it with one instruction, and a task with two.
#[repr(C, align(65536))]
pub struct Place(UnsafeCell<Kernel<'static, Machine>>);

const _: () = assert!(align_of::<Place>() == offsets::KERNEL_ALIGNMENT);

// SAFETY: there is one core, and the kernel runs with interrupts masked, so only one of the entries
// below uses the state at a time.
unsafe impl Sync for Place {}

pub static KERNEL: Place = Place(UnsafeCell::new(Kernel::new(Machine)));

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
        // Else it would end every wait, and be taken by the next task that runs.
        if system_error::is_pending()
            && let Some(syndrome) = system_error::take()
            && let Some(index) = kernel.system_error(None, syndrome)
        {
            return kernel.task(index);
        }
        let since = kernel.arch().now();
        if let Some(index) = take_interrupt(kernel, None, gic::acknowledge(), since) {
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
    // An error that is taken from here on may change it, even one that is no error to the task.
    let fault_address = read_register!("far_el1");
    let next = if let Some(next) = late_error(kernel, running) {
        next
    } else if syndrome::is_system_call(syndrome) {
        kernel.system_call(running, syndrome as u16)
    } else {
        let (kind, address) = syndrome::fault(syndrome);
        let address = match address {
            Address::Fault => fault_address,
            Address::Instruction => kernel.task(running).frame().pc,
            Address::Unknown => 0,
        };
        kernel.exception(running, kind, address, syndrome)
    };
    resume(kernel, next)
}

/// Waits for the device accesses of a task that enters the kernel. If one failed, the task dies of it before
/// anything is done for it or anybody else runs: returns who runs next.
#[inline(always)]
fn late_error(
    kernel: &mut Kernel<'static, Machine>,
    running: TaskIndex,
) -> Option<Option<TaskIndex>> {
    if !kernel.task(running).has_devices() {
        return None;
    }
    let next = kernel.system_error(Some(running), system_error::take()?);
    (next != Some(running)).then_some(next)
}

/// An interrupt while a task ran, acknowledged already: `acknowledged` is what `ICC_IAR1_EL1` said, `since` when it
/// arrived.
#[unsafe(no_mangle)]
extern "C" fn kernel_interrupt(index: u64, acknowledged: u64, since: u64) -> ! {
    // SAFETY: this is an entry, and the reference ends with it.
    let kernel = unsafe { kernel() };
    let running = running(index);
    let running = late_error(kernel, running).unwrap_or(Some(running));
    let next = take_interrupt(kernel, running, acknowledged as u32, since);
    resume(kernel, next)
}

/// An asynchronous error while a task ran.
#[unsafe(no_mangle)]
extern "C" fn kernel_system_error(index: u64, syndrome: u64) -> ! {
    // SAFETY: this is an entry, and the reference ends with it.
    let kernel = unsafe { kernel() };
    let running = running(index);
    // There may be more where it came from, and nobody else is to be charged with them.
    let syndrome = if kernel.task(running).has_devices() {
        syndrome::worse(Some(syndrome), system_error::take()).unwrap_or(syndrome)
    } else {
        syndrome
    };
    let next = kernel.system_error(Some(running), syndrome);
    resume(kernel, next)
}

/// An exception in the kernel.
#[unsafe(no_mangle)]
extern "C" fn kernel_died(syndrome: u64, pc: u64, address: u64) -> ! {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if TOLD.load(Ordering::Relaxed) {
        // Telling it, or ending the run, raised this one.
        power::fail()
    }
    TOLD.store(true, Ordering::Relaxed);
    console::write("portcullis: exception in the kernel, esr ");
    console::write_number(syndrome);
    console::write(" pc ");
    console::write_number(pc);
    console::write(" far ");
    console::write_number(address);
    console::write("\r\n");
    power::fail()
}

/// An interrupt of group 0 while a task ran.
#[unsafe(no_mangle)]
extern "C" fn kernel_fast_interrupt() -> ! {
    console::write("portcullis: a FIQ: firmware left group 0 of the interrupt controller on\r\n");
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
    since: u64,
) -> Option<TaskIndex> {
    if (gic::SPECIAL..gic::SPECIAL_END).contains(&number) {
        return running;
    }
    let next = if number == gic::TIMER_INTID {
        kernel.timer_interrupt(running)
    } else {
        kernel.interrupt(running, number, since)
    };
    gic::end(number);
    next
}
