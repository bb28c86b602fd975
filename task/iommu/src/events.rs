//! The event queue, and what is kept of the faults of each device.

use heapless::Deque;
use iommu_api::FaultRecord;
use smmu::event::{EVENT_BYTES, EVENT_WORDS};
use smmu::registers::{EVENTQ_CONS, EVENTQ_PROD, GERROR, GERRORN, OVERFLOW_FLAG, gerror};
use smmu::{Event, QueueIndex};

use crate::hardware::Hardware;
use crate::limits::{EVENTS_PER_TURN, FAULTS_KEPT, STORM_FAULTS, STORM_PERIOD_NS};

/// The only reader of one event queue.
#[derive(Debug)]
pub struct EventQueue {
    /// Offset of the queue in table memory.
    offset: u64,
    log2: u32,
    consumer: QueueIndex,
    /// `OVFLG` as acknowledged.
    overflow: u64,
    /// The queue was seen full since `GERROR` was last looked at.
    seen_full: bool,
}

/// What one turn found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// Records are left for another turn.
    pub more: bool,
    /// Records were lost.
    pub lost: bool,
    /// That was reported as `GERROR.EVENTQ_ABT_ERR`.
    pub aborted: bool,
}

impl EventQueue {
    /// A queue of 2^`log2` records at `offset`; `consumer` and `producer` are the registers' values.
    pub fn new(offset: u64, log2: u32, consumer: u32, producer: u32) -> Self {
        Self {
            offset,
            log2,
            consumer: QueueIndex::new(consumer, log2),
            overflow: OVERFLOW_FLAG.get(u64::from(producer)),
            seen_full: false,
        }
    }

    /// Takes up to [`EVENTS_PER_TURN`] records, oldest first.
    ///
    /// Loss is reported in one of two ways: `OVFLG` in the producer index (§7.4), or
    /// `GERROR.EVENTQ_ABT_ERR` (§7.2.2; QEMU reports overflow so). The latter may also mean that accesses
    /// to the queue failed, and then its records are not to be trusted: they are, only if the queue was
    /// seen full.
    pub fn turn<H: Hardware>(&mut self, hardware: &mut H, mut take: impl FnMut(Event)) -> Turn {
        let mut turn = Turn::default();
        let acknowledged = hardware.read32(GERRORN);
        let active = hardware.read32(GERROR) ^ acknowledged;
        turn.aborted = gerror::EVENTQ_ABT_ERR.is_set32(active);
        let trusted = !turn.aborted || self.seen_full;
        self.seen_full = false;
        let mut left = EVENTS_PER_TURN;
        let mut first = true;
        loop {
            let raw = hardware.read32(EVENTQ_PROD);
            // The records that the index covers are read after it.
            hardware.acquire();
            let producer = QueueIndex::new(raw, self.log2);
            let size = 1 << self.log2;
            let mut waiting = producer.distance(self.consumer);
            self.seen_full |= waiting == size;
            let suspect = first && !trusted && waiting != size;
            if suspect || waiting > size {
                self.consumer = producer;
                waiting = 0;
                turn.lost = true;
            }
            let overflow = OVERFLOW_FLAG.get(u64::from(raw));
            let overflowed = overflow != self.overflow;
            turn.lost |= overflowed;
            self.overflow = overflow;
            let now = waiting.min(left);
            for _ in 0..now {
                take(self.read(hardware));
                self.consumer = self.consumer.advance(1);
            }
            left -= now;
            if now > 0 || overflowed || suspect {
                // The records have been read before their slots are given back.
                hardware.publish();
                let flag = OVERFLOW_FLAG.put(self.overflow) as u32;
                hardware.write32(EVENTQ_CONS, self.consumer.raw() | flag);
            }
            first = false;
            // A queue that was not seen empty again raises no interrupt for what arrived meanwhile (§3.18.2).
            turn.more = left == 0;
            if now == 0 || left == 0 {
                break;
            }
        }
        if turn.aborted {
            turn.lost = true;
            hardware.write32(GERRORN, acknowledged ^ gerror::EVENTQ_ABT_ERR.put32(1));
        }
        turn
    }

    fn read<H: Hardware>(&self, hardware: &mut H) -> Event {
        let at = self.offset + self.consumer.slot() * EVENT_BYTES;
        let mut words = [0; EVENT_WORDS];
        for (word, index) in words.iter_mut().zip(0u64..) {
            *word = hardware.load(at + index * 8);
        }
        Event::decode(words)
    }
}

/// What a recorded fault asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reaction {
    /// There is something new for the claimant.
    pub tell: bool,
    /// The device faults too often.
    pub storm: bool,
}

/// Faults of one device.
#[derive(Debug, Default)]
pub struct FaultLog {
    /// Faults since the server's start.
    pub total: u64,
    /// The last one.
    pub last: Option<Event>,
    kept: Deque<FaultRecord, FAULTS_KEPT>,
    lost: u64,
    window_start: u64,
    window_faults: u64,
}

impl FaultLog {
    /// Records a fault at `now`; `period` is [`STORM_PERIOD_NS`] in ticks.
    pub fn record(&mut self, event: &Event, now: u64, period: u64) -> Reaction {
        self.total += 1;
        self.last = Some(*event);
        if now.saturating_sub(self.window_start) > period {
            self.window_start = now;
            self.window_faults = 0;
        }
        self.window_faults += 1;
        let storm = self.window_faults == STORM_FAULTS;
        if let Some(newest) = self.kept.back_mut()
            && newest.event == event.number
            && newest.stream == event.stream
            && newest.read == event.read
            && newest.iova >> 12 == event.address >> 12
        {
            newest.count += 1;
            return Reaction { tell: false, storm };
        }
        let record = FaultRecord {
            event: event.number,
            read: event.read,
            stream: event.stream,
            iova: event.address,
            count: 1,
            lost: self.lost,
        };
        if self.kept.push_back(record).is_ok() {
            self.lost = 0;
        } else {
            self.lost += 1;
        }
        Reaction { tell: true, storm }
    }

    /// Notes that records were lost of which some may have been this device's.
    pub fn note_loss(&mut self) {
        self.lost += 1;
    }

    /// The oldest record, and it is forgotten; or one that says that some were lost.
    pub fn take(&mut self) -> Option<FaultRecord> {
        if let Some(record) = self.kept.pop_front() {
            return Some(record);
        }
        let lost = core::mem::take(&mut self.lost);
        (lost > 0).then_some(FaultRecord {
            lost,
            ..FaultRecord::default()
        })
    }

    /// Forgets what an earlier claimant did not fetch.
    pub fn begin_claim(&mut self) {
        self.kept.clear();
        self.lost = 0;
        self.window_faults = 0;
    }
}

/// Ticks of the storm window.
pub fn storm_period<H: Hardware>(hardware: &H) -> u64 {
    hardware.ticks(STORM_PERIOD_NS)
}
