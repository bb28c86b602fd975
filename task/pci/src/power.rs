//! Power states. In D3hot a function answers in configuration space and nowhere else, and does nothing.

use crate::capability::{Broken, ordinary};
use crate::config::{ConfigSpace, Function};
use crate::registers::{CAPABILITY_POWER, POWER_CONTROL, POWER_STATE};

/// Milliseconds until a function that leaves D3hot may be accessed (PCI Power Management 1.2, 5.6.1).
pub(crate) const RECOVERY_MS: u32 = 10;

fn control<C: ConfigSpace>(function: &Function<'_, C>) -> Result<Option<u16>, Broken> {
    let found = ordinary(function, CAPABILITY_POWER)?;
    Ok(found.map(|at| at + POWER_CONTROL))
}

/// Whether a function is in D0; one without power states always is.
pub(crate) fn is_on<C: ConfigSpace>(function: &Function<'_, C>) -> Result<bool, Broken> {
    let control = control(function)?;
    Ok(control.is_none_or(|at| function.read16(at) & POWER_STATE == 0))
}

/// Turns on a function that firmware left in a lower state, its wake-up signal off; true if it has to be given
/// [`RECOVERY_MS`]. It may reset itself by that.
pub(crate) fn turn_on<C: ConfigSpace>(function: &Function<'_, C>) -> bool {
    // A broken list is told of when the function is compared.
    let Ok(Some(at)) = control(function) else {
        return false;
    };
    let low = function.read16(at) & POWER_STATE != 0;
    if low {
        function.write16(at, 0);
    }
    low
}
