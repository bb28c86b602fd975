//! Images that are made wrong on purpose, so that what is said of it can be tested.

use crate::project::Built;
use planner::failure::{Failure, Outcome};

/// `HCR_EL2` as the program at EL2 sets it, and without the bits that let pointer authentication pass.
const HCR: u64 = 1 << 31 | AUTHENTICATION;
const AUTHENTICATION: u64 = 1 << 41 | 1 << 40;

/// Lets pointer authentication trap to EL2: then nothing that EL1 can do keeps a task out of it.
pub fn trap_authentication(built: &mut Built) -> Outcome<()> {
    let layout = &built.tables.layout;
    let start = usize::try_from(layout.el2.pa - layout.image_base).unwrap_or(usize::MAX);
    let len = layout.el2.bytes.len();
    let place = built
        .dist
        .image
        .get_mut(start..)
        .and_then(|rest| rest.get_mut(..len))
        .into_iter()
        .flat_map(|program| program.chunks_exact_mut(8))
        .find(|word| **word == HCR.to_le_bytes())
        .ok_or_else(|| Failure::new("the program at EL2 has no HCR_EL2 of that value"))?;
    place.copy_from_slice(&(HCR & !AUTHENTICATION).to_le_bytes());
    Ok(())
}
