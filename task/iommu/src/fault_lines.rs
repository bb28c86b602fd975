//! Faults as lines of the log: accesses in a row become one line, and lines are limited.

use plan::NONE;
use smmu::{Event, EventKind};

use crate::indices::{DeviceIndex, TaskIndex};
use crate::limits::FAULT_LINES;
use crate::log::{FaultLine, Line};

/// Accesses that will be one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pending {
    device: Option<DeviceIndex>,
    owner: u32,
    event: Event,
    last: u64,
    count: u64,
}

/// Collects faults into lines.
#[derive(Debug, Default)]
pub struct FaultLines {
    pending: Option<Pending>,
    window_start: u64,
    lines: u32,
    omitted: u64,
}

/// How far apart two accesses of one line may be.
const NEAR: u64 = 4096;

impl FaultLines {
    /// Adds a fault of `device` (none: of a stream that no device has), claimed by `owner`. A line that it completes is given to `print`, with the device it is about.
    pub fn add(
        &mut self,
        device: Option<DeviceIndex>,
        owner: Option<TaskIndex>,
        event: &Event,
        now: u64,
        period: u64,
        print: impl FnMut(Option<DeviceIndex>, Line<'static>),
    ) {
        if let Some(pending) = &mut self.pending
            && pending.device == device
            && pending.event.stream == event.stream
            && pending.event.number == event.number
            && pending.event.read == event.read
            && pending.last.abs_diff(event.address) <= NEAR
        {
            pending.last = event.address;
            pending.count += 1;
            return;
        }
        self.finish(now, period, print);
        self.pending = Some(Pending {
            device,
            owner: owner.map_or(NONE, TaskIndex::number),
            event: *event,
            last: event.address,
            count: 1,
        });
    }

    /// Gives out what was collected.
    pub fn finish(
        &mut self,
        now: u64,
        period: u64,
        mut print: impl FnMut(Option<DeviceIndex>, Line<'static>),
    ) {
        if now.saturating_sub(self.window_start) > period {
            self.window_start = now;
            self.lines = 0;
            let count = core::mem::take(&mut self.omitted);
            if count > 0 {
                print(None, Line::FaultsOmitted { count });
            }
        }
        let Some(pending) = self.pending.take() else {
            return;
        };
        if self.lines >= FAULT_LINES {
            self.omitted += pending.count;
            return;
        }
        self.lines += 1;
        let event = pending.event;
        print(
            pending.device,
            Line::Fault(FaultLine {
                name: "",
                stream: event.stream,
                kind: event.kind,
                number: event.number,
                read: event.read && event.kind != EventKind::BadStreamId,
                iova: event.address,
                last: pending.last,
                count: pending.count,
                owner: pending.owner,
            }),
        );
    }

    /// Whether lines were left out that a later [`Self::finish`] will count.
    pub fn has_omitted(&self) -> bool {
        self.omitted > 0
    }
}
