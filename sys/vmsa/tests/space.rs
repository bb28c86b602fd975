//! Building of tables, for every granule and input size, against a plain map of pages.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vmsa::{
    AddressSpace, Arena, Attributes, Blocks, Granule, Half, MapError, Memory, Permissions, Regime,
    Tables,
};

const BASE: u64 = 0x8000_0000;
const SHAPES: [(Granule, &[u32]); 3] = [
    (Granule::Size4K, &[3, 2, 1]),
    (Granule::Size16K, &[3, 2]),
    (Granule::Size64K, &[3, 2]),
];
const INPUT_BITS: [u32; 6] = [32, 36, 40, 42, 44, 48];

fn attributes() -> Attributes {
    Attributes::new(
        Regime::Device,
        Memory::NormalWriteBack,
        Permissions::ReadWrite,
    )
    .unwrap()
}

fn words(tables: usize, granule: Granule) -> Vec<u64> {
    vec![0; tables * granule.page() as usize / 8]
}

fn for_every_shape(check: impl Fn(Granule, &[u32], u32, Half)) {
    for (granule, levels) in SHAPES {
        for bits in INPUT_BITS {
            for half in [Half::Lower, Half::Upper] {
                check(granule, levels, bits, half);
            }
        }
    }
}

#[test]
fn an_empty_space_translates_nothing() {
    for_every_shape(|granule, _, bits, half| {
        let mut words = words(2, granule);
        let mut arena = Arena::new(&mut words, BASE);
        let space = AddressSpace::new(&mut arena, granule, bits, half).unwrap();
        let middle = space.first() + (1 << (bits - 1));
        for address in [space.first(), space.first() + 42, middle, space.last()] {
            assert_eq!(space.translate(&arena, address), None);
        }
    });
}

#[test]
fn each_size_maps_translates_unmaps_and_maps_again() {
    for_every_shape(|granule, levels, bits, half| {
        for &level in levels {
            let mut words = words(4, granule);
            let mut arena = Arena::new(&mut words, BASE);
            let space = AddressSpace::new(&mut arena, granule, bits, half).unwrap();
            let size = granule.entry_size(level);
            let (input, output) = (space.first() + size, size * 3);
            let map = |arena: &mut Arena| {
                space.map(
                    arena,
                    input,
                    output,
                    size,
                    attributes(),
                    Blocks::WhereAligned,
                )
            };
            map(&mut arena).unwrap();
            for offset in [0, 42, size - 1] {
                let found = space.translate(&arena, input + offset).unwrap();
                assert_eq!(found.output, output + offset);
                assert_eq!(found.size, size);
                assert_eq!(found.attributes, attributes());
            }
            assert_eq!(space.translate(&arena, input - 1), None);
            assert_eq!(map(&mut arena), Err(MapError::Overlap { at: input }));
            assert_eq!(space.unmap(&mut arena, input, size), Ok(size));
            assert_eq!(space.translate(&arena, input + 42), None);
            assert_eq!(space.unmap(&mut arena, input, size), Ok(0));
            map(&mut arena).unwrap();
            let again = space.translate(&arena, input + 42).unwrap();
            assert_eq!(again.output, output + 42);
        }
    });
}

#[test]
fn the_last_largest_entry_of_the_space() {
    for_every_shape(|granule, levels, bits, half| {
        let mut words = words(4, granule);
        let mut arena = Arena::new(&mut words, BASE);
        let space = AddressSpace::new(&mut arena, granule, bits, half).unwrap();
        let size = granule.entry_size(*levels.last().unwrap());
        let input = space.last() - (size - 1);
        space
            .map(
                &mut arena,
                input,
                0,
                size,
                attributes(),
                Blocks::WhereAligned,
            )
            .unwrap();
        let found = space.translate(&arena, space.last()).unwrap();
        assert_eq!((found.output, found.size), (size - 1, size));
        assert_eq!(space.unmap(&mut arena, input, size), Ok(size));
        assert_eq!(space.translate(&arena, space.last()), None);
    });
}

