//! A device that is not what the plan declares.

use iommu_api::{Error, Operation, StatusFlags};
use suite::{Case, Part, Result, Stage, check, check_eq};

use crate::handles::stale;
use crate::help::{claim, refusal, status};
use crate::{FIRST, MISFIT, misfit0};

/// Whatever its owner asks for, it stays closed.
fn stays_blocked(stage: &Stage) -> Result {
    for _ in 0..3 {
        check!(refusal(Operation::Claim, misfit0()) == Some(Error::Blocked));
        let status = status(misfit0())?;
        check_eq!(status.flags.0, StatusFlags::BLOCKED);
        check_eq!(status.claims, 0);
        check_eq!(status.mapped_pages, 0);
        stage.pause(1);
    }
    for generation in [1, 2] {
        for operation in [Operation::Map, Operation::Release, Operation::NextFault] {
            stale(operation, generation << 16 | misfit0(), 1 << 32)?;
        }
    }
    stage.note(0);
    Ok(())
}

/// Nor is its owner held for it.
fn restart_its_owner(stage: &Stage) -> Result {
    crate::help::notes(stage, 1);
    check_eq!(stage.stop(MISFIT).0, 0);
    check_eq!(stage.restart(MISFIT).0, 0);
    // Until its next life has come as far, the end of the one before is all that is known of it.
    crate::help::notes(stage, 2);
    // Another group goes on.
    check!(claim()?.flush().is_ok());
    Ok(())
}

pub const CASES: &[Case] = &[Case::new(
    "a-device-that-is-not-as-planned",
    &["IOMMU-G9-1", "IOMMU-CLAIM-2"],
    &[
        Part::returns(MISFIT, stays_blocked),
        Part::returns(FIRST, restart_its_owner),
    ],
)];
