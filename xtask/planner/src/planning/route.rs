//! The route of an interrupt.

use plan::kernel::InterruptClass;

/// One interrupt of one task.
#[derive(Clone, Debug)]
pub struct InterruptRoute {
    /// The GIC's number of the interrupt.
    pub intid: u32,
    /// How the interrupt is signalled.
    pub class: InterruptClass,
    /// Index of the task.
    pub task: usize,
    /// The notification bit, as a mask. Devices of one task on one line have the same: the kernel
    /// masks lines, not devices.
    pub bit: u32,
    /// The name of the route's notification.
    pub name: String,
    /// The device and, of a platform device with several, the interrupt.
    pub device: String,
    /// The name of the interrupt in the task that receives it.
    pub interrupt: String,
}
