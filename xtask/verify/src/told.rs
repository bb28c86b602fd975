//! What every task reads of itself: whom it may call, its bits, where its memory and its devices are, its parameters.

use std::collections::BTreeSet;

use crate::Verified;
use crate::blob::{Blob, Record, kind};
use crate::expected::{Device, Parameter, Plan, Task};
use crate::image::Image;
use crate::spaces::Spaces;

/// The number of a task where there is none.
const NONE: u32 = u32::MAX;
const SUPERVISOR: usize = 0;
/// The bit by which every task wakes the one that reads logs, and its name.
const LOG: (&str, u32) = ("log", 1);
/// The frame of the interrupt translation service to which messages are written (GICv3), from its first.
const MESSAGES: u64 = 64 << 10;
/// The address in a value for `TTBR0_EL1`.
const TABLE: u64 = 0x0000_ffff_ffff_fffe;
const KINDS: [(&str, u32); 10] = [
    ("registers", 0),
    ("pool", 1),
    ("log-ring", 2),
    ("smmu-tables", 3),
    ("pci-configuration", 4),
    ("persistent", 5),
    ("quiesce-bar", 6),
    ("pci-record", 7),
    ("its-memory", 8),
    ("message-table", 9),
];
/// The flag of a pool that a device that does not snoop can be given.
const NON_COHERENT: u32 = 1;
const BARS: usize = 6;

/// Compares every record with `plan.json`.
pub fn check(image: &Image<'_>, plan: &Plan, spaces: &Spaces, verified: &mut Verified) {
    for (index, (task, place)) in plan.tasks.iter().zip(&spaces.plans).enumerate() {
        let whose = format!("task {}", task.name);
        verified
            .addresses
            .task_plans
            .push(place.unwrap_or_default());
        let blob = match Blob::new(image.plan(*place), &whose) {
            Ok(blob) => blob,
            Err(why) => {
                verified.say(why);
                continue;
            }
        };
        let of = Told {
            plan,
            spaces,
            index,
            task,
        };
        let rows = |kind, row: fn(&Record<'_>) -> Row| -> Vec<Row> {
            blob.table(kind).iter().map(row).collect()
        };
        for (what, told, planned) in [
            ("it is told of itself", rows(kind::OWN, own), vec![of.own()]),
            (
                "it is told of the tasks",
                rows(kind::PEER, peer),
                of.peers(),
            ),
            (
                "it is told of the bits",
                rows(kind::NOTIFICATION, peer),
                of.bits(),
            ),
            (
                "it is told of the memory",
                rows(kind::MAPPING, mapping),
                of.memory(),
            ),
            (
                "it is told of its devices",
                rows(kind::DRIVEN, driven),
                of.devices(),
            ),
            (
                "it is told of the parameters",
                rows(kind::PARAMETER, parameter),
                of.parameters(),
            ),
            (
                "it can say of devices",
                rows(kind::REASON, reason),
                of.reasons(),
            ),
        ] {
            verified.compare_rows(&whose, what, Some(&told), &planned);
        }
    }
}

/// The names in a record, and its numbers in order.
type Row = (Vec<String>, Vec<Option<u64>>);

fn words(record: &Record<'_>, at: &[usize]) -> Vec<Option<u64>> {
    let words = at.iter();
    words.map(|at| Some(u64::from(record.u32(*at)))).collect()
}

fn own(record: &Record<'_>) -> Row {
    (vec![record.name()], words(record, &[24, 28, 32, 36]))
}

/// A peer, and a notification, too: a name and two numbers.
fn peer(record: &Record<'_>) -> Row {
    (vec![record.name()], words(record, &[24, 28]))
}

fn mapping(record: &Record<'_>) -> Row {
    let mut numbers = vec![Some(record.u64(24)), Some(record.u64(32))];
    numbers.extend(words(record, &[40, 44, 48, 52]));
    (vec![record.name()], numbers)
}

fn driven(record: &Record<'_>) -> Row {
    let mut numbers = words(record, &[24, 28, 32, 36]);
    let bars = (0..2 * BARS).map(|bar| Some(record.u64(40 + 8 * bar)));
    numbers.extend(bars);
    (vec![record.name()], numbers)
}

fn parameter(record: &Record<'_>) -> Row {
    (vec![record.name()], vec![Some(record.u64(24))])
}

fn reason(record: &Record<'_>) -> Row {
    let names = vec![
        record.name_at(8),
        record.name_at(32),
        record.text(56, REASON),
    ];
    (names, words(record, &[0, 4]))
}

/// Bytes of a reason.
const REASON: usize = 96;

struct Told<'a> {
    plan: &'a Plan,
    spaces: &'a Spaces,
    index: usize,
    task: &'a Task,
}

