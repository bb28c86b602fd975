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

/// How much is taken at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// Up to [`EVENTS_PER_TURN`] records; they may arrive as fast as they are taken.
    Turn,
    /// All records that the queue holds now, however many.
    Recorded,
}

/// The records that one turn found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// Records are left for another turn.
    pub more: bool,
    /// Records were lost.
    pub lost: bool,
    /// A loss was reported as `GERROR.EVENTQ_ABT_ERR`.
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
    pub fn turn<H: Hardware>(&mut self, hardware: &mut H, take: impl FnMut(Event)) -> Turn {
        self.take(hardware, Share::Turn, take)
    }

    /// Records that wait; more than the queue has room for if the index makes no sense.
    pub fn waiting<H: Hardware>(&self, hardware: &mut H) -> u32 {
        let producer = QueueIndex::new(hardware.read32(EVENTQ_PROD), self.log2);
        producer.distance(self.consumer)
    }

    /// Whether nothing is recorded, and nothing was lost since the last look.
    pub fn is_idle<H: Hardware>(&mut self, hardware: &mut H) -> bool {
        let acknowledged = hardware.read32(GERRORN);
        let active = hardware.read32(GERROR) ^ acknowledged;
        let raw = hardware.read32(EVENTQ_PROD);
        let waiting = QueueIndex::new(raw, self.log2).distance(self.consumer);
        let idle = waiting == 0
            && OVERFLOW_FLAG.get(u64::from(raw)) == self.overflow
            && !gerror::EVENTQ_ABT_ERR.is_set32(active);
        if idle {
            // GERROR was looked at.
            self.seen_full = false;
        }
        idle
    }

    /// Takes a share of the records, oldest first.
    ///
    /// Loss is reported in one of two ways: `OVFLG` in the producer index (§7.4), or
    /// `GERROR.EVENTQ_ABT_ERR` (§7.2.2; QEMU reports overflow so). The latter may also mean that accesses
    /// to the queue failed, and then its records are not to be trusted: they are, only if the queue was
    /// seen full.
    pub fn take<H: Hardware>(
        &mut self,
        hardware: &mut H,
        share: Share,
        mut take: impl FnMut(Event),
    ) -> Turn {
        let mut turn = Turn::default();
        let acknowledged = hardware.read32(GERRORN);
        let active = hardware.read32(GERROR) ^ acknowledged;
        turn.aborted = gerror::EVENTQ_ABT_ERR.is_set32(active);
        let trusted = !turn.aborted || self.seen_full;
        self.seen_full = false;
        let mut left = match share {
            Share::Turn => EVENTS_PER_TURN,
            Share::Recorded => {
                let producer = QueueIndex::new(hardware.read32(EVENTQ_PROD), self.log2);
                producer.distance(self.consumer).min(1 << self.log2)
            }
        };
        let share = left;
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
                hardware.publish_after_loads();
                let flag = OVERFLOW_FLAG.put(self.overflow) as u32;
                hardware.write32(EVENTQ_CONS, self.consumer.raw() | flag);
            }
            first = false;
            // A queue that was not seen empty again raises no interrupt for what arrived meanwhile (§3.18.2).
            turn.more = left == 0 && share > 0;
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

/// The reaction that a recorded fault asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reaction {
    /// The claimant has to be told of something new.
    pub tell: bool,
    /// The device faults too often.
    pub storm: bool,
}

/// Faults of one device.
#[derive(Debug)]
pub struct FaultLog {
    /// Faults since the server's start.
    pub total: u64,
    /// The last one.
    pub last: Option<Event>,
    kept: Deque<FaultRecord, FAULTS_KEPT>,
    lost: u64,
    rate: Rate,
}

/// Parts of the storm window in which faults are counted apart.
const SLICES: usize = 8;

/// Faults within the last [`STORM_PERIOD_NS`], to a slice: a fault counts for at least the period, and at most for
/// an eighth longer, so that no [`STORM_FAULTS`] within a period go unnoticed wherever it begins.
#[derive(Debug)]
struct Rate {
    /// Faults of the slices of which the number, modulo the slices, is the index.
    slices: [u32; SLICES + 1],
    /// Number of the latest slice, since time 0.
    latest: u64,
}

impl Rate {
    const NONE: Self = Self {
        slices: [0; SLICES + 1],
        latest: 0,
    };

    /// One more at `now`: how many there were within a period.
    fn add(&mut self, now: u64, period: u64) -> u64 {
        let slice = now / (period / SLICES as u64).max(1);
        let passed = slice.saturating_sub(self.latest);
        let slots = self.slices.len() as u64;
        for gone in 0..passed.min(slots) {
            let slot = (slice - gone) % slots;
            if let Some(count) = self.slices.get_mut(slot as usize) {
                *count = 0;
            }
        }
        self.latest = self.latest.max(slice);
        if let Some(count) = self.slices.get_mut((self.latest % slots) as usize) {
            *count += 1;
        }
        self.slices.iter().map(|count| u64::from(*count)).sum()
    }
}

impl FaultLog {
    /// No faults.
    pub(crate) const EMPTY: Self = Self {
        total: 0,
        last: None,
        kept: Deque::new(),
        lost: 0,
        rate: Rate::NONE,
    };

    /// Records a fault at `now`; `period` is [`STORM_PERIOD_NS`] in ticks.
    pub fn record(&mut self, event: &Event, now: u64, period: u64) -> Reaction {
        self.total += 1;
        self.last = Some(*event);
        let storm = self.rate.add(now, period) >= STORM_FAULTS;
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
        self.rate = Rate::NONE;
    }
}

/// Ticks of the storm window.
pub fn storm_period<H: Hardware>(hardware: &H) -> u64 {
    hardware.ticks(STORM_PERIOD_NS)
}
