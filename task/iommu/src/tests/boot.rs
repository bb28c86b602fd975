//! The first start, and what it refuses.

use std::cell::RefCell;
use std::rc::Rc;

use iommu_api::*;
use pci_api::client::Failure;
use plan::Name;
use plan::iommu::SmmuEntry;
use smmu::Command;
use smmu::registers::*;

use super::fake::Handle as Smmu;
use super::rig::*;
use crate::boot_refusal::Refusal;
use crate::{Reply, Server};

#[test]
fn turns_on_with_every_stream_aborting() {
    let mut rig = Rig::booted();
    let fake = rig.smmu.0.clone();
    assert_eq!(fake.borrow().get(CR0), 0b1101);
    assert!(gbpa::ABORT.is_set32(fake.borrow().get(GBPA)));
    assert_eq!(
        fake.borrow().commands,
        [
            Command::ConfigAll,
            Command::Sync,
            Command::TlbAll,
            Command::Sync
        ]
    );
    for stream in (0..=0xffff).step_by(7) {
        assert_eq!(rig.reach(stream, 0x1000), None);
    }
    assert_eq!(
        rig.server.take_unmask(),
        1 << 16 | 1 << 17,
        "both interrupts are wanted"
    );
    assert!(rig.logged("reset_bypass_closed: true"));
    assert!(!rig.server.is_refused());
}

#[test]
fn waits_for_what_an_earlier_life_wrote() {
    // It died between its last write to CR0 and the acknowledgement of it: turning on, turning off.
    for (written, acknowledged) in [(0b1101, 0b1100), (0b0000, 0b1101)] {
        let mut rig = Rig::cold();
        let fake = rig.smmu.0.clone();
        let soon = fake.borrow().time + 20_000;
        fake.borrow_mut().set(CR0, written);
        fake.borrow_mut().behaviour.lagging = Some((soon, acknowledged));
        rig.server.boot();
        assert_eq!(fake.borrow().get(CR0), 0b1101);
        assert!(rig.logged("adopted: false"));
    }
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.lagging = Some((u64::MAX, 0b1100));
    rig.server.boot();
    assert!(rig.logged("why: ControlTimeout"));
}

/// A register that followed while the task was not run has followed in time.
#[test]
fn a_register_is_looked_at_once_more() {
    for (written, acknowledged) in [(0b1101, 0b1100), (0b0000, 0b1101)] {
        let mut rig = Rig::cold();
        let mut fake = rig.smmu.0.borrow_mut();
        fake.set(CR0, written);
        fake.behaviour.lagging = Some((fake.time + 500_000_000, acknowledged));
        fake.behaviour.preempted_in = Some(2);
        drop(fake);
        rig.server.boot();
        assert!(rig.logged("adopted: false"));
    }
}

#[test]
fn invalidations_of_two_worlds_are_not_in_one_batch() {
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.idr[0] |= 1 << 9;
    rig.server.boot();
    let commands = rig.smmu.0.borrow().commands.clone();
    assert_eq!(
        commands,
        [
            Command::ConfigAll,
            Command::Sync,
            Command::TlbAll,
            Command::Sync,
            Command::TlbEl2All,
            Command::Sync
        ]
    );
}

#[test]
fn runs_without_gbpa() {
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.has_gbpa = false;
    rig.server.boot();
    assert_eq!(rig.smmu.0.borrow().get(CR0), 0b1101);
    assert!(rig.logged("reset_bypass_closed: false"));
}

/// Boots after `spoil` and checks that the SMMU is refused, and that nothing was opened.
fn refused(why: Refusal, spoil: impl FnOnce(&mut Rig)) {
    let mut rig = Rig::cold();
    spoil(&mut rig);
    rig.server.boot();
    assert!(
        rig.logged(&std::format!("why: {why:?}")),
        "{why:?}: {:?}",
        rig.around.borrow().lines
    );
    assert_eq!(rig.smmu.0.borrow().get(CR0) & 1, 0);
    let (code, _) = rig.now(task(4), Operation::Claim, &[1]);
    assert_eq!(Error::from_code(code), Some(Error::Unavailable));
    assert!(rig.server.is_refused(), "by the plan's policy");
}

/// A device of another SMMU is given or not, by the policy.
#[test]
fn one_smmu_that_differs_can_refuse_all() {
    for refuses in [false, true] {
        let mut plan = plan();
        let own = SmmuEntry {
            refuse_on_mismatch: u32::from(refuses),
            ..plan.smmus[0]
        };
        let other = SmmuEntry {
            name: Name::new("other"),
            ..own
        };
        plan.smmus = std::vec![own, other].leak();
        let good = Smmu(Rc::new(RefCell::new(tables(&plan))));
        let bad = Smmu(Rc::new(RefCell::new(tables(&plan))));
        bad.0.borrow_mut().behaviour.idr[0] = 0x0d40_1018;
        let around = Rc::new(RefCell::new(Around::default()));
        let hardware = |entry: &SmmuEntry| match entry.name.as_str() {
            "other" => bad.clone(),
            _ => good.clone(),
        };
        let mut server = Server::new(plan, Shared(around.clone()), hardware).unwrap();
        server.boot();
        assert_eq!(server.is_refused(), refuses);
        let mut rig = Rig {
            server,
            smmu: good,
            around,
        };
        match rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]) {
            Reply::Later => assert!(!refuses),
            Reply::Now { code, .. } => {
                assert!(refuses && code == Error::Blocked as u32, "{code}");
            }
        }
    }
}

