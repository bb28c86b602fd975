//! The bounds of what the start accepts, from both sides, and the words that it writes into registers.

use pci_api::client::Failure;
use plan::iommu::{DomainEntry, DomainKind, PremappedEntry, SmmuEntry};
use smmu::Features;
use smmu::registers::*;
use smmu::stream::{StreamTableEntry, bypass_word, level1_descriptor, ste};
use std::vec::Vec;

use super::bypass::bypass_plan;
use super::fake::{TABLES_LEN, TABLES_PA};
use super::rig::*;
use crate::boot_refusal::Refusal;
use crate::check;
use crate::plan_view::PlanView;

/// What the fake has: 16 bits of StreamID, queues of 2^19 entries, 44 bits of address.
fn usual() -> Features {
    Features::decode(0x0d40_101a, 0x0273_0010, 0x1404, 0x74, 1)
}

fn entry() -> SmmuEntry {
    plan().smmus[0]
}

/// Boots, and expects the SMMU to be refused for a reason, or none.
pub fn starts(plan: PlanView<'static>, why: Option<Refusal>, spoil: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::planned(plan);
    spoil(&mut rig);
    rig.server.boot();
    let lines = std::format!("{:?}", rig.around.borrow().lines);
    match why {
        Some(why) => assert!(rig.logged(&std::format!("why: {why:?}")), "{lines}"),
        None => assert!(rig.logged("adopted: false"), "{lines}"),
    }
    let is_on = rig.smmu.0.borrow().get(CR0) & 1 == 1;
    assert_eq!(is_on, why.is_none());
    rig
}

fn with_domain(number: usize, change: impl FnOnce(&mut DomainEntry)) -> PlanView<'static> {
    let mut plan = plan();
    let mut domains = plan.domains.to_vec();
    change(&mut domains[number]);
    plan.domains = Vec::leak(domains);
    plan
}

fn with_smmu(change: impl FnOnce(&mut SmmuEntry)) -> PlanView<'static> {
    let mut plan = plan();
    let mut entry = entry();
    change(&mut entry);
    plan.smmus = Vec::leak(std::vec![entry]);
    plan
}

#[test]
fn sizes_are_those_of_the_smmu() {
    let features = usual();
    assert_eq!(
        (features.stream_bits, features.command_log2),
        (16, features.event_log2)
    );
    let most = features.command_log2;
    let judge = |change: &dyn Fn(&mut SmmuEntry)| {
        let mut entry = entry();
        change(&mut entry);
        check::features(&features, &entry)
    };
    for (bits, right) in [(8, false), (9, true), (16, true), (17, false)] {
        let expected = if right {
            Ok(())
        } else {
            Err(Refusal::StreamBits)
        };
        assert_eq!(judge(&|entry| entry.stream_log2 = bits), expected, "{bits}");
    }
    assert_eq!(
        judge(&|entry| entry.stream_split = 6),
        Err(Refusal::StreamBits)
    );
    for (commands, events, right) in [
        (3, 1, true),
        (2, 1, false),
        (3, 0, false),
        (most, most, true),
        (most + 1, most, false),
        (most, most + 1, false),
    ] {
        let found = judge(&|entry| (entry.command_log2, entry.event_log2) = (commands, events));
        let expected = if right {
            Ok(())
        } else {
            Err(Refusal::QueueSize)
        };
        assert_eq!(found, expected, "{commands} {events}");
    }
}

/// The SMMU takes the low bits of a base for 0, up to the size of what lies there.
#[test]
fn tables_and_queues_are_aligned_to_their_sizes() {
    let judge = |change: &dyn Fn(&mut SmmuEntry)| {
        let mut entry = entry();
        change(&mut entry);
        check::memory(&entry, &usual())
    };
    let bad = Err(Refusal::TableMemory);
    // 16 commands of 16 bytes, 16 records of 32, 256 descriptors of 8.
    for (to, right) in [(0x80, false), (0x100, true)] {
        let expected = if right { Ok(()) } else { bad };
        assert_eq!(judge(&|entry| entry.command_queue += to), expected);
        assert_eq!(judge(&|entry| entry.event_queue += 2 * to), expected);
        assert_eq!(judge(&|entry| entry.stream_l1 += 8 * to), expected);
    }
    // It is the sum that counts.
    let moved = |entry: &mut SmmuEntry| {
        entry.tables_pa += 0x80;
        entry.command_queue += 0x80;
        entry.event_queue += 0x180;
        entry.stream_l1 += 0x780;
    };
    assert_eq!(judge(&moved), Ok(()));
    assert_eq!(judge(&|entry| entry.tables_pa += 0x80), bad);
}

