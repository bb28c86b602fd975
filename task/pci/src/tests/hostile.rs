//! Lists of capabilities made to lead astray.

use pci_api::Mismatch;
use plan::pci::FunctionEntry;
use proptest::prelude::*;
use zerocopy::FromZeros;

use crate::address::Address;
use crate::capability::{Broken, express, extended, ordinary};
use crate::config::Function;
use crate::extended::{has_acs, is_off};
use crate::messages;
use crate::registers::*;
use crate::tests::fake::Fake;
use crate::tests::node::Node;
use crate::tests::scene::*;

fn with<T>(change: impl FnOnce(&mut Node), look: impl FnOnce(&Function<'_, Fake>) -> T) -> T {
    let mut node = Node::endpoint(None, 0, 1, 2)
        .capability(0x40, CAPABILITY_MSI)
        .express(0x80, true)
        .extended(0x100, EXTENDED_ATS, 6, 0)
        .extended(0x200, EXTENDED_ACS, 6, 0);
    node.put16(VENDOR_ID, 0x1234);
    change(&mut node);
    let fake = Fake::new(std::vec![node]);
    look(&Function::new(&fake, Address(0)))
}

#[test]
fn a_list_is_followed() {
    assert_eq!(
        with(|_| {}, |f| ordinary(f, CAPABILITY_MSI)),
        Ok(Some(0x40))
    );
    assert_eq!(with(|_| {}, express), Ok(Some(0x80)));
    assert_eq!(with(|_| {}, |f| ordinary(f, CAPABILITY_MSIX)), Ok(None));
    assert_eq!(with(|_| {}, |f| extended(f, EXTENDED_ACS)), Ok(Some(0x200)));
    assert_eq!(with(|_| {}, |f| extended(f, EXTENDED_PRI)), Ok(None));
}

#[test]
fn circles_and_wild_pointers_are_noticed() {
    let circle = with(|node| node.bytes[0x81] = 0x40, |f| ordinary(f, 0x99));
    assert_eq!(circle, Err(Broken));
    let itself = with(|node| node.bytes[0x41] = 0x40, |f| ordinary(f, 0x99));
    assert_eq!(itself, Err(Broken));
    let header = with(|node| node.bytes[0x41] = 0x10, |f| ordinary(f, 0x99));
    assert_eq!(header, Err(Broken));
    let end = with(
        |node| {
            node.bytes[0x41] = 0xfc;
            node.bytes[0xfc] = CAPABILITY_EXPRESS;
        },
        express,
    );
    assert_eq!(end, Err(Broken), "its registers would not fit");
    let last = with(
        |node| {
            node.bytes[0x41] = 0xf4;
            node.bytes[0xf4] = CAPABILITY_EXPRESS;
        },
        express,
    );
    assert_eq!(last, Ok(Some(0xf4)), "its registers just fit");
    let circle = with(|node| node.put32(0x200, 0x1001_000d), |f| extended(f, 0x99));
    assert_eq!(circle, Err(Broken));
    let below = with(|node| node.put32(0x200, 0x0401_000d), |f| extended(f, 0x99));
    assert_eq!(below, Err(Broken));
    let end = with(|node| node.put32(0x200, 0xffc1_000d), |f| extended(f, 0x99));
    assert_eq!(end, Err(Broken));
}

#[test]
fn no_extended_space_means_no_extended_capability() {
    let ones = with(
        |node| node.put32(0x100, u32::MAX),
        |f| extended(f, EXTENDED_ACS),
    );
    assert_eq!(ones, Ok(None));
    let conventional = with(|node| node.bytes[0x41] = 0, |f| extended(f, EXTENDED_ACS));
    assert_eq!(conventional, Ok(None));
}

#[test]
fn what_was_turned_on_is_not_off() {
    // Of a function that signals by its line.
    let entry = FunctionEntry::new_zeroed();
    let off = |change: &dyn Fn(&mut Node)| {
        with(change, |function| {
            Ok::<_, Broken>(is_off(function)? && messages::are_as_set(function, &entry, true)?)
        })
    };
    assert_eq!(off(&|_| ()), Ok(true));
    assert_eq!(off(&|node| node.put16(0x42, 1)), Ok(false), "MSI");
    assert_eq!(off(&|node| node.put16(0x42, 0xfffe)), Ok(true));
    assert_eq!(off(&|node| node.put16(0x106, 1 << 15)), Ok(false), "ATS");
    let table = |control: u16| {
        off(&|node| {
            node.bytes[0x40] = CAPABILITY_MSIX;
            node.put16(0x42, control);
        })
    };
    assert_eq!(table(1 << 15), Ok(false), "MSI-X");
    assert_eq!(table(0x7fff), Ok(true));
}

#[test]
fn acs_is_exactly_what_is_planned() {
    let set = |node: &mut Node| node.put16(0x206, 0x1d);
    for (bits, expected) in [(0x1d, true), (0x1c, false), (0x3d, false), (0, false)] {
        assert_eq!(with(set, |f| has_acs(f, bits)), Ok(expected), "{bits:#x}");
    }
    let none = |node: &mut Node| node.put32(0x200, 0x0001_0099);
    assert_eq!(with(none, |f| has_acs(f, 0)), Ok(true));
    assert_eq!(with(none, |f| has_acs(f, 1)), Ok(false));
}

#[test]
fn a_broken_list_blocks_the_device() {
    let mut nodes = nodes();
    nodes[DISK].bytes[0x51] = 0x40;
    let scene = Scene::with(nodes);
    let (fabric, notes) = scene.enumerate();
    assert!(
        notes
            .differences
            .iter()
            .all(|d| d.1 == Mismatch::Capabilities)
    );
    assert_eq!(blocked(&fabric), [(DISK, Mismatch::Capabilities)]);
}

proptest! {
    /// Whatever a device shows, the enumeration ends, with bus mastering off on all others.
    #[test]
    fn any_contents_end(bytes in proptest::collection::vec(any::<u8>(), 4096), keep_ids: bool, index in 0usize..10) {
        let mut nodes = nodes();
        let ids = nodes[index].get32(VENDOR_ID);
        let bridge = nodes[index].bytes[usize::from(HEADER_TYPE)];
        nodes[index].bytes = bytes;
        nodes[index].express = 0;
        if keep_ids {
            nodes[index].put32(VENDOR_ID, ids);
            nodes[index].bytes[usize::from(HEADER_TYPE)] = bridge;
        }
        let scene = Scene::with(nodes);
        let mut fabric = crate::Fabric::new(&scene.host, &scene.plan).unwrap();
        fabric.enumerate(&scene.fake, &mut Notes::default());
        prop_assert!(scene.fake.masters().iter().all(|at| *at == index));
    }
}
