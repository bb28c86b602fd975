//! The task's plan page: who it is, whom it may call, what memory and devices it has.

use plan::task::{
    DeviceEntry, MappingEntry, MappingKind, NotificationEntry, ParameterEntry, PeerEntry, SelfEntry,
};
use plan::{Blob, Record, Table};

/// All tables of this task.
///
/// # Panics
/// If the plan page is not a blob of this version: the image is broken, and the task cannot run.
pub fn blob() -> Blob<'static> {
    match Blob::new(crate::plan_page::bytes()) {
        Ok(blob) => blob,
        Err(_) => crate::give_up!("the plan page is not readable"),
    }
}

/// Ends the task if its plan has a table that must be understood and is not known here to its end. [`crate::task`] asks
/// once, before the program begins, so that no look into the plan pays for it.
pub fn require_understood() {
    if blob().check_understood(&plan::OF_TASKS).is_err() {
        crate::give_up!("the plan page says what this program does not understand");
    }
}

/// One table of this task, empty if there is none.
pub fn table<T: Record>() -> Table<'static, T> {
    match blob().table() {
        Ok(table) => table,
        Err(_) => crate::give_up!("the plan page is malformed"),
    }
}

/// The task itself.
pub fn own() -> &'static SelfEntry {
    match blob().one() {
        Ok(own) => own,
        Err(_) => crate::give_up!("the plan page does not say who this is"),
    }
}

/// A peer by name.
pub fn peer(name: &str) -> Option<&'static PeerEntry> {
    table::<PeerEntry>()
        .iter()
        .find(|peer| peer.name.as_str() == name)
}

/// Name of a task by index, for logs; empty if the plan does not name it to this task.
pub fn peer_name(index: usize) -> &'static str {
    table::<PeerEntry>()
        .iter()
        .find(|peer| peer.index as usize == index)
        .map_or("", |peer| peer.name.as_str())
}

/// One of the calling task's own notification bits.
pub fn notification(name: &str) -> Option<u32> {
    notification_of(own().index, name)
}

/// A bit of the task with `index` that this task may post.
pub fn notification_of(index: u32, name: &str) -> Option<u32> {
    table::<NotificationEntry>()
        .iter()
        .find(|entry| entry.task == index && entry.name.as_str() == name)
        .map(|entry| entry.bit)
}

/// A mapping by name.
pub fn mapping(name: &str) -> Option<&'static MappingEntry> {
    table::<MappingEntry>()
        .iter()
        .find(|entry| entry.name.as_str() == name)
}

/// All mappings of one kind, in the plan's order.
pub fn mappings(kind: MappingKind) -> impl Iterator<Item = &'static MappingEntry> {
    table::<MappingEntry>()
        .iter()
        .filter(move |entry| entry.kind == kind as u32)
}

/// A device that this task drives.
pub fn device(name: &str) -> Option<&'static DeviceEntry> {
    devices().iter().find(|device| device.name.as_str() == name)
}

/// All devices that this task drives.
pub fn devices() -> Table<'static, DeviceEntry> {
    table()
}

/// A parameter from `app.toml`.
pub fn parameter(name: &str) -> Option<u64> {
    table::<ParameterEntry>()
        .iter()
        .find(|entry| entry.name.as_str() == name)
        .map(|entry| entry.value)
}
