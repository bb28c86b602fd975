//! The interrupt controller: GICv3, one core, group 1, one priority for all lines. Messages are in [`super::messages`].

use core::ptr::NonNull;

use abi::layout::{KERNEL_GICD, KERNEL_GICR};
use arm_gic::gicv3::registers::{Gicd, GicdCtlr, GicrCtlr, GicrSgi, Waker};
use arm_gic::gicv3::{GicCpuInterface, GicDistributor, GicRedistributor, Group};
use arm_gic::{IntId, Trigger};
use safe_mmio::{UniqueMmioPointer, field, field_shared};

use super::instructions::{dsb, isb, read_register, write_register};

/// INTID of the virtual timer (Arm BSA, PPI assignment).
pub const TIMER_INTID: u32 = 27;
const TIMER: IntId = IntId::ppi(TIMER_INTID - 16);
/// Priority of all lines: above that of messages.
const PRIORITY: u8 = 0x80;
/// The priority mask that lets every interrupt through.
pub(super) const EVERYTHING: u8 = 0xff;
pub const FIRST_SPI: u32 = 32;
/// First of the INTIDs that are no interrupts: nothing pending, or not for this level.
pub const SPECIAL: u32 = 1020;
/// The first INTID above those.
pub const SPECIAL_END: u32 = 1024;
/// `GICD_ICENABLER<n>` (Arm IHI 0069, 12.9.10), for the fast path, which delivers a shared interrupt
/// without the core.
pub const CLEAR_ENABLE: u64 = KERNEL_GICD + 0x180;
/// `GICD_ISENABLER<n>` (Arm IHI 0069, 12.9.25), for the fast path, which lets one through likewise.
pub const SET_ENABLE: u64 = KERNEL_GICD + 0x100;

fn distributor_registers() -> Option<UniqueMmioPointer<'static, Gicd>> {
    let registers = NonNull::new(KERNEL_GICD as *mut Gicd)?;
    // SAFETY: the kernel's tables map the distributor there, for the kernel alone. It only has registers
    // that are read and written as whole words, so that two such pointers do not disturb each other.
    Some(unsafe { UniqueMmioPointer::new(registers) })
}

pub(super) fn distributor() -> Option<GicDistributor<'static>> {
    distributor_registers().map(GicDistributor::new)
}

pub(super) fn redistributor_registers() -> Option<UniqueMmioPointer<'static, GicrSgi>> {
    let registers = NonNull::new(KERNEL_GICR as *mut GicrSgi)?;
    // SAFETY: as for the distributor.
    Some(unsafe { UniqueMmioPointer::new(registers) })
}

fn redistributor() -> Option<GicRedistributor<'static>> {
    redistributor_registers().map(GicRedistributor::new)
}

/// Polls before the controller counts as broken: far more than it takes to wake up or to take a write.
const POLLS: u32 = 1 << 20;

pub(super) fn eventually(mut done: impl FnMut() -> bool) -> bool {
    (0..POLLS).any(|_| done())
}

/// Puts the controller in a known state: everything masked but the timer, nothing pending and nothing active,
/// whatever firmware or the run before left. An interrupt that stayed active would never come again, and a
/// stale edge would come at the first unmask.
///
/// The crate's functions for all interrupts have an `unwrap` that the compiler cannot remove, and its waits have
/// no end; the kernel has neither.
pub fn initialise() -> Result<(), &'static str> {
    GicCpuInterface::enable_system_register_el1();
    // The end of an interrupt also deactivates it.
    // SAFETY: concerns the interrupt controller's interface alone.
    unsafe { write_register!("S3_0_C12_C12_4", 0) };
    clear_active_priorities();
    initialise_private().ok_or("the interrupt redistributor does not answer")?;
    initialise_shared().ok_or("the interrupt distributor does not answer")?;
    GicCpuInterface::set_priority_mask(EVERYTHING);
    GicCpuInterface::enable_group1(true);
    Ok(())
}

