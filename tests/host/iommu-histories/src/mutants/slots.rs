//! Comparisons of a request with the slot of its claim.

use iommu_api::{Error, Extent, Operation, PAGE};

use super::other;
use crate::layout::POOLS;
use crate::sabotage::{Asked, Kind, Mistake, Mutant};
use smmu_model::Check;

const ANSWERED: &[Check] = &[Check::Protocol];

const fn request(name: &'static str, change: fn(&iommu::slot::Slot, &mut Asked)) -> Mutant {
    other(
        name,
        "Q1",
        ANSWERED,
        Kind::Message(Mistake::Request(change)),
    )
}
const fn answer(
    name: &'static str,
    rule: &'static str,
    change: fn(Operation, u32) -> u32,
) -> Mutant {
    other(name, rule, ANSWERED, Kind::Message(Mistake::Answer(change)))
}

/// 0 instead of one error.
const fn unless(code: u32, error: Error) -> u32 {
    if code == error as u32 { 0 } else { code }
}

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    request("sender-not-compared", |slot, asked| {
        asked.sender = slot.user();
    }),
    request("number-not-compared", |slot, asked| {
        let numbered = matches!(
            asked.operation,
            Operation::Map | Operation::Unmap | Operation::Exchange
        );
        if let Some(number) = asked.words.get_mut(1).filter(|_| numbered) {
            *number = slot.sequence().wrapping_add(1);
        }
    }),
    answer("revoked-is-served", "Q1", |_, code| {
        unless(code, Error::StreamBlocked)
    }),
    other(
        "pool-one-page-longer",
        "Q2",
        ANSWERED,
        Kind::Message(Mistake::Request(|slot, asked| {
            if asked.operation != Operation::Map || asked.words.len() != 5 {
                return;
            }
            let number = u32::from(asked.words[3] as u16);
            let pool = (slot.user().index(), number);
            let mut extent = Extent::from_word(asked.words[2]);
            for &(_, _, _, len) in POOLS.iter().filter(|own| (own.0, own.1) == pool) {
                let end = u64::from(extent.first) + u64::from(extent.pages);
                if end == len / PAGE + 1 && extent.first > 0 {
                    extent.first -= 1;
                }
            }
            asked.words[2] = extent.to_word();
        })),
    ),
    answer(
        "entry-not-looked-at",
        "Q3",
        |operation, code| match operation {
            Operation::Unmap | Operation::Exchange => unless(code, Error::NotMapped),
            _ => code,
        },
    ),
    answer("lease-cut", "Q4", |operation, code| match operation {
        Operation::Unmap | Operation::Exchange => unless(code, Error::PartOfLease),
        _ => code,
    }),
    answer(
        "lease-cut-by-list",
        "Q4",
        |operation, code| match operation {
            Operation::UnmapList | Operation::ExchangeList => unless(code, Error::PartOfLease),
            _ => code,
        },
    ),
    answer(
        "list-part-not-looked-at",
        "Q5",
        |operation, code| match operation {
            Operation::UnmapList | Operation::ExchangeList => unless(code, Error::NotMapped),
            Operation::MapList => unless(code, Error::BadMemory),
            _ => code,
        },
    ),
    answer(
        "lease-access-not-compared",
        "Q6",
        |operation, code| match operation {
            Operation::MapLease => unless(code, Error::BadPermissions),
            _ => code,
        },
    ),
    answer("window-without-end", "Q3", |_, code| {
        unless(code, Error::BadRange)
    }),
    other(
        "page-twice",
        "Q3",
        ANSWERED,
        Kind::Message(Mistake::Request(|_, asked| {
            let longest = asked.words.iter().skip(2).map(|word| word >> 32).max();
            if asked.operation == Operation::UnmapList && longest <= Some(PAGE) {
                let mut pages = std::collections::BTreeSet::new();
                let mut words = asked.words.iter().copied();
                let mut kept: Vec<u64> = words.by_ref().take(2).collect();
                for extent in words.map(Extent::from_word) {
                    let (first, end) = (extent.first, extent.first.wrapping_add(extent.pages));
                    let new = (first..end).filter(|page| pages.insert(*page));
                    kept.extend(new.map(|first| Extent { first, pages: 1 }.to_word()));
                }
                asked.words = kept;
            }
        })),
    ),
];
