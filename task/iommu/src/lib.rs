//! The IOMMU server's core: generic over the hardware and the system around it.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod boot;
pub mod hardware;
pub mod log;
