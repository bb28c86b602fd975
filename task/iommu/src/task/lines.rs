//! The core's lines as text for people.

use iommu::log::{DeviceLine, DirectLine, FaultLine, Line, RefusalLine, SmmuLine};
use iommu::why::NotQuiet;
use userlib::config;
use userlib::defmt::{self, Format, Formatter};
use userlib::plan::NONE;
use userlib::plan::task::ReasonEntry;

/// A task by index.
struct Task(u32);

impl Format for Task {
    fn format(&self, f: Formatter<'_>) {
        match config::peer_name(self.0 as usize) {
            _ if self.0 == NONE => defmt::write!(f, "nobody"),
            "" => defmt::write!(f, "task {=u32}", self.0),
            name => defmt::write!(f, "{=str}", name),
        }
    }
}

/// Group and domain of a device, and why, as the build step decided.
struct Reason(u32);

impl Format for Reason {
    fn format(&self, f: Formatter<'_>) {
        let reasons = config::table::<ReasonEntry>();
        if let Some(entry) = reasons.iter().find(|r| r.device == self.0) {
            defmt::write!(
                f,
                "; group {=str}: {=str}",
                entry.group.as_str(),
                entry.reason.as_str()
            );
        }
    }
}

/// A reason, if there is one.
struct Because(Option<&'static str>);

impl Format for Because {
    fn format(&self, f: Formatter<'_>) {
        if let Some(why) = self.0 {
            defmt::write!(f, ": {=str}", why);
        }
    }
}

/// A device that a refusal is about: by name, or by the number that was asked for.
struct Asked<'a>(&'a str, u32);

impl Format for Asked<'_> {
    fn format(&self, f: Formatter<'_>) {
        match self.0 {
            "" => defmt::write!(f, "device {=u32}", self.1),
            name => defmt::write!(f, "{=str}", name),
        }
    }
}

/// The rest of a refusal's line, beside the reason: the device that is in the way, and how many refusals
/// there were.
struct Beside<'a>(&'a str, u64);

impl Format for Beside<'_> {
    fn format(&self, f: Formatter<'_>) {
        if !self.0.is_empty() {
            defmt::write!(f, " ({=str})", self.0);
        }
        if self.1 > 1 {
            defmt::write!(f, "; {=u64} refusals so far", self.1);
        }
    }
}

/// The range of a run of accesses.
struct Range(u64, u64, u64);

impl Format for Range {
    fn format(&self, f: Formatter<'_>) {
        match self.2 {
            1 => defmt::write!(f, "{=u64:#x}", self.0),
            count => defmt::write!(
                f,
                "{=u64:#x} to {=u64:#x}, {=u64} times",
                self.0,
                self.1,
                count
            ),
        }
    }
}

/// Prints a line.
pub fn print(line: Line<'_>) {
    match line {
        Line::Smmu(smmu) => runs(&smmu),
        Line::Identification { name, registers } => identifies(name, registers),
        Line::SmmuRefused { name, why } => {
            defmt::error!("{=str}: not used: {=str}", name, why.name());
        }
        Line::Device(device) => list(&device),
        Line::Direct(direct) => reaches(&direct),
        Line::AlwaysOpen { name } => defmt::info!("{=str}: open to its direct regions", name),
        Line::Claimed { name, owner } => {
            defmt::info!("{=str}: claimed by {}", name, Task(owner.index() as u32));
        }
        Line::Released { name, owner } => {
            defmt::info!("{=str}: released by {}", name, Task(owner.index() as u32));
        }
        Line::ClaimRefused(refusal) => refuses(&refusal),
        Line::Contained {
            name,
            owner,
            mapped,
        } => defmt::warn!(
            "{=str}: {} died with {=u64} pages mapped; cut off, being made quiet",
            name,
            Task(owner),
            mapped
        ),
        Line::Overdue { name } => {
            defmt::warn!(
                "{=str}: a dead task's pool was not given back in time",
                name
            );
        }
        Line::Lifted { name } => {
            defmt::info!("{=str}: quiet, nothing mapped, nothing held", name);
        }
        Line::Stuck { name, why } => defmt::error!(
            "{=str}: cannot be made quiet{}; what it could reach stays held",
            name,
            Because(why.map(NotQuiet::name))
        ),
        Line::StateLost { name, owner } => defmt::warn!(
            "{=str}: lost its state while pci was down; cut off, {} has to release it",
            name,
            Task(owner)
        ),
        Line::Fault(fault) => blocked(&fault),
        Line::FaultsOmitted { count } => {
            defmt::warn!("{=u64} more blocked accesses are not listed", count);
        }
        Line::Storm { name, faults } => defmt::error!(
            "{=str}: {=u64} faults; its stream is blocked until it is released",
            name,
            faults
        ),
        Line::EventsLost {
            name,
            times,
            aborted,
        } => lost(name, times, aborted),
        Line::GlobalError { name, bits } => {
            defmt::error!("{=str}: global error {=u32:#x}", name, bits);
        }
        Line::CommandError {
            name,
            code,
            command,
        } => replaced(name, code, command),
        Line::CommandTimeout { name } => {
            defmt::error!("{=str}: does not complete commands", name);
        }
        Line::Altered { name, what } => defmt::error!(
            "{=str}: not what this server wrote: {=str}; closed",
            name,
            what
        ),
    }
}

