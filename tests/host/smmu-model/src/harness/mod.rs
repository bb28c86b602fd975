//! Random histories of the IOMMU server's core on the model, and its seeded faults.

mod death;
pub mod fabric;
pub mod history;
pub mod intent;
pub mod kernel;
pub mod layout;
pub mod mutants;
pub mod oracle;
pub mod sabotage;
pub mod troubles;
pub mod world;
