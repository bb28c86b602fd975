//! Wrong contents, whatever is mapped and in full use.

use super::*;

/// Requests that are wrong by what they say, whatever is mapped.
fn wrong_by_content() -> Vec<(Operation, Vec<u64>, Error)> {
    use Error::{BadMemory, BadPermissions, BadRange, Malformed, NoLease, NoSpace};
    use Operation::{Map, MapLease, MapList, Unmap, UnmapList};
    let map = |first, pages, pool, flags, iova, error| {
        let words = [extent(first, pages), what(pool, flags), iova].to_vec();
        (Map, words, error)
    };
    let lease = |pages, lease, flags, iova, error| {
        let words = [extent(0, pages), what(lease, flags), iova, task(7).0].to_vec();
        (MapLease, words, error)
    };
    let list = |flags, iova, extents: &[u64], error| {
        (MapList, [&[what(0, flags), iova], extents].concat(), error)
    };
    let unmap = |iova, pages, error| (Unmap, [iova, pages].to_vec(), error);
    let unmaps = |extents: &[u64], error| (UnmapList, extents.to_vec(), error);
    let window = page(WINDOW);
    Vec::from([
        map(0, 0, 0, BOTH, 0, Malformed),
        map(0, 1, 0, BOTH, page(1), Malformed),
        map(0, 1, 9, BOTH, 0, BadMemory),
        map(0, 1, 0xffff, BOTH, 0, BadMemory),
        map(0, POOL_PAGES + 1, 0, BOTH, 0, BadMemory),
        map(POOL_PAGES, 1, 0, BOTH, 0, BadMemory),
        map(0xffff_ffff, 0xffff_ffff, 0, BOTH, 0, BadMemory),
        map(0, 1, 0, 0, 0, BadPermissions),
        map(0, 1, 0, 2, 0, BadPermissions),
        map(0, 16, 0, BOTH | BLOCK, 0, BadMemory),
        map(1, 512, 1, BOTH | BLOCK, 0, BadMemory),
        map(0, 1, 0, BOTH | FIXED, page(0) + 1, BadRange),
        map(0, 1, 0, BOTH | FIXED, page(0) - PAGE, BadRange),
        map(0, 1, 0, BOTH | FIXED, window, BadRange),
        map(0, 2, 0, BOTH | FIXED, window - PAGE, BadRange),
        map(0, 1, 0, BOTH | FIXED, u64::MAX - 4095, BadRange),
        map(0, 512, 1, BOTH | FIXED | BLOCK, BLOCKS + PAGE, BadRange),
        lease(0, 0, BOTH, 0, Malformed),
        lease(1, 0, BOTH, page(1), Malformed),
        lease(1, 0, BOTH | BLOCK, 0, Malformed),
        lease(1, 0, 0, 0, BadPermissions),
        lease(1, 0, BOTH | FIXED, page(WINDOW), BadRange),
        lease(WINDOW as u32 as u64 + 1, 0, BOTH, 0, NoSpace),
        lease(1, 1, READ, 0, NoLease),
        list(BOTH | BLOCK, 0, &[extent(0, 1)], Malformed),
        list(BOTH, page(1), &[extent(0, 1)], Malformed),
        list(BOTH, 0, &[extent(0, 1), extent(3, 0)], Malformed),
        list(BOTH, 0, &[extent(0, 1), extent(POOL_PAGES, 1)], BadMemory),
        list(2, 0, &[extent(0, 1)], BadPermissions),
        list(BOTH | FIXED, page(WINDOW - 1), &[extent(0, 2)], BadRange),
        list(BOTH, 0, &[extent(0, 16); 65], NoSpace),
        unmap(page(0), 0, Malformed),
        unmap(page(0) + 8, 1, BadRange),
        unmap(page(WINDOW), 1, BadRange),
        unmap(page(WINDOW - 1), 2, BadRange),
        unmap(page(0), u64::MAX, BadRange),
        unmap(BLOCKS, 1, BadRange),
        unmap(page(40), 1, Error::NotMapped),
        unmap(BLOCKS + (3 << 21), 512, Error::NotMapped),
        unmaps(&[extent(page(0) >> 12, 0)], Malformed),
        unmaps(&[extent(7, 1)], BadRange),
        unmaps(&[extent(page(40) >> 12, 1)], Error::NotMapped),
    ])
}