impl Told<'_> {
    fn numbers(&self, numbers: &[u32]) -> Vec<Option<u64>> {
        let numbers = numbers.iter();
        numbers.map(|number| Some(u64::from(*number))).collect()
    }

    fn log_task(&self) -> u32 {
        let log = self.plan.tasks.iter().find(|task| task.reads_logs);
        log.and_then(|log| self.plan.task(&log.name))
            .unwrap_or(NONE)
    }

    fn own(&self) -> Row {
        let log = u32::try_from(self.task.log).unwrap_or(NONE);
        let numbers = [self.index as u32, SUPERVISOR as u32, self.log_task(), log];
        (vec![self.task.name.clone()], self.numbers(&numbers))
    }

    /// The tasks that the task calls or posts, and those that call or post it; all tasks for the supervisor, the task
    /// that reads logs and the authority.
    fn peers(&self) -> Vec<Row> {
        let all = self.index == SUPERVISOR || self.task.reads_logs || self.task.dma_authority;
        let posts = |from: &Task, to: &Task| {
            let mut posts = from.posts.iter().filter_map(|post| post.split_once('.'));
            to.reads_logs || posts.any(|(task, _)| task == to.name)
        };
        let related = |other: &Task| {
            let calls = self.task.calls.contains(&other.name);
            let called = other.calls.contains(&self.task.name);
            all || calls || called || posts(self.task, other) || posts(other, self.task)
        };
        let others = self.plan.tasks.iter().enumerate();
        others
            .filter(|(index, other)| *index != self.index && related(other))
            .map(|(index, other)| {
                let may_send = u32::from(self.task.calls.contains(&other.name));
                let numbers = self.numbers(&[index as u32, may_send]);
                (vec![other.name.clone()], numbers)
            })
            .collect()
    }

    /// The task's own bits and those that it may post, by the number of the task that has them; then its interrupts.
    fn bits(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (index, other) in self.plan.tasks.iter().enumerate() {
            let own = index == self.index;
            let log = other.reads_logs.then_some(LOG);
            let named = other.notifications.iter().enumerate();
            let named = named.map(|(place, name)| {
                let shift = place as u32 + u32::from(other.reads_logs);
                (name.as_str(), 1u32.checked_shl(shift).unwrap_or(0))
            });
            for (name, bit) in log.into_iter().chain(named) {
                let post = format!("{}.{name}", other.name);
                if own || (name, bit) == LOG && other.reads_logs || self.task.posts.contains(&post)
                {
                    let numbers = self.numbers(&[index as u32, bit]);
                    rows.push((vec![name.to_owned()], numbers));
                }
            }
        }
        let lines = self.plan.interrupts.iter();
        rows.extend(
            lines
                .filter(|line| line.task == self.task.name)
                .map(|line| {
                    let numbers = vec![Some(self.index as u64), Some(line.bit)];
                    (vec![line.notification.clone()], numbers)
                }),
        );
        rows
    }

    fn memory(&self) -> Vec<Row> {
        let ranges = self.task.memory.iter().filter_map(|range| {
            let (_, kind) = KINDS.iter().find(|(what, _)| *what == range.what)?;
            let writer = match range.what.as_str() {
                "log-ring" => self.plan.task(&range.name).unwrap_or(NONE - 1),
                _ => NONE,
            };
            let apart = range.what == "pool" && self.hands_over();
            let flags = if apart { NON_COHERENT } else { 0 };
            let mut numbers = vec![Some(range.input), Some(range.bytes)];
            numbers.extend(self.numbers(&[*kind, writer, flags, 0]));
            Some((vec![range.name.clone()], numbers))
        });
        ranges.collect()
    }

    /// A device of its own, or of a task that it calls, shares a domain with one that does not look into the caches.
    fn hands_over(&self) -> bool {
        let members = self.plan.groups.iter().flat_map(|group| &group.devices);
        let apart: BTreeSet<&str> = members
            .filter(|member| !member.coherent)
            .map(|member| member.name.as_str())
            .collect();
        let devices = || self.plan.devices();
        let domains: BTreeSet<usize> = devices()
            .filter(|device| apart.contains(device.name.as_str()))
            .filter_map(|device| device.domain)
            .collect();
        let mut in_them = devices().filter(|device| {
            let domain = device.domain;
            domain.is_some_and(|domain| domains.contains(&domain))
        });
        in_them.any(|device| {
            let owner = device.owner();
            owner.is_some_and(|owner| {
                owner == self.task.name || self.task.calls.iter().any(|called| called == owner)
            })
        })
    }

    fn devices(&self) -> Vec<Row> {
        let devices = self.plan.devices().enumerate();
        devices
            .filter(|(_, device)| self.task.drives.contains(&device.name))
            .map(|(number, device)| {
                let block = device.registers.as_deref();
                let lines_of = match device.function {
                    Some(_) => Some(device.name.as_str()),
                    None => block,
                };
                let lines = self.plan.interrupts.iter();
                let lines = lines.filter(|line| {
                    line.task == self.task.name && Some(line.device.as_str()) == lines_of
                });
                let vectors = lines.clone().filter(|line| line.message.is_some()).count();
                let line = lines.clone().next().map_or(0, |line| line.bit);
                let bits = match vectors {
                    0 => line,
                    _ => lines.fold(0, |bits, line| bits | line.bit),
                };
                let id = device
                    .function
                    .as_ref()
                    .map_or(Some(0), |f| identity(&f.id));
                let mut numbers = vec![Some(number as u64), Some(bits), id, Some(vectors as u64)];
                let bars = self.bars(device, block);
                numbers.extend(bars.iter().map(|(at, _)| Some(*at)));
                numbers.extend(bars.iter().map(|(_, bytes)| Some(*bytes)));
                (vec![device.name.clone()], numbers)
            })
            .collect()
    }

    /// Where each BAR is mapped, and its bytes; of a device that is not on PCI its block of registers.
    fn bars(&self, device: &Device, block: Option<&str>) -> [(u64, u64); BARS] {
        let mut bars = [(0, 0); BARS];
        let mut ranges = self.task.memory.iter();
        match device.function {
            Some(_) => {
                for bar in &device.bars {
                    let mut mapped = self.task.memory.iter();
                    let seen_at = self.plan.board.seen_at(bar.address);
                    let mapped =
                        mapped.find(|range| range.what == "bar" && range.address == seen_at);
                    if let (Some(mapped), Some(place)) = (mapped, bars.get_mut(bar.bar)) {
                        *place = (mapped.input, bar.bytes);
                    }
                }
            }
            None => {
                let own = ranges
                    .find(|range| range.what == "registers" && Some(range.name.as_str()) == block);
                if let Some(own) = own {
                    bars[0] = (own.input, own.bytes);
                }
            }
        }
        bars
    }

    fn parameters(&self) -> Vec<Row> {
        let all = self.task.parameters.iter();
        all.map(|parameter| (vec![parameter.name.clone()], vec![self.value(parameter)]))
            .collect()
    }

    /// The value of a parameter; none if what it is of is not there.
    fn value(&self, parameter: &Parameter) -> Option<u64> {
        let of = parameter.of.as_deref();
        let board = &self.plan.board;
        match parameter.is.as_str() {
            "number" | "nanoseconds" => parameter.number,
            "device" => {
                let mut devices = self.plan.devices();
                Some(devices.position(|device| Some(device.name.as_str()) == of)? as u64)
            }
            "console" => Some(board.console_access.as_ref()?.word()),
            "kernel" => Some(self.plan.memory.image),
            "its" => Some(board.interrupt_controller.as_ref()?.its()? + MESSAGES),
            "registers" => {
                let mut blocks = board.registers.iter();
                Some(blocks.find(|block| Some(block.name.as_str()) == of)?.base)
            }
            "page-table" => {
                let task = self.plan.task(of?)? as usize;
                Some(self.spaces.roots.get(task)? & TABLE)
            }
            "pool" => {
                let (task, pool) = of?.split_once('.')?;
                let task = self.plan.tasks.get(self.plan.task(task)? as usize)?;
                let mut ranges = task.memory.iter();
                let pool = ranges.find(|range| range.what == "pool" && range.name == pool)?;
                Some(pool.address)
            }
            _ => None,
        }
    }

    /// Why each device has its domain, for the tasks that tell people: the supervisor, the authority and the PCI task.
    fn reasons(&self) -> Vec<Row> {
        let mut ranges = self.task.memory.iter();
        let serves =
            ranges.any(|range| matches!(range.what.as_str(), "pci-configuration" | "smmu-tables"));
        if self.index != SUPERVISOR && !serves {
            return Vec::new();
        }
        let devices = self.plan.devices().zip(0..);
        devices
            .map(|(device, number)| {
                let names = vec![
                    device.name.clone(),
                    device.group.clone(),
                    cut(&device.reason),
                ];
                (names, self.numbers(&[number, 0]))
            })
            .collect()
    }
}

/// Cuts a text to what its place takes.
fn cut(text: &str) -> String {
    let mut end = text.len().min(REASON);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// Vendor in the low half, device above.
fn identity(id: &str) -> Option<u64> {
    let (vendor, device) = id.split_once(':')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(number(vendor)? | number(device)? << 16)
}
