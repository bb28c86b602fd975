//! What a program built with this crate knows of plans.

use crate::list::TaskNumber;
use crate::record::Known;
use crate::{iommu, its, pci, task};

/// The tables that a task's plan can have, as this version has them.
pub const OF_TASKS: [Known; 20] = [
    Known::of::<TaskNumber>(),
    Known::of::<task::SelfEntry>(),
    Known::of::<task::PeerEntry>(),
    Known::of::<task::NotificationEntry>(),
    Known::of::<task::MappingEntry>(),
    Known::of::<task::DeviceEntry>(),
    Known::of::<task::ParameterEntry>(),
    Known::of::<task::RestartEntry>(),
    Known::of::<task::ReasonEntry>(),
    Known::of::<pci::HostBridgeEntry>(),
    Known::of::<pci::FunctionEntry>(),
    Known::of::<iommu::SmmuEntry>(),
    Known::of::<iommu::DomainEntry>(),
    Known::of::<iommu::StreamEntry>(),
    Known::of::<iommu::DeviceEntry>(),
    Known::of::<iommu::PoolEntry>(),
    Known::of::<iommu::PremappedEntry>(),
    Known::of::<iommu::LentPoolEntry>(),
    Known::of::<its::ItsEntry>(),
    Known::of::<its::SourceEntry>(),
];
