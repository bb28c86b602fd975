//! Features by capability: those that must be off, and ACS, which is as planned.

use crate::capability::{Broken, extended, ordinary};
use crate::config::{ConfigSpace, Function};
use crate::registers::{
    CAPABILITY_MSI, CAPABILITY_MSIX, EXTENDED_ACS, EXTENDED_ATS, EXTENDED_PASID, EXTENDED_PRI,
    EXTENDED_SRIOV,
};

/// Turns off what a driver could use to get past the SMMU or to multiply its streams: cached
/// translations (ATS, page requests), process address spaces, virtual functions; and message-signalled
/// interrupts that firmware left on.
pub(crate) fn turn_off<C: ConfigSpace>(function: &Function<'_, C>) -> Result<(), Broken> {
    for (id, control) in [
        (EXTENDED_PRI, 4),
        (EXTENDED_ATS, 6),
        (EXTENDED_PASID, 6),
        (EXTENDED_SRIOV, 8),
    ] {
        if let Some(at) = extended(function, id)? {
            function.write16(at + control, 0);
        }
    }
    for id in [CAPABILITY_MSI, CAPABILITY_MSIX] {
        if let Some(at) = ordinary(function, id)? {
            function.write16(at + 2, 0);
        }
    }
    Ok(())
}

/// Whether all of that is off but messages, of which [`crate::messages`] tells.
pub(crate) fn is_off<C: ConfigSpace>(function: &Function<'_, C>) -> Result<bool, Broken> {
    for (id, control, enable) in [
        (EXTENDED_PRI, 4, 1),
        (EXTENDED_ATS, 6, 1 << 15),
        (EXTENDED_PASID, 6, 1),
        (EXTENDED_SRIOV, 8, 1),
    ] {
        if let Some(at) = extended(function, id)?
            && function.read16(at + control) & enable != 0
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether ACS control is exactly `bits`.
pub(crate) fn has_acs<C: ConfigSpace>(
    function: &Function<'_, C>,
    bits: u16,
) -> Result<bool, Broken> {
    let found = extended(function, EXTENDED_ACS)?;
    Ok(found.map_or(bits == 0, |at| function.read16(at + 6) == bits))
}

/// Sets ACS control to exactly `bits`; false if the function does not keep it.
pub(crate) fn set_acs<C: ConfigSpace>(
    function: &Function<'_, C>,
    bits: u16,
) -> Result<bool, Broken> {
    let Some(at) = extended(function, EXTENDED_ACS)? else {
        return Ok(bits == 0);
    };
    function.write16(at + 6, bits);
    Ok(function.read16(at + 6) == bits)
}
