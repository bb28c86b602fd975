//! The interrupt controller: GICv3, one core, group 1, one priority.

use core::ptr::NonNull;

use abi::layout::{KERNEL_GICD, KERNEL_GICR};
use arm_gic::gicv3::registers::{Gicd, GicrSgi};
use arm_gic::gicv3::{GicCpuInterface, GicDistributor, GicRedistributor, Group};
use arm_gic::{IntId, Trigger};
use safe_mmio::UniqueMmioPointer;

use super::instructions::{dsb, isb, read_register, write_register};

/// INTID of the virtual timer (Arm BSA, PPI assignment).
pub const TIMER_INTID: u32 = 27;
const TIMER: IntId = IntId::ppi(TIMER_INTID - 16);
/// Below the mask that the CPU interface lets through.
const PRIORITY: u8 = 0x80;
pub const FIRST_SPI: u32 = 32;
/// First of the INTIDs that are no interrupts: nothing pending, or not for this level.
pub const SPECIAL: u32 = 1020;
/// `GICD_ICENABLER<n>` (Arm IHI 0069, 12.9.10), for the fast path, which delivers a shared interrupt
/// without the core.
pub const CLEAR_ENABLE: u64 = KERNEL_GICD + 0x180;

fn distributor() -> GicDistributor<'static> {
    let Some(registers) = NonNull::new(KERNEL_GICD as *mut Gicd) else {
        super::power::fail()
    };
    // SAFETY: the kernel's tables map the distributor there, for the kernel alone; the value lives
    // only as long as one of the functions below, none of which calls another.
    GicDistributor::new(unsafe { UniqueMmioPointer::new(registers) })
}

fn redistributor() -> GicRedistributor<'static> {
    let Some(registers) = NonNull::new(KERNEL_GICR as *mut GicrSgi) else {
        super::power::fail()
    };
    // SAFETY: as for the distributor.
    GicRedistributor::new(unsafe { UniqueMmioPointer::new(registers) })
}

/// Puts the controller in a known state: everything masked but the timer.
///
/// Interrupt by interrupt: the crate's functions for all of them have an `unwrap` that the compiler
/// cannot remove, and the kernel has no panic.
pub fn initialise() {
    GicCpuInterface::enable_system_register_el1();
    // The end of an interrupt also deactivates it.
    // SAFETY: concerns the interrupt controller's interface alone.
    unsafe { write_register!("S3_0_C12_C12_4", 0) };
    let mut redistributor = redistributor();
    // An error only says that the core is awake already.
    let _ = redistributor.mark_core_awake();
    for number in 0..IntId::SGI_COUNT {
        let _ = redistributor.enable_interrupt(IntId::sgi(number), false);
    }
    for number in 0..IntId::PPI_COUNT {
        let _ = redistributor.enable_interrupt(IntId::ppi(number), false);
    }
    redistributor.wait_for_pending_write();
    let _ = redistributor.set_group(TIMER, Group::Group1NS);
    let _ = redistributor.set_trigger(TIMER, Trigger::Level);
    let _ = redistributor.set_interrupt_priority(TIMER, PRIORITY);
    let _ = redistributor.enable_interrupt(TIMER, true);
    redistributor.wait_for_pending_write();

    let mut distributor = distributor();
    distributor.enable_affinity_routing_secure(true);
    distributor.enable_group1_non_secure(true);
    let implemented = distributor.typer().num_spis();
    for number in 0..IntId::MAX_SPI_COUNT {
        if number < implemented {
            let _ = distributor.enable_interrupt(IntId::spi(number), false);
        }
    }
    distributor.wait_for_pending_write();
    GicCpuInterface::set_priority_mask(0xff);
    GicCpuInterface::enable_group1(true);
}

/// Takes the interrupt of highest priority: its INTID, or one from [`SPECIAL`] up.
pub fn acknowledge() -> u32 {
    let intid = read_register!("S3_0_C12_C12_0") as u32;
    // The interrupt is active before anything that its handling does.
    dsb();
    intid
}

/// Ends the handling of an interrupt that [`acknowledge`] returned.
pub fn end(intid: u32) {
    // What was done to the device or the distributor must have arrived, or a level fires again.
    dsb();
    // SAFETY: concerns the interrupt controller's interface alone.
    unsafe { write_register!("S3_0_C12_C12_1", u64::from(intid)) };
    isb();
}

/// The INTID as a shared interrupt. Private ones are not in any plan.
fn shared(intid: u32) -> Option<IntId> {
    let number = intid.checked_sub(FIRST_SPI)?;
    if number < IntId::MAX_SPI_COUNT {
        Some(IntId::spi(number))
    } else {
        None
    }
}

/// Lets a shared interrupt through or holds it back.
#[inline(never)]
pub fn enable(intid: u32, enabled: bool) {
    if let Some(interrupt) = shared(intid) {
        // The only error is a wrong INTID.
        let _ = distributor().enable_interrupt(interrupt, enabled);
    }
}

/// Sets trigger, priority and target of a shared interrupt.
pub fn route(intid: u32, edge: bool) {
    let Some(interrupt) = shared(intid) else {
        return;
    };
    let trigger = if edge { Trigger::Edge } else { Trigger::Level };
    let mut distributor = distributor();
    let _ = distributor.set_trigger(interrupt, trigger);
    let _ = distributor.set_group(interrupt, Group::Group1NS);
    let _ = distributor.set_interrupt_priority(interrupt, PRIORITY);
    let _ = distributor.set_routing(interrupt, Some(read_register!("mpidr_el1")));
}