#[test]
fn every_level_1_descriptor_is_looked_at() {
    let free = 0x3_0000;
    let array = |rig: &mut Rig, word: u64| {
        let mut fake = rig.smmu.0.borrow_mut();
        for slot in 0..256 {
            fake.put(free + slot * 64, &StreamTableEntry::abort(true).0);
        }
        fake.put(255 * 8, &[word]);
    };
    let whole = level1_descriptor(TABLES_PA + free);
    let bad = Some(Refusal::StreamTable);
    starts(plan(), None, |rig| array(rig, whole));
    starts(plan(), bad, |rig| {
        array(rig, whole);
        rig.smmu
            .0
            .borrow_mut()
            .put(free + 255 * 64, &[bypass_word()]);
    });
    // Of half the entries, of the half before it, and of one that ends behind the tables.
    starts(plan(), bad, |rig| array(rig, whole - 1));
    let short = with_smmu(|entry| entry.tables_len = free + 0x2000);
    starts(short, bad, |rig| array(rig, whole));
    let enough = with_smmu(|entry| entry.tables_len = free + 0x4000);
    starts(enough, None, |rig| array(rig, whole));
    assert!(free + 0x4000 <= TABLES_LEN);
}

#[test]
fn memory_ends_within_what_the_context_reaches() {
    let end = 1 << 42;
    let with_pool = |pa: u64| {
        let mut plan = plan();
        let mut pools = plan.pools.to_vec();
        pools[0].pa = pa;
        plan.pools = Vec::leak(pools);
        plan
    };
    let narrow = |rig: &mut Rig| rig.smmu.0.borrow_mut().behaviour.idr[3] = 0x73;
    let bad = Some(Refusal::OutputSize);
    starts(with_pool(end - (65 << 12)), None, narrow);
    starts(with_pool(end - (63 << 12)), bad, narrow);
    let mut plan = always_open_plan();
    let range = PremappedEntry {
        pa: end - 0x1000,
        ..plan.premapped[0]
    };
    plan.premapped = Vec::leak(std::vec![range]);
    starts(plan, bad, narrow);
}

#[test]
fn windows_begin_with_a_block() {
    let bad = Some(Refusal::PageTables);
    starts(
        with_domain(1, |domain| domain.iova_base += 0x1000),
        bad,
        |_| (),
    );
    starts(
        with_domain(1, |domain| domain.block_base += 0x1000),
        bad,
        |_| (),
    );
}

#[test]
fn each_part_of_a_context_descriptor_counts() {
    let bad = Some(Refusal::ContextDescriptor);
    // Another address space, the right tables; then other tables.
    for (word, bit) in [(0, 48), (1, 12)] {
        let at = plan().domains[2].context + word * 8;
        starts(plan(), bad, |rig| {
            let before = rig.smmu.0.borrow().word(at);
            rig.smmu.0.borrow_mut().put(at, &[before ^ 1 << bit]);
        });
    }
}

#[test]
fn tables_of_a_domain_that_is_blocked_are_nobody_s() {
    let blocked = with_domain(3, |domain| domain.kind = DomainKind::Blocked as u32);
    let context = blocked.domains[3].context;
    starts(blocked, None, |rig| {
        rig.smmu.0.borrow_mut().put(context, &[0; 8]);
    });
}

/// §6.3: what stands where is worked out here from the specification, bit by bit.
#[test]
fn registers_hold_what_the_specification_says() {
    let moved = with_smmu(|entry| entry.stream_l1 = 0x1000);
    let rig = starts(moved, None, |rig| {
        let mut fake = rig.smmu.0.borrow_mut();
        let words: Vec<u64> = (0..256).map(|bus| fake.word(bus * 8)).collect();
        fake.put(0x1000, &words);
    });
    let fake = rig.smmu.0.borrow();
    let long = |register: usize| fake.registers.get(&register).copied();
    let hint = 1 << 62;
    assert_eq!(long(STRTAB_BASE), Some(hint | (TABLES_PA + 0x1000)));
    assert_eq!(long(CMDQ_BASE), Some(hint | (TABLES_PA + COMMANDS) | 4));
    let events = hint | (TABLES_PA + EVENTS) | u64::from(EVENT_LOG2);
    assert_eq!(long(EVENTQ_BASE), Some(events));
    assert_eq!(fake.get(STRTAB_BASE_CFG), 1 << 16 | 8 << 6 | 16);
    assert_eq!(fake.get(CR2), 0b110);
    assert_eq!(fake.get(IRQ_CTRL), 0b101);
}

