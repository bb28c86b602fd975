//! Status snapshots in the log of a task that `inspects`: `snapshot 3: [01, 10, ..]` is a record, and
//! `snapshot 3 ends after 12 records` the end of a round.

use abi::FaultKind;
use pci_api::Mismatch;
use status_api::{
    Claim, Device, Found, Function, Quiesce, Record, Smmu, SmmuUse, Snapshot, Task, TaskState,
    Unreadable, Verdict,
};

/// A part of a round of records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A record of the round with this number.
    Record(u32, Record),
    /// The end of a round, and how many records it had.
    End(u32, u32),
}

impl Told {
    /// Reads a line; none if it is no part of a snapshot.
    ///
    /// # Errors
    /// It begins as a record does, and cannot be read.
    pub fn read(text: &str) -> Option<Result<Self, Unreadable>> {
        let rest = text.strip_prefix("snapshot ")?;
        if let Some((number, rest)) = rest.split_once(" ends after ") {
            let records = rest.strip_suffix(" records")?;
            return Some(Ok(Self::End(number.parse().ok()?, records.parse().ok()?)));
        }
        let (number, bytes) = rest.split_once(": ")?;
        let number = number.parse().ok()?;
        let bytes = bytes.strip_prefix('[')?.strip_suffix(']')?;
        let byte = |digits: &str| u8::from_str_radix(digits, 16).ok();
        let bytes: Option<Vec<u8>> = bytes.split(", ").map(byte).collect();
        let snapshot = Snapshot::from_bytes(&bytes.unwrap_or_default());
        Some(snapshot.map(|snapshot| Self::Record(number, snapshot.record)))
    }
}

/// A record as a line for people; `names` are those of the tasks.
pub fn line(record: &Record, names: &[&str]) -> String {
    match record {
        Record::Task(of) => task(of),
        Record::Device(of) => device(of, names),
        Record::Smmu(of) => smmu(of),
        Record::Function(of) => function(of),
    }
}

fn task(task: &Task) -> String {
    let mut line = format!("task {}: {}", task.name.as_str(), state(task.state));
    line += &format!(", life {}", task.generation);
    if task.restarts != 0 {
        line += &format!(", started again {} times", task.restarts);
    }
    if let Some(fault) = fault(task.last_fault) {
        line += &format!(", died last of: {fault}");
    }
    if let Some(verdict) = verdict(task.verdict) {
        line += &format!(", {verdict}");
    }
    line
}

fn device(device: &Device, names: &[&str]) -> String {
    let mut line = format!("device {}: {}", device.name.as_str(), claim(device.claim));
    if let Some(task) = holder(device, names) {
        line += &format!(" by {task}");
    }
    for flag in device.flags() {
        line += &format!(", {flag}");
    }
    line += &format!(
        ", {} pages mapped, window of {} pages and {} blocks, {} leases pinned, {} faults, {} claims",
        device.mapped_pages,
        device.window_pages,
        device.window_blocks,
        device.pins,
        device.faults,
        device.claims
    );
    line
}

fn smmu(smmu: &Smmu) -> String {
    let adopted = if smmu.adopted { ", adopted" } else { "" };
    format!(
        "smmu {}: {}{adopted}, {} of {} events waiting, {} times events lost, room for {} commands",
        smmu.name.as_str(),
        used(smmu.used),
        smmu.events_waiting,
        smmu.events,
        smmu.lost,
        smmu.commands
    )
}

fn function(function: &Function) -> String {
    let mut line = format!(
        "function {}: {}",
        function.name.as_str(),
        found(function.found)
    );
    if let Some(reason) = reason(function.reason) {
        line += &format!(" ({reason})");
    }
    line += &format!(", {:04x}:{:04x}", function.vendor_id, function.device_id);
    if function.bus_master {
        line += ", bus master";
    }
    line + &format!(", quiesce: {}", quiesce(function.quiesce))
}

/// The name of the task that has a device.
pub fn holder(device: &Device, names: &[&str]) -> Option<String> {
    let task = device.task?;
    let name = names.get(usize::from(task));
    Some(name.map_or_else(|| format!("task {task}"), ToString::to_string))
}

/// What a task does, in a word.
pub fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Up => "up",
        TaskState::NeverStarted => "never-started",
        TaskState::Dead => "dead",
        TaskState::Held => "held",
        TaskState::Retired => "retired",
    }
}

