//! Bit patterns of descriptors and registers, written out from the Arm ARM's field tables, and what
//! attributes refuse to express.

use proptest::prelude::*;
use vmsa::{
    AttributeError, Attributes, Descriptor, Granule, MAIR, Memory, Permissions, Regime, leaf,
    table, tcr_el1, ttbr,
};

const REGIMES: [Regime; 4] = [Regime::Kernel, Regime::Boot, Regime::User, Regime::Device];
const MEMORIES: [Memory; 4] = [
    Memory::NormalWriteBack,
    Memory::DeviceNgnre,
    Memory::NormalNonCacheable,
    Memory::DeviceNgnrne,
];
const PERMISSIONS: [Permissions; 3] = [
    Permissions::Read,
    Permissions::ReadWrite,
    Permissions::ReadExecute,
];

fn page(regime: Regime, memory: Memory, permissions: Permissions) -> u64 {
    let attributes = Attributes::new(regime, memory, permissions).unwrap();
    leaf(Granule::Size4K, 3, 0x1234_5000, attributes)
}

#[test]
fn known_descriptors() {
    use Memory::{DeviceNgnre, NormalWriteBack};
    use Permissions::{Read, ReadExecute, ReadWrite};
    // Device: UXN, PXN, nG, AF, ISH, AP[1], page.
    assert_eq!(
        page(Regime::Device, NormalWriteBack, ReadWrite),
        0x0060_0000_1234_5f43
    );
    assert_eq!(
        page(Regime::Device, NormalWriteBack, Read),
        0x0060_0000_1234_5fc3
    );
    assert_eq!(
        page(Regime::Device, DeviceNgnre, ReadWrite),
        0x0060_0000_1234_5f47
    );
    assert_eq!(
        page(Regime::User, NormalWriteBack, ReadExecute),
        0x0020_0000_1234_5fc3
    );
    assert_eq!(
        page(Regime::Kernel, NormalWriteBack, ReadExecute),
        0x0040_0000_1234_5783
    );
    assert_eq!(
        page(Regime::Kernel, NormalWriteBack, ReadWrite),
        0x0060_0000_1234_5703
    );
    assert_eq!(
        page(Regime::Boot, NormalWriteBack, ReadExecute),
        0x0040_0000_1234_5f83
    );
    assert_eq!(table(Granule::Size4K, 0x4567_8000), 0x4567_8003);
    let attributes = Attributes::new(Regime::Device, NormalWriteBack, ReadWrite).unwrap();
    assert_eq!(
        leaf(Granule::Size4K, 2, 0x4020_0000, attributes),
        0x0060_0000_4020_0f41
    );
}

#[test]
fn register_values() {
    assert_eq!(MAIR.to_le_bytes()[..4], [0xff, 0x04, 0x44, 0x00]);
    // T0SZ = T1SZ = 25, WB/ISH walks, TG0 = 4K (0), TG1 = 4K (2), IPS = 44 bits, AS = 1.
    assert_eq!(tcr_el1(Granule::Size4K, 39, 39, 44), 0x14_b519_3519);
    assert_eq!(ttbr(0x4567_8000, 3), 0x0003_0000_4567_8000);
}

#[test]
fn a_device_and_side_effects_are_never_executable() {
    for memory in MEMORIES {
        assert_eq!(
            Attributes::new(Regime::Device, memory, Permissions::ReadExecute),
            Err(AttributeError::NotExecutable)
        );
    }
    for regime in REGIMES {
        assert_eq!(
            Attributes::new(regime, Memory::DeviceNgnre, Permissions::ReadExecute),
            Err(AttributeError::NotExecutable)
        );
    }
    assert_eq!(
        Permissions::new(true, true, true),
        Err(AttributeError::WritableAndExecutable)
    );
    assert_eq!(
        Permissions::new(false, true, false),
        Err(AttributeError::Unreadable)
    );
    assert_eq!(
        Permissions::new(true, false, true),
        Ok(Permissions::ReadExecute)
    );
}

#[test]
fn attributes_are_read_back() {
    for regime in REGIMES {
        for memory in MEMORIES {
            for permissions in PERMISSIONS {
                if let Ok(attributes) = Attributes::new(regime, memory, permissions) {
                    assert_eq!(attributes.decode(regime), Some((memory, permissions)));
                }
            }
        }
    }
    assert_eq!(Attributes::of(0).decode(Regime::Device), None);
}

#[test]
fn privileges_by_regime() {
    for regime in REGIMES {
        for permissions in PERMISSIONS {
            let Ok(attributes) = Attributes::new(regime, Memory::NormalWriteBack, permissions)
            else {
                continue;
            };
            let bits = attributes.bits();
            let unprivileged = matches!(regime, Regime::User | Regime::Device);
            assert_eq!(bits & 1 << 6 != 0, unprivileged, "AP[1] of {regime:?}");
            assert_eq!(
                bits & 1 << 11 == 0,
                regime == Regime::Kernel,
                "nG of {regime:?}"
            );
            assert_ne!(bits & 1 << 10, 0, "AF of {regime:?}");
            assert!(
                bits & 1 << 53 != 0 || bits & 1 << 54 != 0,
                "XN of {regime:?}"
            );
            let writable = bits & 1 << 7 == 0;
            let executable = bits & (3 << 53) != 3 << 53;
            assert!(!(writable && executable), "W^X of {regime:?}");
        }
    }
}

fn granules() -> impl Strategy<Value = Granule> {
    prop_oneof![
        Just(Granule::Size4K),
        Just(Granule::Size16K),
        Just(Granule::Size64K)
    ]
}

proptest! {
    #[test]
    fn leaves_are_read_back(granule in granules(), level in 0u32..4, output: u64) {
        let attributes =
            Attributes::new(Regime::Device, Memory::NormalWriteBack, Permissions::Read).unwrap();
        let value = leaf(granule, level, output, attributes);
        if granule.maps_at(level) {
            let held = output & ((1 << 48) - 1) & !(granule.entry_size(level) - 1);
            prop_assert_eq!(
                Descriptor::decode(granule, level, value),
                Descriptor::Leaf { output: held, attributes }
            );
        } else {
            prop_assert_eq!(Descriptor::decode(granule, level, value), Descriptor::Invalid);
        }
    }

    #[test]
    fn tables_are_read_back(granule in granules(), level in 0u32..3, next: u64) {
        let held = next & ((1 << 48) - granule.page());
        prop_assert_eq!(
            Descriptor::decode(granule, level, table(granule, next)),
            Descriptor::Table { next: held }
        );
    }

    #[test]
    fn without_the_valid_bit_nothing_is_translated(granule in granules(), level in 0u32..4, value: u64) {
        prop_assert_eq!(Descriptor::decode(granule, level, value & !1), Descriptor::Invalid);
    }
}