#[test]
fn refuses_what_it_cannot_use() {
    let idr = |register: usize, value: u32| {
        move |rig: &mut Rig| rig.smmu.0.borrow_mut().behaviour.idr[register] = value
    };
    refused(Refusal::NoRegisters, idr(0, !0));
    refused(Refusal::NoStage1, idr(0, 0x0d40_1018));
    refused(Refusal::NoTables, idr(0, 0x0d40_1016));
    refused(Refusal::NoTables, idr(3, 0x44));
    refused(Refusal::NotCoherent, idr(0, 0x0d40_100a));
    refused(Refusal::StallOnly, idr(0, 0x0e40_101a));
    refused(Refusal::NoTwoLevelStreams, idr(0, 0x0540_101a));
    refused(Refusal::PresetBases, idr(1, 0x2273_0010));
    refused(Refusal::StreamBits, idr(1, 0x0273_000c));
    refused(Refusal::QueueSize, idr(1, 0x0063_0010));
    // 32 bits of output do not reach the tables.
    refused(Refusal::TableMemory, idr(3, 0x70));
}

#[test]
fn refuses_tables_that_are_not_as_planned() {
    let word = |offset: u64, value: u64| {
        move |rig: &mut Rig| rig.smmu.0.borrow_mut().put(offset, &[value])
    };
    // An entry of nobody that is in bypass.
    refused(Refusal::StreamTable, word(0x4000 + 200 * 64, 0b1001));
    refused(Refusal::StreamTable, word(0x8000, 0));
    refused(Refusal::StreamTable, word(8, 0));
    refused(Refusal::ContextDescriptor, word(0xc000, 0));
    refused(Refusal::ContextDescriptor, word(0xc000 + 24, 0));
    refused(Refusal::PageTables, word(0x1_1000, 0));
    refused(Refusal::PageTables, word(0x1_0000 + 4 * 8, 0));
}

#[test]
fn commands_that_never_complete() {
    refused(Refusal::CommandTimeout, |rig| {
        rig.smmu.0.borrow_mut().behaviour.stuck = true;
    });
}

#[test]
fn narrows_the_output_size_to_the_hardware() {
    let mut rig = Rig::cold();
    // 42 bits: enough for the tables and pools, less than the image says.
    rig.smmu.0.borrow_mut().behaviour.idr[3] = 0x73;
    rig.server.boot();
    let word = rig.smmu.0.borrow().word(0xc000);
    assert_eq!(smmu::context::cd::IPS.get(word), 3);
}

#[test]
fn stall_capable_smmu_gets_stalls_disabled() {
    let mut rig = Rig::cold();
    rig.smmu.0.borrow_mut().behaviour.idr[0] = 0x0c40_101a;
    rig.server.boot();
    let word = rig.smmu.0.borrow().word(0x8000 + 8);
    assert!(smmu::stream::ste::S1STALLD.is_set(word));
}

#[test]
fn a_refused_boot_blocks_all() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().refused = true;
    rig.server.boot();
    let (code, _) = rig.now(task(4), Operation::Claim, &[1]);
    assert_eq!(Error::from_code(code), Some(Error::Blocked));
}

#[test]
fn waits_for_the_pci_task() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    rig.server.boot();
    assert_eq!(rig.smmu.0.borrow().get(CR0), 0, "not touched");
    rig.around.borrow_mut().no_pci = None;
    rig.server.on_pci_up();
    rig.claim(task(4), DISK);
}

#[test]
fn no_stream_takes_translated_accesses_or_address_spaces_of_a_device() {
    for ats in [false, true] {
        let mut rig = Rig::cold();
        if ats {
            rig.smmu.0.borrow_mut().behaviour.idr[0] |= 1 << 10;
        }
        rig.server.boot();
        let checked = cr0::ATSCHK.is_set32(rig.smmu.0.borrow().get(CR0));
        assert_eq!(checked, ats);
        for (owner, device) in [(4, DISK), (5, EDU), (5, LEFT), (6, RIGHT)] {
            rig.claim(task(owner), device);
        }
        for stream in rig.server.plan.streams {
            let words = [0, 1].map(|word| rig.smmu.0.borrow().word(stream.entry + word * 8));
            assert_eq!(smmu::stream::ste::CONFIG.get(words[0]), 0b101, "stage 1");
            assert_eq!(smmu::stream::ste::S1CDMAX.get(words[0]), 0, "one context");
            assert_eq!(smmu::stream::ste::EATS.get(words[1]), 0, "no ATS");
        }
    }
}

#[test]
fn a_device_is_listed_when_what_is_found_of_it_is_new() {
    let mut rig = Rig::booted();
    let listed = |rig: &Rig| {
        let around = rig.around.borrow();
        let lines = around.lines.iter();
        let of_disk = |line: &&std::string::String| line.contains("DeviceLine { name: \"disk\"");
        lines.filter(of_disk).count()
    };
    assert_eq!(listed(&rig), 1);
    for (blocked, expected) in [(None, 1), (Some(DISK), 2), (Some(DISK), 2), (None, 3)] {
        rig.around.borrow_mut().blocked = blocked;
        rig.server.on_pci_up();
        assert_eq!(listed(&rig), expected, "{blocked:?}");
    }
}
