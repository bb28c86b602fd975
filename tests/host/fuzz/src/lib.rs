//! Targets for hostile input: each takes any bytes, feeds them to one decoder or one driver of an untrusted
//! device, and panics if a promise is broken.
//!
//! The same targets run in two ways: with a fixed seed over mutated corpora (`tests/seeded.rs`, a part of
//! `cargo test`), and guided by coverage under `cargo bolero` (`tests/coverage.rs`).
#![forbid(unsafe_code)]

// Everything is built with counters under `cargo bolero`, and only the fuzzer brings what they need.
#[cfg(all(test, fuzzing))]
use bolero as _;

pub mod acpi_tables;
pub mod app_toml;
pub mod device;
pub mod device_tree;
pub mod events;
pub mod fabric;
pub mod frames;
pub mod input;
pub mod lspci;
pub mod messages;
pub mod mutate;
pub mod plan_blob;
pub mod status;
pub mod transport;
pub mod virtqueue;

/// Something that takes bytes from outside.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name of its corpus folder and of its tests.
    pub name: &'static str,
    /// Panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs to start from beyond the corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Longest input made up from nothing, bytes.
    pub len_max: usize,
    /// Inputs of a run in `cargo test`.
    pub rounds: u32,
}

const fn target(name: &'static str, run: fn(&[u8]), len_max: usize, rounds: u32) -> Target {
    Target {
        name,
        run,
        seeds: Vec::new,
        len_max,
        rounds,
    }
}

/// All of them.
pub const TARGETS: [Target; 15] = [
    target("iommu-messages", messages::iommu, 128, 200_000),
    target("pci-messages", messages::pci, 128, 200_000),
    target("block-messages", messages::block, 128, 200_000),
    Target {
        seeds: status::seeds,
        ..target("status-snapshots", status::run, 64, 200_000)
    },
    target("smmu-events", events::run, 64, 200_000),
    target("frame-messages", frames::messages, 128, 200_000),
    target("network-controller", frames::controller, 2048, 1_500),
    target("virtqueue", virtqueue::run, 512, 5_000),
    target("virtio-transport", transport::run, 512, 20_000),
    target("pci-fabric", fabric::run, 2048, 600),
    Target {
        seeds: plan_blob::seeds,
        ..target("plan-blob", plan_blob::run, 1024, 50_000)
    },
    Target {
        seeds: lspci::seeds,
        ..target("lspci", lspci::run, 256, 400)
    },
    Target {
        seeds: app_toml::seeds,
        ..target("app-toml", app_toml::run, 256, 2_000)
    },
    Target {
        seeds: device_tree::seeds,
        ..target("device-tree", device_tree::run, 256, 2_000)
    },
    Target {
        seeds: acpi_tables::seeds,
        ..target("acpi-tables", acpi_tables::run, 512, 2_000)
    },
];