/// An interrupt that was taken and never ended holds back all others of its priority.
fn clear_active_priorities() {
    // ICC_CTLR_EL1.PRIbits: bits of a priority less one, each value of them with a bit here.
    let priority_bits = (read_register!("S3_0_C12_C12_4") >> 8 & 7) + 1;
    // SAFETY: concerns the interrupt controller's interface alone; the registers beyond the first exist
    // with so many priorities only.
    unsafe {
        write_register!("S3_0_C12_C9_0", 0); // ICC_AP1R0_EL1
        if priority_bits > 5 {
            write_register!("S3_0_C12_C9_1", 0);
        }
        if priority_bits > 6 {
            write_register!("S3_0_C12_C9_2", 0);
            write_register!("S3_0_C12_C9_3", 0);
        }
    }
    isb();
}

/// Interrupts of this core: all masked, then the timer let through.
fn initialise_private() -> Option<()> {
    let mut registers = redistributor_registers()?;
    let mut frame = field!(registers, gicr);
    let mut waker = field!(frame, waker);
    let asleep = waker.read();
    if asleep.contains(Waker::CHILDREN_ASLEEP) {
        waker.write(asleep - Waker::PROCESSOR_SLEEP);
    }
    if !eventually(|| !waker.read().contains(Waker::CHILDREN_ASLEEP)) {
        return None;
    }
    let ctlr = field!(frame, ctlr);
    let settled = || eventually(|| !ctlr.read().contains(GicrCtlr::RWP));
    let mut registers = redistributor_registers()?;
    let mut private = field!(registers, sgi);
    field!(private, icenabler).get(0)?.write(u32::MAX);
    if !settled() {
        return None;
    }
    field!(private, icpendr).get(0)?.write(u32::MAX);
    field!(private, icactiver).get(0)?.write(u32::MAX);
    let mut redistributor = redistributor()?;
    let _ = redistributor.set_group(TIMER, Group::Group1NS);
    let _ = redistributor.set_trigger(TIMER, Trigger::Level);
    let _ = redistributor.set_interrupt_priority(TIMER, PRIORITY);
    let _ = redistributor.enable_interrupt(TIMER, true);
    settled().then_some(())
}

/// Shared interrupts: all masked.
fn initialise_shared() -> Option<()> {
    let mut distributor = distributor()?;
    distributor.enable_affinity_routing_secure(true);
    distributor.enable_group1_non_secure(true);
    let implemented = distributor.typer().num_spis();
    let mut registers = distributor_registers()?;
    // A word has 32 of them; the first word is the cores' own.
    for word in 1..=implemented.div_ceil(32) as usize {
        field!(registers, icenabler).get(word)?.write(u32::MAX);
    }
    let ctlr = field_shared!(registers, ctlr);
    if !eventually(|| !ctlr.read().contains(GicdCtlr::RWP)) {
        return None;
    }
    for word in 1..=implemented.div_ceil(32) as usize {
        field!(registers, icpendr).get(word)?.write(u32::MAX);
        field!(registers, icactiver).get(word)?.write(u32::MAX);
    }
    Some(())
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

/// Lets a shared interrupt through or holds it back. Holding back takes effect some time later; the core
/// expects that an interrupt comes once more.
#[inline(never)]
pub fn enable(intid: u32, enabled: bool) {
    if let (Some(interrupt), Some(mut distributor)) = (shared(intid), distributor()) {
        // The only error is a wrong INTID.
        let _ = distributor.enable_interrupt(interrupt, enabled);
    }
}

/// Makes a shared interrupt pending.
pub fn repeat(intid: u32) {
    if shared(intid).is_some()
        && let Some(mut registers) = distributor_registers()
        && let Some(mut word) = field!(registers, ispendr).get(intid as usize / 32)
    {
        word.write(1 << (intid % 32));
    }
}

/// Sets trigger, priority and target of a shared interrupt; `false` if the distributor has not got it.
pub fn route(intid: u32, edge: bool) -> bool {
    let (Some(interrupt), Some(mut distributor)) = (shared(intid), distributor()) else {
        return false;
    };
    if intid - FIRST_SPI >= distributor.typer().num_spis() {
        return false;
    }
    let trigger = if edge { Trigger::Edge } else { Trigger::Level };
    let core = kern::affinity(read_register!("mpidr_el1"));
    let _ = distributor.set_trigger(interrupt, trigger);
    let _ = distributor.set_group(interrupt, Group::Group1NS);
    let _ = distributor.set_interrupt_priority(interrupt, PRIORITY);
    let _ = distributor.set_routing(interrupt, Some(core));
    true
}