/// The same of exchanges.
fn wrong_exchanges() -> Vec<(Operation, Vec<u64>, Error)> {
    use Error::{BadMemory, BadPermissions, BadRange, Malformed};
    use Operation::{Exchange, ExchangeList};
    let exchange = |first, pages, pool, flags, iova, error| {
        let words = [extent(first, pages), what(pool, flags), iova].to_vec();
        (Exchange, words, error)
    };
    let exchanges = |pool, flags, words: &[u64], error| {
        (ExchangeList, [&[what(pool, flags)], words].concat(), error)
    };
    let beyond = replacement(POOL_PAGES, page(0));
    let window = page(WINDOW);
    Vec::from([
        exchange(0, 0, 0, BOTH, page(0), Malformed),
        exchange(0, 1, 0, BOTH | FIXED, page(0), Malformed),
        exchange(0, 512, 1, BOTH | BLOCK, BLOCKS, Malformed),
        exchange(0, 1, 9, BOTH, page(0), BadMemory),
        exchange(POOL_PAGES, 1, 0, BOTH, page(0), BadMemory),
        exchange(0xffff_ffff, 0xffff_ffff, 0, BOTH, page(0), BadMemory),
        exchange(0, 1, 0, 0, page(0), BadPermissions),
        exchange(0, 1, 0, 2, page(0), BadPermissions),
        exchange(0, 1, 0, BOTH, page(0) + 8, BadRange),
        exchange(0, 1, 0, BOTH, window, BadRange),
        exchange(0, 2, 0, BOTH, window - PAGE, BadRange),
        exchange(0, 512, 1, BOTH, BLOCKS, BadRange),
        exchange(0, 1, 0, BOTH, page(40), Error::NotMapped),
        exchanges(0, BOTH | FIXED, &[replacement(0, page(0))], Malformed),
        exchanges(0, BOTH | BLOCK, &[replacement(0, page(0))], Malformed),
        exchanges(9, BOTH, &[replacement(0, page(0))], BadMemory),
        exchanges(0, BOTH, &[replacement(0, page(0)), beyond], BadMemory),
        exchanges(0, 2, &[replacement(0, page(0))], BadPermissions),
        exchanges(0, BOTH, &[replacement(0, BLOCKS)], BadRange),
        exchanges(0, BOTH, &[replacement(0, window)], BadRange),
        exchanges(0, BOTH, &[replacement(0, page(40))], Error::NotMapped),
    ])
}

/// The same with what is mapped in full use.
fn wrong_in_full_use() -> Vec<(Operation, Vec<u64>, Error)> {
    use Error::{NotMapped, Overlap, PartOfLease, PinsExhausted};
    let fixed = |number| [extent(0, 1), what(0, BOTH | FIXED), page(number)].to_vec();
    let frame = |number| page(number) >> 12;
    Vec::from([
        (Operation::Map, fixed(0), Overlap),
        (Operation::Map, fixed(15), Overlap),
        (Operation::Map, fixed(16), Overlap),
        (
            Operation::MapList,
            [what(0, BOTH | FIXED), page(15), extent(0, 4)].to_vec(),
            Overlap,
        ),
        (
            Operation::Map,
            [extent(0, 512), what(1, BOTH | FIXED | BLOCK), BLOCKS].to_vec(),
            Overlap,
        ),
        (Operation::Unmap, [page(15), 2].to_vec(), PartOfLease),
        (Operation::Unmap, [page(16), 1].to_vec(), PartOfLease),
        (Operation::Unmap, [page(17), 1].to_vec(), PartOfLease),
        (Operation::Unmap, [page(15), 5].to_vec(), NotMapped),
        (
            Operation::UnmapList,
            [extent(frame(0), 2), extent(frame(1), 1)].to_vec(),
            NotMapped,
        ),
        (
            Operation::UnmapList,
            [extent(frame(3), 1), extent(frame(17), 1)].to_vec(),
            PartOfLease,
        ),
        (
            Operation::MapLease,
            [extent(0, 1), what(0, BOTH), 0, task(7).0].to_vec(),
            PinsExhausted,
        ),
        (
            Operation::Exchange,
            [extent(0, 2), what(0, BOTH), page(15)].to_vec(),
            PartOfLease,
        ),
        (
            Operation::ExchangeList,
            [
                what(0, BOTH),
                replacement(0, page(3)),
                replacement(1, page(17)),
            ]
            .to_vec(),
            PartOfLease,
        ),
        (
            Operation::ExchangeList,
            [
                what(0, BOTH),
                replacement(0, page(3)),
                replacement(1, page(3)),
            ]
            .to_vec(),
            NotMapped,
        ),
        (
            Operation::ExchangeList,
            [
                what(0, BOTH),
                replacement(0, page(3)),
                replacement(1, page(2)),
                replacement(1, page(3)),
            ]
            .to_vec(),
            NotMapped,
        ),
    ])
}

/// The claimant's own wrong requests get their code, or that of the state; anybody else's, in the same words, only
/// that they are nobody's.
fn try_all(at: &mut Scene, wrong: &[(Operation, Vec<u64>, Error)]) {
    let Some(mut edu) = at.current else {
        return;
    };
    for (operation, rest, error) in wrong {
        let number = at.rig.server.devices.slot(index(EDU)).sequence() + 1;
        let request = words(edu.handle, number, rest);
        for sender in others() {
            refused(at, sender, *operation, &request, Error::StaleHandle);
        }
        let error = at.blocked.unwrap_or(*error);
        refused(at, edu.id, *operation, &request, error);
        // It used up its number, and a repeat gets the same.
        refused(at, edu.id, *operation, &request, error);
        edu.sequence = number;
    }
}

#[test]
fn wrong_contents_are_refused_in_any_claim() {
    with_room(|| {
        for mut at in scenes() {
            at.rig.around.borrow_mut().lease = Some(lease());
            // The last page of the window is the last free one that a run of two would need.
            try_all(&mut at, &wrong_by_content());
            try_all(&mut at, &wrong_exchanges());
        }
    });
}

#[test]
fn what_is_mapped_is_not_mapped_over_nor_cut_in_full_use() {
    with_room(|| {
        for mut at in scenes() {
            let mapped = at.rig.server.devices.slot(index(EDU)).mapped();
            if mapped == 16 + 1024 + 2 {
                // One pin more than it has, and then none is left.
                if let (Some(mut edu), None) = (at.current, at.blocked) {
                    edu.sequence = at.rig.server.devices.slot(index(EDU)).sequence();
                    edu.map_lease(&mut at.rig, 1, MapFlags::READ).unwrap();
                }
                try_all(&mut at, &wrong_in_full_use());
            }
        }
    });
}
