//! VMSAv8-64 translation tables: descriptors, registers that go with them, and the building of tables.
//!
//! One implementation for every table in the system: the kernel's and the tasks', which the build
//! tool writes, and the stage-1 tables that an SMMU walks. What differs between them is a [`Regime`];
//! what the memory behind a mapping is, is a [`Memory`], whose indices go with the one [`MAIR`] that
//! `MAIR_EL1` and every context descriptor hold.
//!
//! Facts are from the Arm ARM (DDI 0487), chapter D8, for output addresses of at most 48 bits.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod arena;
mod attributes;
mod descriptor;
mod granule;
mod registers;
mod space;

pub use arena::Arena;
pub use attributes::{
    AttributeError, Attributes, MAIR, MARK_MASK, MARK_SHIFT, Memory, Permissions, Regime,
};
pub use descriptor::{Descriptor, OUTPUT_BITS_MAX, leaf, table};
pub use granule::Granule;
pub use registers::{output_size_code, tcr_el1, ttbr};
pub use space::{AddressSpace, Blocks, Half, MapError, Tables, Translation};
