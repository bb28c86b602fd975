//! Page tables of the domains: what the image maps in them, and that the IOMMU server writes where they are.

use super::places::Places;
use super::streams::AlwaysOpen;
use super::{Tables, context, records::at};
use crate::Verified;
use crate::blob::Record;
use crate::expected::{Domain, Shown, shown};
use crate::leaf::{Leaf, Regime};
use crate::run::{Run, differences};
use crate::walk::{Tree, walk};

const PAGE: u64 = 4096;
const BLOCK: u64 = 2 << 20;
const GIB: u64 = 1 << 30;
/// Addresses of devices have 39 bits.
const IOVA_END: u64 = 1 << 39;
/// Sizes of output addresses, by their code.
const OUTPUT_BITS: [u32; 7] = [32, 36, 40, 42, 44, 48, 52];
/// The mark of leaves that the build step makes: the server neither counts nor removes them.
const PREMAPPED: u64 = 15;

/// Walks every domain from its context descriptor.
pub fn check(
    tables: &Tables<'_>,
    always_open: &AlwaysOpen,
    places: &mut Places,
    verified: &mut Verified,
) {
    for (record, domain) in tables.domains() {
        let whose = domain.to_string();
        let at = tables
            .place
            .address
            .wrapping_add(record.u64(at::DOMAIN_CONTEXT));
        verified.addresses.contexts.push((domain.asid, at));
        places.add(at, 64, format!("the context descriptor of {whose}"));
        let context = tables.eight(at).ok_or("is outside of the tables' memory");
        match context.and_then(|words| context::decode(&words)) {
            Ok(context) => one(tables, (record, domain), context, places, verified),
            Err(why) => verified.say(format!("{whose}: its context descriptor {why}")),
        }
        verified.domains += 1;
        for (stream, context) in always_open {
            let planned = tables.plan.always_open(tables.smmu, *stream);
            if planned.is_some_and(|planned| std::ptr::eq(planned, domain)) && *context != at {
                verified.say(format!(
                    "stream {stream:#x} translates by another table than that of {whose}"
                ));
            }
        }
    }
}

fn one(
    tables: &Tables<'_>,
    (record, domain): (&Record<'_>, &Domain),
    context: context::Context,
    places: &mut Places,
    verified: &mut Verified,
) {
    let whose = domain.to_string();
    let fetch = if tables.smmu.coherent {
        context::COHERENT_WALK
    } else {
        0
    };
    let said = (context.asid, context.mair, context.walk, context.output);
    let output = OUTPUT_BITS
        .iter()
        .position(|bits| *bits == tables.smmu.address_bits);
    let output = output.map_or(u64::MAX, |code| code as u64);
    let planned = (domain.asid, tables.image.header.mair, fetch, output);
    verified.compare(&whose, "its context descriptor says", &said, &planned);
    if context.root
        != tables
            .place
            .address
            .wrapping_add(record.u64(at::DOMAIN_ROOT))
    {
        verified.say(format!(
            "{whose}: the IOMMU server is told of another root table"
        ));
    }
    let tree = walk(tables.image, context.root, 0, context.bits);
    verified.tables += tree.tables.len();
    for wrong in &tree.wrong {
        verified.say(format!("{whose}: {wrong}"));
    }
    for &table in tree.tables.keys() {
        if !tables.place.has(table) || !tables.place.has(table.saturating_add(PAGE - 1)) {
            verified.say(format!(
                "{whose}: the table at {table:#x} is outside of the SMMU's memory"
            ));
        }
        places.add(table, PAGE, format!("a table of {whose}"));
    }
    let found = tree
        .leaves
        .iter()
        .filter_map(|leaf| access(tables, &whose, *leaf, verified))
        .collect();
    let planned = domain.premapped.iter().map(|range| Run {
        input: range.iova,
        output: range.address,
        len: range.bytes,
        access: Shown(&range.access),
    });
    for line in differences(&whose, found, planned.collect()) {
        verified.say(line);
    }
    window(tables, (record, domain), &tree, verified);
    private(tables, domain, verified);
}

/// A leaf that the image has, which must have the mark of those.
fn access(
    tables: &Tables<'_>,
    whose: &str,
    leaf: Leaf,
    verified: &mut Verified,
) -> Option<Run<Shown<'static>>> {
    verified.addresses.leaves.push((whose.to_owned(), leaf));
    let input = leaf.input;
    if leaf.mark() != PREMAPPED {
        verified.say(format!(
            "{whose}: the leaf of {input:#x} has the mark {} of the IOMMU server's",
            leaf.mark()
        ));
    }
    match leaf.access(Regime::Device, tables.image.header.mair) {
        Ok(access) => Some(Run {
            input,
            output: leaf.output,
            len: leaf.len,
            access: shown(access),
        }),
        Err(why) => {
            verified.say(format!("{whose}: the leaf of {input:#x} {why}"));
            None
        }
    }
}