/// The name of a kind of fault, in small letters; none of no fault.
pub fn fault(number: u16) -> Option<String> {
    match FaultKind::ALL.get(usize::from(number)) {
        Some(FaultKind::None) => None,
        None => Some(format!("fault-{number}")),
        Some(kind) => {
            let mut name = String::new();
            for letter in format!("{kind:?}").chars() {
                if letter.is_uppercase() && !name.is_empty() {
                    name.push('-');
                }
                name.extend(letter.to_lowercase());
            }
            Some(name)
        }
    }
}

/// A task's part of the verdict, in a word; none of a task that has none.
pub fn verdict(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::None => None,
        Verdict::Awaited => Some("awaited"),
        Verdict::Passed => Some("passed"),
        Verdict::Failed => Some("failed"),
    }
}

/// The state of a claim, in a word.
pub fn claim(claim: Claim) -> &'static str {
    match claim {
        Claim::Free => "free",
        Claim::Claiming => "claiming",
        Claim::Refusing => "refusing",
        Claim::Claimed => "claimed",
        Claim::Releasing => "releasing",
        Claim::Dying => "dying",
        Claim::HeldForever => "held-forever",
    }
}

/// What is done with an SMMU, in a word.
pub fn used(used: SmmuUse) -> &'static str {
    match used {
        SmmuUse::NotYet => "not-yet",
        SmmuUse::Refused => "refused",
        SmmuUse::Running => "running",
        SmmuUse::Broken => "broken",
    }
}

/// What was found of a function, in a word.
pub fn found(found: Found) -> &'static str {
    match found {
        Found::Ready => "ready",
        Found::Absent => "absent",
        Found::Blocked => "blocked",
    }
}

/// A difference from the plan, for people; none of no difference.
pub fn reason(number: u8) -> Option<String> {
    let name = |reason: Mismatch| reason.name().to_owned();
    let known = Mismatch::from_number(number);
    (number != 0).then(|| known.map_or_else(|| format!("difference {number}"), name))
}

/// How a quiesce went, in a word.
pub fn quiesce(quiesce: Quiesce) -> &'static str {
    match quiesce {
        Quiesce::Never => "never",
        Quiesce::Running => "running",
        Quiesce::Quiet => "quiet",
        Quiesce::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use status_api::Name;
    use userlib::packed;
    use userlib::protocol::Wire;

    fn written(record: Record) -> String {
        let bytes = packed::bytes(&Snapshot::new(1, record).to_words());
        let bytes = bytes.map(|byte| format!("{byte:02x}")).join(", ");
        format!("snapshot 3: [{bytes}]")
    }

    #[test]
    fn what_a_task_logs_is_read_back() {
        let device = Device {
            name: Name::new("edu0"),
            smmu: Some(0),
            claim: Claim::Claimed,
            task: Some(1),
            flags: Device::OPEN,
            mapped_pages: 2,
            window_pages: 512,
            window_blocks: 1,
            pins: 0,
            faults: 3,
            claims: 1,
        };
        let read = Told::read(&written(Record::Device(device.clone())));
        assert_eq!(
            read,
            Some(Ok(Told::Record(3, Record::Device(device.clone()))))
        );
        let text = "device edu0: claimed by driver, open, 2 pages mapped, window of 512 pages and 1 blocks, \
                    0 leases pinned, 3 faults, 1 claims";
        assert_eq!(
            line(&Record::Device(device), &["supervisor", "driver"]),
            text
        );
        let end = Told::read("snapshot 3 ends after 12 records");
        assert_eq!(end, Some(Ok(Told::End(3, 12))));
    }

    #[test]
    fn other_lines_and_other_versions() {
        for other in ["snapshots", "snapshot x: [01]", "a snapshot 3: [01]"] {
            assert_eq!(Told::read(other), None, "{other}");
        }
        for (bytes, why) in [
            ("[]", Unreadable::Malformed),
            ("[01, 02]", Unreadable::Malformed),
            ("[09, 02]", Unreadable::Version(9)),
            (
                "[01, 00, 00, 01, 0a, 00, 00, 00, 00]",
                Unreadable::Malformed,
            ),
        ] {
            let read = Told::read(&format!("snapshot 3: {bytes}"));
            assert_eq!(read, Some(Err(why)), "{bytes}");
        }
    }

    #[test]
    fn faults_and_differences_have_names() {
        assert_eq!(fault(0), None);
        assert_eq!(fault(2).as_deref(), Some("stack-overflow"));
        assert_eq!(fault(99).as_deref(), Some("fault-99"));
        assert_eq!(reason(0), None);
        assert_eq!(reason(1).as_deref(), Some("missing"));
        assert_eq!(reason(200).as_deref(), Some("difference 200"));
    }
}
