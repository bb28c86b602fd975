//! Random histories of the IOMMU server's core on the model of an SMMU, and the server's seeded faults.
//!
//! [`history`] draws what clients, devices, the kernel and the PCI task do; [`oracle`] and [`world`] say what must hold
//! after each step; [`sabotage`] and [`mutants`] make the server wrong in one place, which some check must notice.
#![forbid(unsafe_code)]

mod death;
pub mod fabric;
mod fuse;
pub mod history;
pub mod intent;
pub mod kernel;
pub mod layout;
pub mod mutants;
pub mod oracle;
pub mod sabotage;
pub mod troubles;
pub mod world;
