//! Groups, domains, streams and windows of the devices.

use super::fabric::Fabric;
use crate::read::{App, Domain};
use crate::report::Report;

/// What became of the devices.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    /// One for each function of the fabric.
    pub devices: Vec<DevicePlan>,
    pub domains: Vec<DomainPlan>,
    /// Names of the isolation groups.
    pub groups: Vec<String>,
}

/// A device's part of the plan.
#[derive(Clone, Debug, Default)]
pub struct DevicePlan {
    pub streams: Vec<u32>,
    /// Index in `Domains::domains`; none for a bridge.
    pub domain: Option<usize>,
    /// Index in `Domains::groups`.
    pub group: usize,
    pub reset_unit: usize,
    /// Its group and domain with the reason, one line.
    pub reason: String,
}

/// One set of tables.
#[derive(Clone, Debug)]
pub struct DomainPlan {
    pub kind: Domain,
    /// From 1.
    pub asid: u16,
    /// IOVA of the page part.
    pub iova_base: u64,
    /// Bytes of the page part.
    pub page_bytes: u64,
    /// IOVA of the block part.
    pub block_base: u64,
    /// Bytes of the block part.
    pub block_bytes: u64,
}

pub fn plan(_report: &Report, _app: &App, fabric: &Fabric) -> Option<Domains> {
    fabric.functions.is_empty().then(Domains::default)
}
