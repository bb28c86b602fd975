//! What the server granted, and so what devices may reach.

mod lazy;

use smmu_model::{Check, Findings};
use smmu_model::{Flight, Model};

use plan::iommu::PremappedKind;

use super::layout::Machine;

/// A run of pages that the server said is mapped for a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// First input address.
    pub input: u64,
    /// First physical address.
    pub output: u64,
    /// Bytes.
    pub bytes: u64,
    /// Whether the device may write.
    pub write: bool,
}

impl Grant {
    fn contains(&self, input: u64, bytes: u64, output: u64, write: bool) -> bool {
        let Some(offset) = input.checked_sub(self.input) else {
            return false;
        };
        let room = self.bytes.saturating_sub(offset);
        bytes <= room && output == self.output + offset && (self.write || !write)
    }

    fn goes_on_with(&self, next: &Self) -> bool {
        next.input == self.input + self.bytes
            && next.output == self.output + self.bytes
            && next.write == self.write
    }
}

/// What the build step has mapped for a device, whether anybody has claimed it or not.
fn direct(machine: &'static Machine, device: usize) -> impl Iterator<Item = Grant> {
    let planned = machine.device(device);
    let mine = move |domain: u32| planned.is_some_and(|planned| planned.domain == domain);
    let ranges = machine
        .premapped
        .iter()
        .filter(move |range| mine(range.domain) && range.kind == PremappedKind::Direct as u32);
    ranges.map(|range| Grant {
        input: range.iova,
        output: range.pa,
        bytes: range.len,
        write: true,
    })
}

/// What a device can reach without a request while it is claimed: a pool that the build step has mapped, or
/// everything, where it is.
fn unasked(machine: &Machine, device: usize) -> Option<Grant> {
    if machine.bypasses(device) {
        return Some(Grant {
            input: 0,
            output: 0,
            bytes: u64::MAX,
            write: true,
        });
    }
    machine.pool_of(device).map(|range| Grant {
        input: range.iova,
        output: range.pa,
        bytes: range.len,
        write: true,
    })
}

/// Grants by device.
#[derive(Clone, Debug)]
pub struct Oracle {
    machine: &'static Machine,
    grants: Vec<Vec<Grant>>,
    /// Devices with a hold.
    held: Vec<bool>,
    /// What was unmapped when the server died: it may be reached until its successor has started.
    parted: Vec<Vec<Grant>>,
    /// By domain, what was unmapped and may be reached until the next flush: the oldest first.
    lazy: Vec<Vec<Parted>>,
}

/// A page that was unmapped in a lazy domain.
#[derive(Clone, Copy, Debug)]
struct Parted {
    device: usize,
    page: Grant,
    at: u64,
}

impl Oracle {
    /// Nothing is granted.
    #[must_use]
    pub fn new(machine: &'static Machine) -> Self {
        let devices = machine.devices.len();
        Self {
            machine,
            grants: vec![Vec::new(); devices],
            held: vec![false; devices],
            parted: vec![Vec::new(); devices],
            lazy: vec![Vec::new(); machine.windows.len()],
        }
    }

    /// Grants of a device.
    #[must_use]
    pub fn grants(&self, device: usize) -> &[Grant] {
        self.grants.get(device).map_or(&[], Vec::as_slice)
    }

    /// Somebody is held for a device.
    pub fn hold(&mut self, device: usize) {
        if let Some(held) = self.held.get_mut(device) {
            *held = true;
        }
    }

    /// What a device may use now though no request mapped it.
    #[must_use]
    pub fn unasked(&self, device: usize) -> Option<Grant> {
        let held = self.held.get(device).copied().unwrap_or(false);
        unasked(self.machine, device).filter(|_| held)
    }