/// An SMMU that is on with other queues was left so by somebody else.
#[test]
fn one_with_other_queues_is_not_taken_over() {
    for (register, bits) in [
        (STRTAB_BASE, 0x1000),
        (CMDQ_BASE, 0x1000),
        (CMDQ_BASE, 1),
        (EVENTQ_BASE, 0x1000),
        (EVENTQ_BASE, 1),
    ] {
        let rig = Rig::booted();
        let before = rig.smmu.0.borrow().registers[&register];
        let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
        rig.around.borrow_mut().lines.clear();
        rig.smmu
            .0
            .borrow_mut()
            .registers
            .insert(register, before ^ bits);
        next.server.boot();
        assert!(next.logged("adopted: false"), "{register:#x} {bits:#x}");
        assert_eq!(rig.smmu.0.borrow().registers[&register], before);
    }
}

/// Only what is not translated keeps the attributes that it comes with.
#[test]
fn attributes_pass_with_what_is_not_translated() {
    let overrides = |rig: &mut Rig| rig.smmu.0.borrow_mut().behaviour.idr[1] |= 1 << 27;
    for (plan, passes) in [(plan(), 0), (bypass_plan(), 1)] {
        let rig = starts(plan, None, overrides);
        let word = |device: u32| {
            let stream = rig.server.plan.streams[device as usize - 1].entry;
            rig.smmu.0.borrow().word(stream + 8)
        };
        assert_eq!(ste::SHCFG.get(word(DISK)), passes);
        assert_eq!(ste::SHCFG.get(word(EDU)), 0);
    }
}

/// One that does not keep where its queues and tables are would use others.
#[test]
fn base_registers_keep_what_is_written() {
    for (register, bits) in [
        (STRTAB_BASE, 1 << 34),
        (CMDQ_BASE, 1 << 34),
        (CMDQ_BASE, 4),
        (EVENTQ_BASE, 1 << 34),
        (EVENTQ_BASE, 4),
    ] {
        starts(plan(), Some(Refusal::BaseRegister), |rig| {
            rig.smmu.0.borrow_mut().behaviour.read_as_zero = Some((register, bits));
        });
    }
}

/// What closed the way around an SMMU that is off is not opened by closing it again.
#[test]
fn a_closed_way_around_stays_closed() {
    let closed = gbpa::ABORT.put32(1);
    let rig = starts(plan(), None, |rig| {
        rig.smmu.0.borrow_mut().set(GBPA, closed | 0b101);
    });
    assert_eq!(rig.smmu.0.borrow().get(GBPA), closed | 0b101);
}

/// Whoever brings a board up sees what the SMMU says of itself.
#[test]
fn what_an_smmu_says_of_itself_is_listed() {
    let rig = starts(plan(), None, |rig| rig.smmu.0.borrow_mut().set(IIDR, 77));
    let idr = rig.smmu.0.borrow().behaviour.idr;
    let registers = [idr[0], idr[1], idr[2], idr[3], 77, 1];
    let line = std::format!("Identification {{ name: \"smmu\", registers: {registers:?} }}");
    assert!(rig.logged(&line));
}

/// An SMMU may have one interrupt for both.
#[test]
fn one_interrupt_for_events_and_errors_is_wanted() {
    let shared = with_smmu(|entry| entry.error_interrupt = entry.event_interrupt);
    let mut rig = Rig::planned(shared);
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    rig.server.boot();
    rig.server.take_unmask();
    rig.around.borrow_mut().no_pci = None;
    rig.server.on_pci_up();
    assert_eq!(rig.smmu.0.borrow().get(CR0) & 1, 1);
    assert_eq!(rig.server.take_unmask(), 1 << 16);
}

/// What nobody can ever claim is of no interest.
#[test]
fn devices_of_nobody_are_not_listed() {
    let rig = starts(plan(), None, |_| ());
    assert!(rig.logged("DeviceLine { name: \"disk\""));
    assert!(!rig.logged("DeviceLine { name: \"rp1\""));
}
