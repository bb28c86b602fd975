//! The first Rust function, and what tasks may do with the processor.

use core::num::NonZeroU64;

use abi::boot::BootHeader;
use abi::layout::KERNEL_PLAN_BASE;
use plan::Blob;
use plan::kernel::{KernelEntry, KernelFlags};

use kern::TaskIndex;

use super::boot::EPD0;
use super::instructions::{isb, read_register, write_register};
use super::{console, entry, gic, power, system_error};

unsafe extern "C" {
    /// In the image, behind its header; filled in by the build tool.
    #[link_name = "boot_header"]
    static BOOT_HEADER: BootHeader;
}

/// Called on each core's own kernel stack, with the MMU on: number of the core in the boot header, and the
/// exception level that the image was entered at.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(core: u64, level: u64) -> ! {
    // SAFETY: the header is part of the kernel's text; nothing writes it.
    let header = unsafe { &BOOT_HEADER };
    power::configure(header, level);
    console::configure(header);
    let Some(own) = header.cores.get(core as usize) else {
        stop("the image has no such core", core as usize)
    };
    // SAFETY: the kernel's tables map the plan's bytes there, read-only, for good.
    let bytes = unsafe {
        core::slice::from_raw_parts(KERNEL_PLAN_BASE as *const u8, own.plan_len as usize)
    };
    let Ok(blob) = Blob::new(bytes) else {
        stop("the kernel's plan cannot be read", 0)
    };
    let Ok(system) = blob.exactly_one::<KernelEntry>() else {
        stop("the plan has no system record", 0)
    };
    let flags = KernelFlags::from_bits_truncate(system.flags);
    // Without it every limit and every deadline would be none.
    let Some(frequency) = NonZeroU64::new(read_register!("cntfrq_el0")) else {
        stop("firmware did not set the counter's frequency", 0)
    };
    restrict_tasks();
    set_up_counters(flags.contains(KernelFlags::USER_COUNTERS));
    if let Err(why) = gic::initialise() {
        stop(why, 0)
    }

    // SAFETY: boot is an entry, the first one.
    let kernel = unsafe { entry::kernel() };
    // Of a time before there were tasks.
    if let Some(syndrome) = system_error::take() {
        kernel.system_error(None, syndrome);
    }
    match kernel.boot(blob, frequency) {
        Ok(first) => {
            start_timer();
            open_lower_half(kernel.task(TaskIndex::SUPERVISOR).ttbr0());
            entry::resume(kernel, first)
        }
        Err(error) => stop(error.message(), error.record()),
    }
}

fn stop(why: &str, record: usize) -> ! {
    console::write("portcullis: ");
    console::write(why);
    console::write(", record ");
    console::write_number(record as u64);
    console::write("\r\n");
    power::fail()
}

/// Floating point traps, also in the kernel; of the timers tasks can only read the virtual counter; the debugger's
/// channel, whose words would go from task to task, traps.
fn restrict_tasks() {
    const EL0VCTEN: u64 = 1 << 1;
    /// `MDSCR_EL1.TDCC`.
    const TDCC: u64 = 1 << 12;
    // SAFETY: none of these registers concerns the kernel's memory or its own code.
    unsafe {
        write_register!("cpacr_el1", 0);
        write_register!("cntkctl_el1", EL0VCTEN);
        write_register!("mdscr_el1", TDCC);
        write_register!("tpidrro_el0", 0);
    }
    isb();
}

/// Translates the lower half again, which the first instructions closed behind themselves, by the tables of a task:
/// their own are of another size.
fn open_lower_half(root: u64) {
    let closed = read_register!("tcr_el1");
    // SAFETY: the tables are those of a task of the plan, and the kernel has no address in the lower half.
    unsafe { write_register!("ttbr0_el1", root) };
    isb();
    // SAFETY: as above. Nothing was cached for the lower half while it was closed.
    unsafe { write_register!("tcr_el1", closed & !EPD0) };
    isb();
}

/// The timer runs with whatever deadline it has; the deadline is the core's.
fn start_timer() {
    const ENABLE: u64 = 1;
    // SAFETY: the interrupt it raises is taken only from a task or when idle.
    unsafe { write_register!("cntv_ctl_el0", ENABLE) };
    isb();
}

/// Event counter 0 counts instructions at both levels, if tasks may read counters.
fn set_up_counters(readable: bool) {
    const INST_RETIRED: u64 = 0x08;
    /// `PMUSERENR_EL0`: read the cycle counter and the event counters, and nothing else.
    const READ_CYCLES: u64 = 1 << 2;
    const READ_EVENTS: u64 = 1 << 3;
    /// `PMCR_EL0`: enable, and reset the event counters.
    const ENABLE_AND_RESET: u64 = 0b11;
    // 0: no counters; 15: of another architecture than Arm's.
    if matches!(read_register!("id_aa64dfr0_el1") >> 8 & 0xf, 0 | 0xf) {
        return;
    }
    // SAFETY: counters concern neither memory nor control flow; overflow interrupts stay off.
    unsafe {
        write_register!("pmuserenr_el0", 0);
        write_register!("pmselr_el0", 0);
        write_register!("pmintenclr_el1", u64::from(u32::MAX));
        if readable {
            write_register!("pmevtyper0_el0", INST_RETIRED);
            write_register!("pmcntenset_el0", 1);
            write_register!("pmcr_el0", ENABLE_AND_RESET);
            write_register!("pmuserenr_el0", READ_CYCLES | READ_EVENTS);
        }
    }
    isb();
}
