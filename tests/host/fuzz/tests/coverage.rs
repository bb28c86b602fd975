//! The targets guided by coverage, under `cargo bolero`; without it there is nothing here.
#![cfg(fuzzing)]

macro_rules! targets {
    ($($test:ident $run:path),*) => {
        $(#[test]
        fn $test() {
            bolero::check!().for_each(|bytes: &[u8]| $run(bytes));
        })*
    };
}
targets!(
    iommu_messages fuzz::messages::iommu,
    pci_messages fuzz::messages::pci,
    block_messages fuzz::messages::block,
    status_snapshots fuzz::status::run,
    smmu_events fuzz::events::run,
    frame_messages fuzz::frames::messages,
    network_controller fuzz::frames::controller,
    virtqueue fuzz::virtqueue::run,
    virtio_transport fuzz::transport::run,
    pci_fabric fuzz::fabric::run,
    plan_blob fuzz::plan_blob::run,
    lspci fuzz::lspci::run,
    app_toml fuzz::app_toml::run,
    device_tree fuzz::device_tree::run,
    acpi_tables fuzz::acpi_tables::run
);