/// Tables do not know the output size of whoever walks them: the highest memory of each size that is not below the
/// input size is reached by entries of every level.
#[test]
fn the_last_memory_of_every_output_size() {
    for_every_shape(|granule, levels, bits, half| {
        for output_bits in INPUT_BITS.into_iter().filter(|output| *output >= bits) {
            for &level in levels {
                let mut words = words(4, granule);
                let mut arena = Arena::new(&mut words, BASE);
                let space = AddressSpace::new(&mut arena, granule, bits, half).unwrap();
                let size = granule.entry_size(level);
                let (input, output) = (space.last() - (size - 1), (1 << output_bits) - size);
                let map = |arena: &mut Arena, output| {
                    let blocks = Blocks::WhereAligned;
                    space.map(arena, input, output, size, attributes(), blocks)
                };
                map(&mut arena, output).unwrap();
                let found = space.translate(&arena, space.last()).unwrap();
                assert_eq!((found.output, found.size), ((1 << output_bits) - 1, size));
                assert_eq!(space.unmap(&mut arena, input, size), Ok(size));
                assert_eq!(map(&mut arena, 1 << 48), Err(MapError::OutputRange));
                assert_eq!(space.translate(&arena, input), None);
            }
        }
    });
}

#[test]
fn blocks_are_used_only_when_asked_for_and_where_aligned() {
    let granule = Granule::Size4K;
    let mut words = words(2000, granule);
    let mut arena = Arena::new(&mut words, BASE);
    let space = AddressSpace::new(&mut arena, granule, 39, Half::Lower).unwrap();
    let block = granule.entry_size(2);
    let sizes = |space: &AddressSpace, arena: &Arena, input: u64| {
        space.translate(arena, input).map(|found| found.size)
    };
    space
        .map(&mut arena, 0, block, block, attributes(), Blocks::Never)
        .unwrap();
    assert_eq!(sizes(&space, &arena, 0), Some(4096));
    let (at, len) = (4 * block - 4096, 2 * block);
    space
        .map(&mut arena, at, at, len, attributes(), Blocks::WhereAligned)
        .unwrap();
    assert_eq!(sizes(&space, &arena, at), Some(4096));
    assert_eq!(sizes(&space, &arena, at + 4096), Some(block));
    assert_eq!(sizes(&space, &arena, at + len - 4096), Some(4096));
    // Equal alignment of both addresses is what counts.
    space
        .map(
            &mut arena,
            8 * block,
            4096,
            block,
            attributes(),
            Blocks::WhereAligned,
        )
        .unwrap();
    assert_eq!(sizes(&space, &arena, 8 * block), Some(4096));
}

#[test]
fn part_of_a_block_stays_mapped() {
    let granule = Granule::Size4K;
    let mut words = words(8, granule);
    let mut arena = Arena::new(&mut words, BASE);
    let space = AddressSpace::new(&mut arena, granule, 39, Half::Lower).unwrap();
    let block = granule.entry_size(2);
    space
        .map(
            &mut arena,
            block,
            0,
            block,
            attributes(),
            Blocks::WhereAligned,
        )
        .unwrap();
    for (from, len) in [
        (block, 4096),
        (block + 4096, block - 4096),
        (block + 8192, 4096),
    ] {
        assert_eq!(
            space.unmap(&mut arena, from, len),
            Err(MapError::PartOfBlock { at: block })
        );
    }
    assert!(space.translate(&arena, 2 * block - 1).is_some());
    assert_eq!(space.unmap(&mut arena, 0, 4 * block), Ok(block));
}

#[test]
fn a_failed_map_leaves_nothing() {
    let granule = Granule::Size4K;
    let mut words = words(3, granule);
    let mut arena = Arena::new(&mut words, BASE);
    let space = AddressSpace::new(&mut arena, granule, 39, Half::Lower).unwrap();
    let block = granule.entry_size(2);
    let result = space.map(
        &mut arena,
        block - 4096,
        0,
        8192,
        attributes(),
        Blocks::Never,
    );
    assert_eq!(result, Err(MapError::OutOfTables));
    assert_eq!(space.translate(&arena, block - 4096), None);
}

#[test]
fn wrong_arguments_are_named() {
    let granule = Granule::Size4K;
    let mut words = words(8, granule);
    let mut arena = Arena::new(&mut words, BASE);
    for bits in [0, 24, 49, 64] {
        let result = AddressSpace::new(&mut arena, granule, bits, Half::Lower);
        assert_eq!(result, Err(MapError::InputSize));
    }
    let space = AddressSpace::new(&mut arena, granule, 39, Half::Lower).unwrap();
    let mut map =
        |input, output, len| space.map(&mut arena, input, output, len, attributes(), Blocks::Never);
    assert_eq!(map(1, 0, 4096), Err(MapError::Alignment));
    assert_eq!(map(0, 1, 4096), Err(MapError::Alignment));
    assert_eq!(map(0, 0, 0), Err(MapError::Alignment));
    assert_eq!(map(0, 0, 4095), Err(MapError::Alignment));
    assert_eq!(map(1 << 39, 0, 4096), Err(MapError::InputRange));
    assert_eq!(map((1 << 39) - 4096, 0, 8192), Err(MapError::InputRange));
    assert_eq!(map(!0xfff, 0, 8192), Err(MapError::InputRange));
    assert_eq!(map(0, 1 << 48, 4096), Err(MapError::OutputRange));
    assert_eq!(map(0, !0xfff, 8192), Err(MapError::OutputRange));
    assert_eq!(map((1 << 39) - 4096, (1 << 48) - 4096, 4096), Ok(()));
}