    /// What a device may use now, whoever mapped it.
    pub fn usable(&self, device: usize) -> impl Iterator<Item = Grant> + '_ {
        let grants = self.grants(device).iter().copied();
        let direct = direct(self.machine, device);
        grants.chain(direct).chain(self.unasked(device))
    }

    /// The server mapped something.
    pub fn grant(&mut self, device: usize, grant: Grant) {
        self.flush_under(device, &grant);
        if let Some(grants) = self.grants.get_mut(device) {
            grants.push(grant);
        }
    }

    /// Something was mapped when the server died: it goes on where the last grant ends, or is one of its own.
    pub fn extend(&mut self, device: usize, leaf: Grant) {
        let Some(grants) = self.grants.get_mut(device) else {
            return;
        };
        match grants.last_mut().filter(|last| last.goes_on_with(&leaf)) {
            Some(last) => last.bytes += leaf.bytes,
            None => grants.push(leaf),
        }
    }

    /// Takes the pages that `gone` names, by their input address, out of a device's grants.
    pub fn part(&mut self, device: usize, gone: impl Fn(u64) -> bool) {
        for grant in self.grants(device).to_vec() {
            for page in (0..grant.bytes).step_by(4096) {
                let input = grant.input + page;
                if gone(input) {
                    self.revoke(device, input, 4096);
                    self.parted[device].push(Grant {
                        input,
                        output: grant.output + page,
                        bytes: 4096,
                        write: grant.write,
                    });
                }
            }
        }
    }

    /// The successor has started: what was unmapped is out of reach.
    pub fn forget_parted(&mut self) {
        self.parted.fill(Vec::new());
    }

    /// Whether an input address is granted to a device.
    #[must_use]
    pub fn is_granted(&self, device: usize, input: u64) -> bool {
        self.grants(device)
            .iter()
            .any(|grant| (grant.input..grant.input + grant.bytes).contains(&input))
    }

    /// The page of a device's grants that has an input address.
    #[must_use]
    pub fn page_at(&self, device: usize, input: u64) -> Option<Grant> {
        let mut grants = self.grants(device).iter();
        let of = grants.find(|grant| (grant.input..grant.input + grant.bytes).contains(&input))?;
        Some(Grant {
            input,
            output: of.output + (input - of.input),
            bytes: 4096,
            write: of.write,
        })
    }

    /// The server unmapped a run of input addresses; grants are cut where the run ends within one.
    pub fn revoke(&mut self, device: usize, input: u64, bytes: u64) {
        let Some(grants) = self.grants.get_mut(device) else {
            return;
        };
        let end = input + bytes;
        let mut kept = Vec::new();
        for grant in grants.drain(..) {
            let grant_end = grant.input + grant.bytes;
            if grant.input < input.min(grant_end) {
                let bytes = input.min(grant_end) - grant.input;
                kept.push(Grant { bytes, ..grant });
            }
            if grant_end > end.max(grant.input) {
                let from = end.max(grant.input);
                kept.push(Grant {
                    input: from,
                    output: grant.output + (from - grant.input),
                    bytes: grant_end - from,
                    ..grant
                });
            }
        }
        *grants = kept;
    }

    /// Nothing is granted to a device any more.
    pub fn clear(&mut self, device: usize) {
        if let Some(held) = self.held.get_mut(device) {
            *held = false;
        }
        if let Some(lazy) = self.lazy_of(device) {
            lazy.retain(|parted| parted.device != device);
        }
        if let Some(grants) = self.grants.get_mut(device) {
            grants.clear();
        }
    }

    fn granted_to(&self, device: usize, input: u64, bytes: u64, output: u64, write: bool) -> bool {
        self.grants(device)
            .iter()
            .copied()
            .chain(direct(self.machine, device))
            .chain(self.unasked(device))
            .any(|grant| grant.contains(input, bytes, output, write))
    }

    /// Whether some device with this stream may do it.
    fn granted(&self, stream: u32, input: u64, bytes: u64, output: u64, write: bool) -> bool {
        self.machine
            .devices
            .iter()
            .enumerate()
            .any(|(device, planned)| {
                planned.streams.contains(&stream)
                    && self.granted_to(device, input, bytes, output, write)
            })
    }

    /// The same of what may be reached, granted or not.
    fn within_reach(&self, stream: u32, input: u64, bytes: u64, output: u64, write: bool) -> bool {
        self.granted(stream, input, bytes, output, write)
            || (0..bytes).step_by(4096).all(|page| {
                let (input, output, here) = (input + page, output + page, bytes.min(4096));
                self.granted(stream, input, here, output, write)
                    || self.was_unmapped(stream, input, here, output, write)
            })
    }

    /// Whether an access goes to what was unmapped, and may still be within reach.
    fn was_unmapped(&self, stream: u32, input: u64, bytes: u64, output: u64, write: bool) -> bool {
        let fits = |grant: &Grant| grant.contains(input, bytes, output, write);
        let mut devices = self.machine.devices.iter().enumerate();
        devices.any(|(device, planned)| {
            let mut lazy = self.lazy.iter().flatten();
            planned.streams.contains(&stream)
                && (self.parted[device].iter().any(fits)
                    || lazy.any(|parted| parted.device == device && fits(&parted.page)))
        })
    }

    /// Whether a transaction goes to what was unmapped, and is not granted to another that shares the stream.
    #[must_use]
    pub fn goes_to_parted(&self, flight: &Flight) -> bool {
        let (stream, input, output) = (flight.stream, flight.input, flight.output);
        !self.granted(stream, input, 1, output, flight.write)
            && self.was_unmapped(stream, input, 1, output, flight.write)
    }

    /// G1 to G3: no stream can reach what was not granted. `started` says whether a device of that stream
    /// is bus master.
    pub fn audit(&self, model: &Model, started: impl Fn(u32) -> bool, findings: &mut Findings) {
        for &stream in self.machine.streams {
            let reachable = model.reachable(stream);
            if reachable.bypass && started(stream) && !self.may_bypass(stream) {
                findings.note(Check::Open, || {
                    format!("stream {stream:#x} bypasses translation")
                });
            }
            for run in reachable.runs {
                if !self.within_reach(stream, run.input, run.bytes, run.output, run.write) {
                    let check = if run.cached {
                        Check::Stale
                    } else {
                        Check::Reach
                    };
                    findings.note(check, || format!("stream {stream:#x} reaches {run:x?}"));
                } else if run.attribute != 0xff {
                    findings.note(Check::Attributes, || {
                        format!("stream {stream:#x}: memory type of {run:x?}")
                    });
                }
            }
        }
    }

    /// Whether a device of a stream is held, and not translated.
    fn may_bypass(&self, stream: u32) -> bool {
        self.machine
            .devices
            .iter()
            .enumerate()
            .any(|(device, planned)| {
                planned.streams.contains(&stream)
                    && self.machine.bypasses(device)
                    && self.unasked(device).is_some()
            })
    }

    /// Transactions reached memory: each where its device was allowed to.
    pub fn landed(&self, flights: &[Flight], findings: &mut Findings) {
        for flight in flights {
            // Members of an alias set cannot be told apart.
            if !self.within_reach(flight.stream, flight.input, 1, flight.output, flight.write) {
                findings.note(Check::Release, || format!("{flight:x?} landed"));
            }
        }
    }

    /// G5: the device is cut off, whatever it was granted.
    pub fn cut_off(&self, model: &Model, device: usize, findings: &mut Findings) {
        for &stream in self.machine.streams_of(device) {
            let reachable = model.reachable(stream);
            if reachable.untranslated || !reachable.runs.is_empty() {
                findings.note(Check::Containment, || {
                    format!("device {device} is not cut off: stream {stream:#x}, {reachable:x?}")
                });
            }
        }
    }

    /// G4, G5: memory at `output` is given back. Nobody may be able to reach it, and nothing on its way
    /// there may be left; but by what remains granted (`self`).
    pub fn released(
        &self,
        model: &Model,
        (output, bytes): (u64, u64),
        waits: bool,
        findings: &mut Findings,
    ) {
        let overlaps = |at: u64, len: u64| {
            at < output.saturating_add(bytes) && output < at.saturating_add(len)
        };
        for &stream in self.machine.streams {
            let reachable = model.reachable(stream);
            if reachable.untranslated && !self.may_bypass(stream) {
                findings.note(Check::Release, || {
                    format!("given back while stream {stream:#x} bypasses translation")
                });
            }
            for run in reachable.runs {
                let (input, output) = (run.input, run.output);
                let kept = self.granted(stream, input, run.bytes, output, run.write)
                    || waits && self.within_reach(stream, input, run.bytes, output, run.write);
                if overlaps(run.output, run.bytes) && !kept {
                    findings.note(Check::Release, || {
                        format!("given back while stream {stream:#x} reaches it: {run:x?}")
                    });
                }
            }
        }
        for flight in model.flights() {
            if overlaps(flight.output, 1)
                && !self.granted(flight.stream, flight.input, 1, flight.output, flight.write)
            {
                findings.note(Check::Release, || {
                    format!("given back with {flight:x?} under way")
                });
            }
        }
    }
}
