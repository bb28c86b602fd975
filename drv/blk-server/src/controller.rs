//! What a device does with requests: all that differs between two kinds of disk.

use abi::TaskId;
use blk_api::{Error, Geometry};
use userlib::delay::DelayNs;

use crate::request::{Finished, Request};

/// A device that was brought up, and the requests that it has.
///
/// An error of these methods that is a text ends the driver's life: which requests the device can still reach is not
/// known any more, and the driver's death makes the IOMMU server cut the device off and reset it.
pub trait Controller {
    /// Nanoseconds from one [`look`](Self::look) to the next while there are requests; none for a device whose requests
    /// have no deadline.
    const LOOK_EVERY_NS: Option<u64> = None;

    /// Data begins at a multiple of so many bytes, a power of two; it is refused elsewhere.
    const DATA_UNIT: u16 = 1;

    /// The disk that a client is given.
    fn geometry(&self, client: TaskId) -> &Geometry;
    /// How many other requests fit.
    fn room(&self) -> usize;
    /// Whether the device has no request.
    fn is_idle(&self) -> bool;
    /// Whether the device has a request of a client.
    fn any_of(&self, client: TaskId) -> bool;
    /// The request that is, or was last, in a slot.
    fn request(&self, slot: u32) -> &Request;
    /// Hands a request for `sector` to the device, which sees it when it is [announced](Self::announce). `Busy`
    /// without room.
    fn start(&mut self, request: Request, sector: u64) -> Result<(), Error>;
    /// Lets the device see what was started since the last time.
    fn announce(&mut self);
    /// The device has something to say, by these of its interrupts' notification bits.
    fn acknowledge(&mut self, interrupts: u32) -> Result<(), &'static str>;
    /// The next request that the device is done with.
    fn finished(&mut self) -> Result<Option<Finished>, &'static str>;
    /// All that was finished has been taken, if it was anything: the device may have its room again.
    fn taken(&mut self);
    /// Tells the device that the driver gives up.
    fn fail(&mut self);
    /// Whether the last request before the end has to be a flush.
    fn has_cache(&self) -> bool;
    /// Looks at requests that are under way for long. Some of them may be [`finished`](Self::finished) by that.
    fn look(&mut self, _delay: &mut impl DelayNs) -> Result<(), &'static str> {
        Ok(())
    }
    /// Gives the device up: afterwards it uses no memory, and what was written to it survives a loss of power.
    fn shut_down(&mut self, delay: &mut impl DelayNs) -> Result<(), &'static str>;
}