#[test]
fn linked_leaf_tables_are_contiguous() {
    let granule = Granule::Size4K;
    let mut words = words(64, granule);
    let mut arena = Arena::new(&mut words, BASE);
    let space = AddressSpace::new(&mut arena, granule, 39, Half::Lower).unwrap();
    let (window, len) = (0x1_0000_0000, 32 * granule.entry_size(2));
    space.link(&mut arena, window, len, 2).unwrap();
    space.link(&mut arena, window, len, 3).unwrap();
    let first = space.entry(&arena, window, 3).unwrap();
    for page in 0..len / 4096 {
        assert_eq!(
            space.entry(&arena, window + page * 4096, 3),
            Some(first + page * 8)
        );
    }
    assert_eq!(space.entry(&arena, window + len, 3), None);
    let end = arena.end();
    space.link(&mut arena, window, len, 3).unwrap();
    assert_eq!(arena.end(), end);
    // What the owner of such a window does: an index and a store.
    let value = vmsa::leaf(granule, 3, 0x4000_0000, attributes());
    arena.write(first + 7 * 8, value);
    assert_eq!(
        space.translate(&arena, window + 7 * 4096).unwrap().output,
        0x4000_0000
    );
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Map {
        input: u64,
        output: u64,
        pages: u64,
        blocks: bool,
    },
    Unmap {
        input: u64,
        pages: u64,
    },
}

fn operations() -> impl Strategy<Value = Operation> {
    // Runs around the edges of two 2 MiB blocks, so that sizes, overlaps and parts of blocks all occur.
    let input = prop_oneof![
        0u64..16,
        504u64..520,
        1016u64..1032,
        Just(0u64),
        Just(512u64)
    ];
    let pages = prop_oneof![1u64..20, Just(512u64), Just(1024u64)];
    prop_oneof![
        (
            input.clone(),
            prop_oneof![Just(0u64), Just(512u64), 0u64..4096],
            pages.clone(),
            any::<bool>()
        )
            .prop_map(|(input, output, pages, blocks)| Operation::Map {
                input,
                output,
                pages,
                blocks
            }),
        (input, pages).prop_map(|(input, pages)| Operation::Unmap { input, pages }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn histories_agree_with_a_map_of_pages(operations in prop::collection::vec(operations(), 1..60)) {
        let granule = Granule::Size4K;
        let mut words = words(8, granule);
        let mut arena = Arena::new(&mut words, BASE);
        let space = AddressSpace::new(&mut arena, granule, 39, Half::Lower).unwrap();
        let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
        for operation in operations {
            match operation {
                Operation::Map { input, output, pages, blocks } => {
                    let blocks = if blocks { Blocks::WhereAligned } else { Blocks::Never };
                    let result = space.map(
                        &mut arena, input * 4096, output * 4096, pages * 4096, attributes(), blocks,
                    );
                    let taken = expected.range(input..input + pages).next();
                    match taken {
                        Some((&at, _)) => prop_assert_eq!(result, Err(MapError::Overlap { at: at * 4096 })),
                        None => {
                            prop_assert_eq!(result, Ok(()));
                            expected.extend((0..pages).map(|page| (input + page, output + page)));
                        }
                    }
                }
                Operation::Unmap { input, pages } => {
                    match space.unmap(&mut arena, input * 4096, pages * 4096) {
                        Ok(removed) => {
                            let before = expected.len();
                            expected.retain(|&page, _| page < input || page >= input + pages);
                            prop_assert_eq!(removed, (before - expected.len()) as u64 * 4096);
                        }
                        Err(MapError::PartOfBlock { at }) => {
                            let found = space.translate(&arena, at).unwrap();
                            prop_assert!(found.size > 4096);
                        }
                        Err(error) => prop_assert!(false, "{:?}", error),
                    }
                }
            }
            let edges = (0..40).chain(496..552).chain(1008..1064).chain(1500..1560).chain(2030..2100);
            for page in edges {
                let found = space.translate(&arena, page * 4096 + 5).map(|found| found.output);
                prop_assert_eq!(found, expected.get(&page).map(|output| output * 4096 + 5));
            }
        }
    }
}