/// The server stores a map at a place that it computes: entry i of the page part, or of the block part.
fn window(
    tables: &Tables<'_>,
    (record, domain): (&Record<'_>, &Domain),
    tree: &Tree,
    verified: &mut Verified,
) {
    // No table translates more, and what is longer would never end.
    if domain.pages.bytes > IOVA_END || domain.blocks.bytes > IOVA_END {
        verified.say(format!(
            "{domain}: its window is larger than what its table translates"
        ));
        return;
    }
    let mut expect = |at: u64, input: u64, level: u32| {
        let table = at - at % PAGE;
        let shift = 12 + 9 * (3 - level);
        let first = input.wrapping_sub((at % PAGE / 8) << shift);
        if !at.is_multiple_of(8) || tree.tables.get(&table) != Some(&(first, level)) {
            verified.say(format!("{domain}: the entry of {input:#x} is not at {at:#x}, where the IOMMU server writes it"));
        }
    };
    let place = |offset: usize| tables.place.address.wrapping_add(record.u64(offset));
    for table in 0..domain.pages.bytes / BLOCK {
        expect(
            place(at::DOMAIN_LEAF).saturating_add(table * PAGE),
            domain.pages.iova.saturating_add(table * BLOCK),
            3,
        );
    }
    let blocks = domain.blocks.bytes / BLOCK;
    let ends = (0..domain.blocks.bytes / GIB)
        .map(|gib| gib * (GIB / BLOCK))
        .chain(blocks.checked_sub(1));
    for block in ends.chain((blocks > 0).then_some(0)) {
        expect(
            place(at::DOMAIN_BLOCK_ENTRIES).saturating_add(block * 8),
            domain.blocks.iova.saturating_add(block * BLOCK),
            2,
        );
    }
}

/// Checks that premapped ranges lead to pools of owners, or to memory that belongs to no task.
fn private(tables: &Tables<'_>, domain: &Domain, verified: &mut Verified) {
    let plan = tables.plan;
    let tasks = plan.tasks.iter().flat_map(|task| {
        task.memory
            .iter()
            .map(move |mapping| (task.name.as_str(), mapping))
    });
    let kernel = plan
        .kernel
        .memory
        .iter()
        .filter(|mapping| mapping.what != "window");
    let all: Vec<_> = tasks
        .chain(kernel.map(|mapping| ("kernel", mapping)))
        .collect();
    for range in &domain.premapped {
        let run = Run {
            input: range.iova,
            output: range.address,
            len: range.bytes,
            access: (),
        };
        for (name, mapping) in all.iter().filter(|(_, mapping)| mapping.run().meets(&run)) {
            if mapping.what != "pool" || matches!(range.kind.as_str(), "direct" | "doorbell") {
                verified.say(format!(
                    "{domain}: {:#x} leads to {} `{}` of {name}",
                    range.iova, mapping.what, mapping.name
                ));
            }
        }
        let tables = plan.smmus.iter().map(|smmu| smmu.tables);
        let closed = [
            ("page tables", plan.memory.page_tables),
            ("EL2", plan.memory.el2),
        ];
        let tables = tables.map(|tables| ("the tables of an SMMU", tables));
        for (what, of) in closed.into_iter().chain(tables) {
            if of.run().meets(&run) {
                verified.say(format!("{domain}: {:#x} leads to {what}", range.iova));
            }
        }
    }
}
