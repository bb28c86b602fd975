//! The words that a log has for a reason: each has its own, and none is empty.

use pci_api::QuiesceFailure;
use pci_api::client::Failure;
use std::collections::BTreeSet;

use crate::boot_refusal::Refusal;
use crate::estate::HeldPin;
use crate::life::Asked;
use crate::space::Run;
use crate::units::how;
use crate::why::{NotQuiet, Why};

use super::rig::index;

fn are_apart(names: &[&'static str]) {
    let apart: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(apart.len(), names.len(), "{names:?}");
    assert!(names.iter().all(|name| name.len() > 4), "{names:?}");
}

#[test]
fn reasons_have_words_of_their_own() {
    use Refusal::*;
    let refusals = [
        NoRegisters,
        NoStage1,
        NoTables,
        NotCoherent,
        StallOnly,
        NoTwoLevelStreams,
        PresetBases,
        StreamBits,
        QueueSize,
        AsidBits,
        OutputSize,
        TableMemory,
        StreamTable,
        ContextDescriptor,
        PageTables,
        ControlTimeout,
        BaseRegister,
        CommandTimeout,
        TooMany,
        Inconsistent,
        NotAsLeft,
        NoPci,
    ];
    are_apart(&refusals.map(Refusal::name));
    are_apart(&[
        Why::NoSuchDevice.name(),
        Why::NotOwner.name(),
        Why::ByPlan.name(),
        Why::BootRefused.name(),
        Why::NotAsPlanned.name(),
        Why::Absent.name(),
        Why::NoSmmu.name(),
        Why::Altered.name(),
        Why::NoPci.name(),
        Why::EarlierLife.name(),
        Why::BeingMadeQuiet.name(),
        Why::NoSlot.name(),
        Why::NotHeld.name(),
        Why::Smmu.name(),
    ]);
    are_apart(&[
        NotQuiet::Failed(QuiesceFailure::Deadline).name(),
        NotQuiet::Refused(pci_api::Error::NoRecipe).name(),
        NotQuiet::Unknown.name(),
    ]);
}

/// Who is asked again, who never is, and who has answered.
#[test]
fn a_quiesce_that_was_not_begun_has_three_reasons() {
    assert_eq!(how(Ok(())), Asked::Begun);
    let refused = |error| how(Err(Failure::Refused(error)));
    assert_eq!(refused(pci_api::Error::Quiescing), Asked::Joined);
    assert_eq!(refused(pci_api::Error::NoRecipe), Asked::Refused);
    assert_eq!(refused(pci_api::Error::UnitActive), Asked::Refused);
    assert_eq!(how(Err(Failure::Down)), Asked::Unheard);
    assert_eq!(how(Err(Failure::Dead)), Asked::Unheard);
    assert_eq!(how(Err(Failure::Retired)), Asked::Gone);
    assert_eq!(how(Err(Failure::Nonsense)), Asked::Refused);
}

#[test]
fn a_pin_ends_before_its_end() {
    let pin = HeldPin {
        device: index(1),
        pa: 0x5000,
        len: 0x2000,
        slot: 0,
        run: Run::NONE,
        ambiguous: false,
    };
    for (address, within) in [
        (0x4fff, false),
        (0x5000, true),
        (0x6fff, true),
        (0x7000, false),
    ] {
        assert_eq!(pin.contains(address), within, "{address:x}");
    }
}
