//! Images whose program at EL2 is made wrong on purpose, so that what the kernel does then can be tested.

use super::expect::Spoil;
use crate::steps::Built;
use planner::failure::{Failure, Outcome};

/// `HCR_EL2` as the program at EL2 sets it.
const HCR: u64 = 1 << 31 | AUTHENTICATION;
/// The bits that let pointer authentication pass.
const AUTHENTICATION: u64 = 1 << 41 | 1 << 40;
/// Reads of `CTR_EL0` trap.
const TID2: u64 = 1 << 17;
/// The kernel is a host's.
const E2H: u64 = 1 << 34;

/// The first instruction behind the vector of a synchronous exception from EL0 or EL1: `mov x24, #0x400`.
const VECTOR: u32 = 0xd280_8018;
/// Instructions that a vector has room for.
const ROOM: usize = 32;

/// A move between `Xt` and a system register of `op0` 3 and `op1` 4.
const fn register(read: bool, crn: u32, crm: u32, op2: u32, t: u32) -> u32 {
    let direction = if read { 1 << 21 } else { 0 };
    0xd51c_0000 | direction | crn << 12 | crm << 8 | op2 << 5 | t
}

/// What takes a read of `CTR_EL0` then: `x0` is the syndrome of an error, if it is not 0, `x1` has bits to be set in `HCR_EL2`,
/// `x2` in `PSTATE`. It changes `x9`, which was to be read, and goes on behind the read.
const RAISE: [u32; 15] = [
    register(true, 4, 0, 0, 9),  // mrs x9, spsr_el2
    0xaa02_0129,                 // orr x9, x9, x2
    register(false, 4, 0, 0, 9), // msr spsr_el2, x9
    register(true, 4, 0, 1, 9),  // mrs x9, elr_el2
    0x9100_1129,                 // add x9, x9, #4
    register(false, 4, 0, 1, 9), // msr elr_el2, x9
    0xb400_0040,                 // cbz x0, behind the next
    register(false, 5, 2, 3, 0), // msr vsesr_el2, x0
    register(true, 1, 1, 0, 9),  // mrs x9, hcr_el2
    0xaa01_0129,                 // orr x9, x9, x1
    register(false, 1, 1, 0, 9), // msr hcr_el2, x9
    0xd503_3fdf,                 // isb
    0xd69f_03e0,                 // eret
    0xd503_379f,                 // dsb nsh
    0xd503_3fdf,                 // isb
];
const _: () = assert!(RAISE.len() <= ROOM);

/// Makes an image wrong.
pub fn spoil(built: &mut Built, how: Spoil) -> Outcome<()> {
    let placement = built.layout.placement();
    let start = usize::try_from(placement.el2.pa - placement.image_base).unwrap_or(usize::MAX);
    let len = placement.el2.bytes.len();
    let program = built.dist.image.get_mut(start..);
    let program = program
        .and_then(|rest| rest.get_mut(..len))
        .unwrap_or(&mut []);
    match how {
        Spoil::TrapAuthentication => configure(program, HCR & !AUTHENTICATION),
        Spoil::KeepE2h => configure(program, HCR | E2H),
        Spoil::RaiseErrors => {
            configure(program, HCR | TID2)?;
            take(program)
        }
    }
}

/// Gives the program another value for `HCR_EL2`.
fn configure(program: &mut [u8], hcr: u64) -> Outcome<()> {
    let mut words = program.chunks_exact_mut(8);
    let place = words
        .find(|word| **word == HCR.to_le_bytes())
        .ok_or_else(|| Failure::new("the program at EL2 has no HCR_EL2 of that value"))?;
    place.copy_from_slice(&hcr.to_le_bytes());
    Ok(())
}

/// Gives the program another vector.
fn take(program: &mut [u8]) -> Outcome<()> {
    let mut vectors = program.chunks_exact_mut(ROOM * 4);
    let place = vectors
        .find(|vector| vector.starts_with(&VECTOR.to_le_bytes()))
        .ok_or_else(|| Failure::new("the program at EL2 has no such vector"))?;
    for (place, instruction) in place.chunks_exact_mut(4).zip(RAISE) {
        place.copy_from_slice(&instruction.to_le_bytes());
    }
    Ok(())
}
