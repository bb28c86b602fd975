//! Message interrupts (LPIs) of the interrupt controller's redistributor.

use arm_gic::gicv3::GicCpuInterface;
use arm_gic::gicv3::registers::GicrCtlr;
use plan::limits::MESSAGE_BITS;
use safe_mmio::field;

use super::gic;
use super::instructions::{dsb, isb};

/// `GICR_PROPBASER` and `GICR_PENDBASER` (Arm IHI 0069): inner shareable, write-back.
const SHAREABLE: u64 = 0b01 << 10;
const WRITE_BACK: u64 = 0b111 << 7;
/// `GICR_PENDBASER`: the pending table is all zeros.
const ZEROED: u64 = 1 << 62;

/// Gives the redistributor its tables and lets it take messages: its number, as the interrupt translation service may know
/// it. None if it takes no INTIDs of so many bits, if it has the tables of firmware in use and does not give them up, or if it does not
/// take these.
pub fn start(configuration: u64, pending: u64) -> Option<u32> {
    let typer = gic::distributor()?.typer();
    let takes = typer.lpis_supported() && typer.id_bits() >= MESSAGE_BITS;
    takes.then(|| start_redistributor(configuration, pending))?
}

fn start_redistributor(configuration: u64, pending: u64) -> Option<u32> {
    let mut registers = gic::redistributor_registers()?;
    let mut frame = field!(registers, gicr);
    let typer = field!(frame, typer).read();
    if !typer.physical_lpis_supported() {
        return None;
    }
    let mut ctlr = field!(frame, ctlr);
    let before = ctlr.read();
    if before.contains(GicrCtlr::EnableLPIs) {
        // Some implementations never let it be cleared.
        ctlr.write(before - GicrCtlr::EnableLPIs);
        let cleared = || {
            let now = ctlr.read();
            !now.intersects(GicrCtlr::EnableLPIs | GicrCtlr::RWP)
        };
        if !gic::eventually(cleared) {
            return None;
        }
    }
    let before = ctlr.read();
    let mut registers = gic::redistributor_registers()?;
    let mut frame = field!(registers, gicr);
    let attributes = SHAREABLE | WRITE_BACK;
    let base = configuration | attributes | u64::from(MESSAGE_BITS - 1);
    let mut propbaser = field!(frame, propbaser);
    propbaser.write(base);
    const ADDRESS: u64 = 0xf_ffff_ffff_f000;
    if propbaser.read() & ADDRESS != configuration {
        return None;
    }
    let mut pendbaser = field!(frame, pendbaser);
    pendbaser.write(pending | attributes | ZEROED);
    if pendbaser.read() & ADDRESS != pending {
        return None;
    }
    // The tables came with the image's file; they are in memory before the redistributor looks.
    dsb();
    field!(frame, ctlr).write(before | GicrCtlr::EnableLPIs);
    Some(u32::from(typer.processor_number()))
}

/// Keeps messages pending, by a priority mask between theirs and that of all lines, or takes them again.
pub fn hold(held: bool) {
    let mask = if held {
        plan::kernel::MESSAGE_PRIORITY
    } else {
        gic::EVERYTHING
    };
    GicCpuInterface::set_priority_mask(mask);
    isb();
}
