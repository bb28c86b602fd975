//! Status snapshots: what became of each planned function.

use pci_api::QuiesceState;
use status_api::{Ask, Error, Found, Function, Name, Quiesce, Record, Snapshot, Subject};

use crate::fabric::Fabric;

/// The record that is asked for.
pub(crate) fn of(fabric: &Fabric<'_>, ask: Ask) -> Result<Snapshot, Error> {
    if ask.subject != Subject::Function {
        return Err(Error::Malformed);
    }
    let function = function(fabric, ask.index as usize).ok_or(Error::NoSuchRecord)?;
    Ok(Snapshot::new(fabric.plan.len(), Record::Function(function)))
}

fn function(fabric: &Fabric<'_>, index: usize) -> Option<Function> {
    let (entry, state) = (fabric.plan.get(index)?, fabric.states.get(index)?);
    Some(Function {
        name: Name::new(entry.name.as_str()),
        found: match (state.reason, state.absent) {
            (Some(_), _) => Found::Blocked,
            (None, true) => Found::Absent,
            (None, false) => Found::Ready,
        },
        reason: state.reason.map_or(0, |reason| reason as u8),
        requester_id: entry.rid,
        vendor_id: state.vendor_id,
        device_id: state.device_id,
        bus_master: fabric.forwards(index),
        quiesce: match state.progress.state() {
            QuiesceState::Never => Quiesce::Never,
            QuiesceState::Running => Quiesce::Running,
            QuiesceState::Quiet => Quiesce::Quiet,
            QuiesceState::Failed(_) => Quiesce::Failed,
        },
    })
}
