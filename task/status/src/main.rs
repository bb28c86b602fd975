//! Asks the servers for their state, and logs it as a snapshot that `cargo xtask inspect` reads.
//!
//! Plan: `inspects`; calls `supervisor`, `iommu` and `pci`, or some of them; a snapshot is taken after each time
//! `every` (a parameter), and whenever another task posts the notification `snapshot`. The log ring has to have room for a
//! whole snapshot, 100 bytes a record: the log task is less urgent than this one.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
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

use abi::notification;
use status_api::client::ask;
use status_api::{Snapshot, Subject};
use userlib::ipc::{self, Received};
use userlib::protocol::Wire;
use userlib::server::Server;
use userlib::{config, packed, time};

userlib::task!(main);

/// The parameter that says how often a snapshot is taken, and the notification that asks for one.
const EVERY: &str = "every";
const SNAPSHOT: &str = "snapshot";
/// Code of the reply to any message: this task serves nobody.
const NOT_A_SERVER: u32 = 1;

/// Who is asked for what.
const SOURCES: [(&str, Subject); 4] = [
    ("supervisor", Subject::Task),
    ("iommu", Subject::Smmu),
    ("iommu", Subject::Device),
    ("pci", Subject::Function),
];

/// Logs one record. The zeros at its end say nothing.
fn log(number: u32, snapshot: &Snapshot) {
    let bytes = packed::bytes(&snapshot.to_words());
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    defmt::info!(
        "snapshot {=u32}: {=[u8]:02x}",
        number,
        bytes.get(..end).unwrap_or(&bytes)
    );
}

/// Asks one server for all that it has of a subject: how many records came.
fn all_of(number: u32, name: &str, subject: Subject) -> u32 {
    let Some(server) = Server::named(name) else {
        return 0;
    };
    let mut records = 0;
    // The count is the server's, and a byte: this comes to an end whatever it says.
    let mut count = 1;
    while records < count {
        match ask(&server, subject, records) {
            Ok(snapshot) => {
                count = u32::from(snapshot.count);
                log(number, &snapshot);
                records += 1;
            }
            Err(failure) => {
                defmt::warn!("{=str}: {=str}", name, failure.name());
                break;
            }
        }
    }
    records
}

fn main() -> ! {
    let asked = config::notification(SNAPSHOT).unwrap_or(0);
    let every = config::parameter(EVERY);
    let mut number = 0u32;
    loop {
        time::set_timer(every.map(|every| time::now().after(every)));
        match ipc::receive(asked | notification::TIMER) {
            Received::Notification(_) => {
                number = number.wrapping_add(1);
                let records = SOURCES.map(|(name, subject)| all_of(number, name, subject));
                let records = records
                    .iter()
                    .fold(0u32, |sum, more| sum.saturating_add(*more));
                defmt::info!("snapshot {=u32} ends after {=u32} records", number, records);
            }
            Received::Message(message) => ipc::reply(message.sender, NOT_A_SERVER, &[0; 8], 0),
            Received::Dead => {}
        }
    }
}