fn identifies(name: &str, [idr0, idr1, idr3, idr5, iidr, aidr]: [u32; 6]) {
    defmt::info!(
        "{=str}: IDR0 {=u32:#x}, IDR1 {=u32:#x}, IDR3 {=u32:#x}, IDR5 {=u32:#x}, IIDR {=u32:#x}, AIDR {=u32:#x}",
        name,
        idr0,
        idr1,
        idr3,
        idr5,
        iidr,
        aidr
    );
}

fn runs(smmu: &SmmuLine<'_>) {
    let features = smmu.features;
    defmt::info!(
        "{=str}: SMMUv3.{=u32}, stage {=str}, {=u32}-bit StreamIDs, {=u32}-bit output, {=str}; {=str}, reset bypass {=str}",
        smmu.name,
        features.minor,
        if features.stage2 { "1 (and 2)" } else { "1" },
        features.stream_bits,
        features.output_bits,
        if features.range_invalidation {
            "range invalidation"
        } else {
            "no range invalidation"
        },
        if smmu.adopted {
            "on as an earlier life left it"
        } else if smmu.always_open > 0 {
            "on, every stream aborts but those of devices with direct regions"
        } else {
            "on, every stream aborts"
        },
        if smmu.reset_bypass_closed {
            "closed"
        } else {
            "without a lock"
        },
    );
}

fn list(device: &DeviceLine<'_>) {
    defmt::info!(
        "{=str}: stream {=u32:#x}, owner {}, {=str}{}",
        device.name,
        device.stream,
        Task(device.owner),
        match (device.usable, device.absent) {
            (true, _) => "closed until claimed",
            (false, true) => "not there",
            (false, false) => "blocked",
        },
        Reason(device.device)
    );
}

fn reaches(direct: &DirectLine<'_>) {
    defmt::warn!(
        "{=str}: {=str} {=u64:#x} to {=u64:#x} {=str}",
        direct.name,
        if direct.pool { "pool" } else { "direct region" },
        direct.base,
        direct.base.wrapping_add(direct.len.wrapping_sub(1)),
        if direct.always_open {
            "reachable at any time: an exception to G1"
        } else {
            "not opened: the device is not as planned"
        }
    );
}

fn refuses(refusal: &RefusalLine<'_>) {
    defmt::warn!(
        "{}: claim by {} refused, {=str}: {=str}{}",
        Asked(refusal.name, refusal.device),
        Task(refusal.by),
        refusal.why.error().name(),
        refusal.why.name(),
        Beside(refusal.other, refusal.times)
    );
}

fn blocked(fault: &FaultLine<'_>) {
    let name = match fault.name {
        "" => "no device",
        name => name,
    };
    if fault.kind.has_access() {
        defmt::warn!(
            "blocked: {=str} (stream {=u32:#x}, {}) {=str} {}: {=str}",
            name,
            fault.stream,
            Task(fault.owner),
            if fault.read { "read" } else { "write" },
            Range(fault.iova, fault.last, fault.count),
            fault.kind.name()
        );
    } else {
        defmt::warn!(
            "blocked: {=str} (stream {=u32:#x}, {}): {=str} (event {=u8:#x}), {=u64} times",
            name,
            fault.stream,
            Task(fault.owner),
            fault.kind.name(),
            fault.number,
            fault.count
        );
    }
}

fn lost(name: &str, times: u64, aborted: bool) {
    let how = if aborted {
        " (reported as an aborted queue)"
    } else {
        ""
    };
    defmt::warn!(
        "{=str}: fault records lost, {=u64} times so far{=str}",
        name,
        times,
        how
    );
}

fn replaced(name: &str, code: u32, command: u64) {
    defmt::error!(
        "{=str}: refused command {=u64:#x} with code {=u32}; replaced, caches emptied",
        name,
        command,
        code
    );
}
