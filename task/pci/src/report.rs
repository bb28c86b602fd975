//! The report of the enumeration to an observer, which logs it.

use pci_api::Mismatch;
use plan::pci::FunctionEntry;

use crate::address::Address;

/// A planned function that answered.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The function's entry in the plan.
    pub entry: &'a FunctionEntry,
    /// Vendor id as read.
    pub vendor_id: u16,
    /// Device id as read.
    pub device_id: u16,
}

/// One difference between machine and plan.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    /// The place of the difference.
    pub address: Address,
    /// The planned function; none for one that is not declared.
    pub entry: Option<&'a FunctionEntry>,
    /// The kind of difference.
    pub mismatch: Mismatch,
    /// The number of the BAR that differs, if it is one.
    pub bar: Option<usize>,
    /// The planned value, if it is a number.
    pub planned: u64,
    /// The value that was found.
    pub found: u64,
}

/// Hears of every function found and of every difference, as they are met.
pub trait Observer {
    /// A planned function answered with the planned identity.
    fn found(&mut self, found: &Found<'_>);
    /// Machine and plan differ.
    fn differs(&mut self, difference: &Difference<'_>);
}
