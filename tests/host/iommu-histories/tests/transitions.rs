//! Every change of a stream table entry that the server makes: what the SMMU can read in between, and
//! exactly what is invalidated.
//!
//! Between two completed invalidations the SMMU may read each word of an entry as it was at any moment of that
//! time (IHI 0070 G.b, 3.21.3). Whatever it puts together must equal the old or the new entry in every bit that
//! this entry uses.

use std::collections::BTreeSet;

use iommu::hardware::Hardware;
use iommu::queue::CommandQueue;
use iommu::stream;

type Entry = [u64; 8];

const ENTRIES: u64 = 0x1000;
const QUEUE: u64 = 0;
const LOG2: u32 = 4;
const CMDQ_PROD: usize = 0x98;
const CMDQ_CONS: usize = 0x9c;

/// Hardware that completes commands at once and remembers what was stored between completions.
#[derive(Default)]
struct Recorder {
    words: Vec<u64>,
    /// Stores to entries, by phase.
    phases: Vec<Vec<(u64, u64)>>,
    /// Opcodes of commands.
    commands: Vec<u64>,
    /// Streams named by CFGI_STE.
    streams: BTreeSet<u64>,
    unpublished: u64,
    consumer: u32,
}

impl Hardware for Recorder {
    fn read32(&mut self, register: usize) -> u32 {
        if register == CMDQ_CONS {
            self.consumer
        } else {
            0
        }
    }
    fn write32(&mut self, register: usize, value: u32) {
        if register != CMDQ_PROD {
            return;
        }
        assert_eq!(
            self.unpublished, 0,
            "stores not published before the producer index"
        );
        while self.consumer != value {
            let slot = u64::from(self.consumer % (1 << LOG2));
            let word = self.load(QUEUE + slot * 16);
            self.commands.push(word & 0xff);
            if word & 0xff == 0x03 {
                self.streams.insert(word >> 32);
            }
            self.consumer = (self.consumer + 1) % (2 << LOG2);
        }
        self.phases.push(Vec::new());
    }
    fn read64(&mut self, _: usize) -> u64 {
        0
    }
    fn write64(&mut self, _: usize, _: u64) {}
    fn load(&mut self, offset: u64) -> u64 {
        self.words.get(offset as usize / 8).copied().unwrap_or(0)
    }
    fn store(&mut self, offset: u64, value: u64) {
        self.unpublished += 1;
        if offset >= ENTRIES {
            self.phases.last_mut().unwrap().push((offset, value));
        }
        self.words[offset as usize / 8] = value;
    }
    fn publish(&mut self) {
        self.unpublished = 0;
    }
    fn acquire(&mut self) {}
    fn now(&mut self) -> u64 {
        0
    }
    fn ticks(&self, nanoseconds: u64) -> u64 {
        nanoseconds
    }
}

/// Bits of an entry that the SMMU looks at, by what the entry says (5.2).
fn used(entry: &Entry) -> Entry {
    let mut used = [0; 8];
    used[0] = 1;
    if entry[0] & 1 == 0 {
        return used;
    }
    used[0] |= 0b111 << 1;
    match entry[0] >> 1 & 7 {
        0b000..=0b011 => {}
        0b100 => used[1] = 0b11 << 44 | 0xff << 32 | 1 << 36,
        0b101 => {
            used[0] = u64::MAX;
            used[1] = 0xffff_ffff | 0xffff << 32 | 0xff << 44;
            used[2] = 0xffff;
        }
        _ => used = [u64::MAX; 8],
    }
    used
}

fn equal_in_use(entry: &Entry, wanted: &Entry) -> bool {
    let used = used(wanted);
    (0..8).all(|word| (entry[word] ^ wanted[word]) & used[word] == 0)
}

/// Entries that can be put together from the words as they were during a phase.
fn mixes(before: &Entry, stores: &[(usize, u64)]) -> Vec<Entry> {
    let mut mixes = vec![*before];
    for &(word, value) in stores {
        let mut more = mixes.clone();
        more.iter_mut().for_each(|entry| entry[word] = value);
        mixes.extend(more);
    }
    mixes
}

/// Whether the SMMU could read neither the old nor the new entry.
fn torn(before: &Entry, after: &Entry, phases: &[Vec<(usize, u64)>]) -> bool {
    let mut current = *before;
    phases.iter().any(|phase| {
        let torn = mixes(&current, phase)
            .iter()
            .any(|entry| !equal_in_use(entry, before) && !equal_in_use(entry, after));
        for &(word, value) in phase {
            current[word] = value;
        }
        torn
    })
}

