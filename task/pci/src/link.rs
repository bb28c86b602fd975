//! How a function uses its link: the same for all, so that what one end sends the other takes.
//!
//! These registers are written at the enumeration and after every reset, which loses them: a function-level reset the
//! request size and the ordering bits, a bus reset all. Link control is not among them: it comes back with power
//! saving off and the default timing, which works with whatever the other end is set to.

use crate::capability::{Broken, express};
use crate::config::{ConfigSpace, Function};
use crate::registers::{EXPRESS_CONTROL, EXPRESS_CONTROL2, EXPRESS_REGISTER, EXPRESS_VERSION};

/// Device control: payloads of 128 bytes, which every receiver takes, and read requests of 512, the default. The rest
/// is off. No Snoop would make the plan's word that a device is coherent untrue, and with relaxed ordering an
/// interrupt could overtake the data that it tells of; nobody handles reported errors, and more tags are
/// what not every completer copes with.
pub(crate) const DEVICE_CONTROL: u16 = 2 << 12;
/// Device control 2: completion timeout as by default, no latency messages, no forwarding of functions above 7.
const DEVICE_CONTROL2: u16 = 0;

/// Sets device control and, where there is one, device control 2.
pub(crate) fn set<C: ConfigSpace>(function: &Function<'_, C>) -> Result<(), Broken> {
    let Some(at) = express(function)? else {
        return Ok(());
    };
    function.write16(at + EXPRESS_CONTROL, DEVICE_CONTROL);
    let version = function.read16(at + EXPRESS_REGISTER) & EXPRESS_VERSION;
    // The register's end is that of the space of ordinary capabilities at most.
    if version >= 2 && at + EXPRESS_CONTROL2 + 2 <= 0x100 {
        function.write16(at + EXPRESS_CONTROL2, DEVICE_CONTROL2);
    }
    Ok(())
}