fn abort(stall: bool) -> Entry {
    let mut entry = smmu::StreamTableEntry::abort(true).0;
    entry[1] = smmu::stream::attributes_word(true, stall);
    entry
}

fn stage1(context: u64, stall: bool) -> Entry {
    smmu::StreamTableEntry::stage1(context, true, stall).0
}

/// Entries the server leaves in the table, by name, and word 0 of those that are open: on parts with and without
/// stalls, for streams that can be let through untranslated and for others, whose word 1 differs.
fn entries(stall: bool, passes: bool) -> [(&'static str, Entry, Option<u64>); 4] {
    let word1 = |mut entry: Entry| {
        entry[1] |= smmu::stream::ste::SHCFG.put(passes.into());
        entry
    };
    let open = |name, entry: Entry| (name, word1(entry), Some(entry[0]));
    let mut bypass = abort(stall);
    bypass[0] = smmu::stream::bypass_word();
    [
        ("abort", word1(abort(stall)), None),
        open("stage 1, context A", stage1(0x4801_0000, stall)),
        open("stage 1, context B", stage1(0x4801_0040, stall)),
        open("bypass", bypass),
    ]
}

/// Every kind of part and stream.
const PARTS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

fn change(before: &Entry, to: Option<u64>, streams: u64) -> Recorder {
    let mut recorder = Recorder {
        words: vec![0; 0x2000 / 8],
        phases: vec![Vec::new()],
        ..Recorder::default()
    };
    let place = |stream: u64| ENTRIES + stream * 64;
    for stream in 0..streams {
        for (word, &value) in before.iter().enumerate() {
            recorder.words[(place(stream) / 8) as usize + word] = value;
        }
    }
    let mut queue = CommandQueue::new(QUEUE, LOG2, 0);
    let list = (0..streams).map(|stream| (stream as u32, place(stream)));
    match to {
        Some(word) => stream::open(&mut recorder, &mut queue, list, word, 7).unwrap(),
        None => stream::close(&mut recorder, &mut queue, list, 7).unwrap(),
    }
    recorder
}

#[test]
fn every_transition_is_old_or_new_throughout() {
    for (stall, passes) in PARTS {
        for (from, before, _) in entries(stall, passes) {
            for (to, after, open) in entries(stall, passes) {
                for streams in 1..4 {
                    let recorder = change(&before, open, streams);
                    for stream in 0..streams {
                        let place = ENTRIES + stream * 64;
                        let of_stream = |stores: &Vec<(u64, u64)>| {
                            let own = stores
                                .iter()
                                .filter(|(at, _)| (place..place + 64).contains(at));
                            own.map(|&(at, value)| (((at - place) / 8) as usize, value))
                                .collect()
                        };
                        let phases: Vec<Vec<(usize, u64)>> =
                            recorder.phases.iter().map(of_stream).collect();
                        assert!(!torn(&before, &after, &phases), "{from} to {to}");
                        let first = (place / 8) as usize;
                        assert_eq!(recorder.words[first..first + 8], after, "{from} to {to}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_transition_invalidates_exactly() {
    for (from, before, _) in entries(false, true) {
        for (to, _, open) in entries(false, true) {
            for streams in 1..4 {
                let recorder = change(&before, open, streams);
                // CFGI_STE for each StreamID; SYNC; TLBI_NH_ASID; SYNC.
                let mut expected = vec![0x03; streams as usize];
                expected.extend([0x46, 0x11, 0x46]);
                assert_eq!(recorder.commands, expected, "{from} to {to}");
                assert_eq!(recorder.streams.len() as u64, streams, "{from} to {to}");
                let last = recorder.phases.last().unwrap();
                assert_eq!(*last, [], "stores after the last SYNC, {from} to {to}");
            }
        }
    }
}

#[test]
fn the_rule_finds_a_torn_entry() {
    // Both words in one phase: word 0 of the new entry can be read with word 1 of the old one.
    let mut before = abort(false);
    before[1] = 0;
    let after = stage1(0x4801_0000, false);
    let both = vec![vec![(1, after[1]), (0, after[0])]];
    assert!(torn(&before, &after, &both));
    let apart = vec![vec![(1, after[1])], vec![(0, after[0])]];
    assert!(!torn(&before, &after, &apart));
    // From one context to another through V=0 is not hitless: the invalid entry is neither.
    let (a, b) = (stage1(0x4801_0000, false), stage1(0x4801_0040, false));
    let through_invalid = vec![vec![(0, 0)], vec![(0, b[0])]];
    assert!(torn(&a, &b, &through_invalid));
    assert!(!torn(&a, &b, &[vec![(0, b[0])]]));
}
