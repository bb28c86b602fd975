//! Every liberty of the model shows in a sequence that leaves one step out, and not in the complete one.

mod rig;

use rig::{ASID, OTHER_LEAVES, PAGE, Rig, STREAMS, WINDOW, count};
use smmu::Command;
use smmu_model::{Check, Chooser, Fault, Features, Liberties};
use vmsa::Permissions;

const STREAM: u32 = STREAMS[1];
const SEEDS: u64 = 60;

fn rig(features: Features, seed: u64) -> Rig {
    Rig::new(features, Liberties::ORDERLY_DEVICES, seed)
}

/// A mapped page that the device has used.
fn used(features: Features, seed: u64) -> Rig {
    let mut rig = rig(features, seed);
    rig.map(0, PAGE);
    rig.open(STREAM);
    let _ = rig.model.access(1, STREAM, WINDOW, true);
    rig
}

fn assert_clean(rig: &Rig) {
    assert_eq!(rig.model.findings.all(), []);
}

/// The flawed sequence leaves something reachable on some seeds, the complete one on none.
fn shows(complete: impl Fn(&mut Rig), flawed: impl Fn(&mut Rig)) {
    let left = count(SEEDS, |features, seed| {
        let mut rig = used(features, seed);
        complete(&mut rig);
        assert_clean(&rig);
        !rig.reach(STREAM).is_empty()
    });
    assert_eq!(left, 0, "the complete sequence left something reachable");
    let left = count(SEEDS, |features, seed| {
        let mut rig = used(features, seed);
        flawed(&mut rig);
        !rig.reach(STREAM).is_empty()
    });
    assert!(left > 0, "the flaw never showed");
}

fn address(page: u64) -> Command {
    Command::TlbAddress {
        asid: ASID,
        address: WINDOW + page * 4096,
    }
}

#[test]
fn a_correct_driver_finds_nothing_to_fear() {
    for features in Features::ALL {
        for seed in 0..SEEDS {
            let mut rig = rig(features, seed);
            let mut chooser = Chooser::new(seed ^ 0x5eed);
            let mut mapped = [None; 8];
            let mut open = [false; 3];
            for step in 0..120u64 {
                let page = chooser.below(8);
                let which = chooser.below(3);
                match chooser.below(4) {
                    0 if open[which] => rig.close(STREAMS[which]),
                    0 => rig.open(STREAMS[which]),
                    1 if mapped[page].is_none() => {
                        mapped[page] = Some(PAGE + step * 4096);
                        rig.map(page as u64, PAGE + step * 4096);
                    }
                    1 => {
                        mapped[page] = None;
                        rig.unmap(page as u64);
                    }
                    _ => {
                        let outcome =
                            rig.model
                                .access(1, STREAMS[which], WINDOW + page as u64 * 4096, true);
                        match (open[which], mapped[page]) {
                            (true, Some(output)) => assert_eq!(outcome.unwrap().output, output),
                            (true, None) => assert_eq!(outcome, Err(Fault::Translation)),
                            (false, _) => assert_eq!(outcome, Err(Fault::Silent)),
                        }
                        continue;
                    }
                }
                open[which] = is_open(&rig, STREAMS[which]);
                assert_clean(&rig);
                for (which, &stream) in STREAMS.iter().enumerate() {
                    let reach = rig.reach(stream);
                    if !open[which] {
                        assert_eq!(reach, []);
                        continue;
                    }
                    let expected = mapped.iter().flatten().count();
                    let live: Vec<_> = reach.iter().filter(|reach| !reach.cached).collect();
                    assert_eq!(live.len(), expected);
                    for reach in &reach {
                        let page = (reach.input - WINDOW) / 4096;
                        assert_eq!(mapped[page as usize], Some(reach.output));
                    }
                }
            }
        }
    }
}

fn is_open(rig: &Rig, stream: u32) -> bool {
    rig.entry_word(stream) == Rig::stage1()
}

#[test]
fn tlb_entries_outlive_their_descriptor() {
    shows(
        |rig| rig.unmap(0),
        |rig| {
            rig.set_leaf(0, None);
            rig.model.publish();
            rig.sync();
        },
    );
}

#[test]
fn an_invalidation_names_the_address_space() {
    shows(
        |rig| rig.unmap(0),
        |rig| {
            rig.set_leaf(0, None);
            rig.model.publish();
            rig.command(Command::TlbAddress {
                asid: ASID + 1,
                address: WINDOW,
            });
            rig.sync();
        },
    );
}

#[test]
fn consumed_is_not_completed() {
    shows(
        |rig| rig.unmap(0),
        |rig| {
            rig.set_leaf(0, None);
            rig.model.publish();
            rig.command(address(0));
        },
    );
}

#[test]
fn a_store_is_visible_only_after_a_barrier() {
    shows(
        |rig| rig.unmap(0),
        |rig| {
            // The command's own stores are published, the descriptor's comes too late.
            rig.command(address(0));
            rig.set_leaf(0, None);
            rig.sync();
        },
    );
}

#[test]
fn an_old_entry_outlives_its_store() {
    shows(
        |rig| rig.close(STREAM),
        |rig| {
            rig.set_entry(STREAM, 0, smmu::stream::abort_word());
            rig.model.publish();
            rig.sync();
        },
    );
}

#[test]
fn configuration_is_cached_by_stream() {
    shows(
        |rig| rig.close(STREAM),
        |rig| {
            rig.set_entry(STREAM, 0, smmu::stream::abort_word());
            rig.model.publish();
            rig.command(Command::ConfigStream {
                stream: STREAM + 8,
                leaf: true,
            });
            rig.sync();
        },
    );
}

#[test]
fn table_entries_are_cached_too() {
    let remove = |rig: &mut Rig, leaf: u64| {
        rig.set_level2(0);
        rig.model.publish();
        let mut words = address(0).encode();
        words[1] = words[1] & !1 | leaf;
        rig.command_words(words);
        rig.sync();
        // The table's memory is used again, for a table of somebody else.
        rig.map(0, PAGE);
    };
    shows(|rig| remove(rig, 0), |rig| remove(rig, 1));
}

#[test]
fn a_stale_context_refills_the_tlb() {
    let swap = |rig: &mut Rig, between: bool| {
        // The same ASID for other, empty tables.
        let words = rig.context(ASID, OTHER_LEAVES);
        rig.set_context(1, words[1]);
        rig.model.publish();
        rig.command(Command::ConfigContext { stream: STREAM });
        if between {
            rig.sync();
        }
        rig.command(Command::TlbAsid { asid: ASID });
        rig.sync();
    };
    shows(|rig| swap(rig, true), |rig| swap(rig, false));
}

#[test]
fn an_entry_may_be_read_in_any_order_of_its_words() {
    // From an entry whose other words are not prepared: the order of stores does not help, only an
    // invalidation between them does.
    let open = |rig: &mut Rig, between: bool| {
        rig.set_entry(STREAM, 0, 0);
        rig.set_entry(STREAM, 1, 0);
        rig.model.publish();
        rig.command(Command::ConfigStream {
            stream: STREAM,
            leaf: true,
        });
        rig.sync();
        let attributes = rig.attributes();
        rig.set_entry(STREAM, 1, attributes);
        rig.model.publish();
        if between {
            rig.command(Command::ConfigStream {
                stream: STREAM,
                leaf: true,
            });
            rig.sync();
        }
        rig.set_entry(STREAM, 0, Rig::stage1());
        rig.model.publish();
        let _ = rig.model.access(1, STREAM, WINDOW, false);
        rig.command(Command::ConfigStream {
            stream: STREAM,
            leaf: true,
        });
        rig.sync();
        let _ = rig.model.access(1, STREAM, WINDOW, false);
    };
    let torn = |between| {
        count(SEEDS, |features, seed| {
            let mut rig = rig(features, seed);
            open(&mut rig, between);
            !rig.model.findings.all().is_empty()
        })
    };
    assert_eq!(torn(true), 0);
    assert!(torn(false) > 0);
}

#[test]
fn invalid_entries_are_cached() {
    let refused = |invalidate: bool| {
        count(SEEDS, |features, seed| {
            let mut rig = rig(features, seed);
            rig.map(0, PAGE);
            let _ = rig.model.access(1, STREAM, WINDOW, false);
            rig.set_entry(STREAM, 0, Rig::stage1());
            rig.model.publish();
            if invalidate {
                rig.command(Command::ConfigStream {
                    stream: STREAM,
                    leaf: true,
                });
                rig.sync();
            }
            rig.model.access(1, STREAM, WINDOW, false).is_err()
        })
    };
    assert_eq!(refused(true), 0);
    assert!(refused(false) > 0);
}

#[test]
fn faulting_descriptors_are_not_cached() {
    for features in Features::ALL {
        for seed in 0..SEEDS {
            let mut rig = rig(features, seed);
            rig.open(STREAM);
            assert_eq!(
                rig.model.access(1, STREAM, WINDOW, false),
                Err(Fault::Translation)
            );
            rig.map(0, PAGE);
            assert_eq!(
                rig.model.access(1, STREAM, WINDOW, false).unwrap().output,
                PAGE
            );
        }
    }
}

#[test]
fn permissions_are_cached() {
    let refused = |invalidate: bool| {
        count(SEEDS, |features, seed| {
            let mut rig = rig(features, seed);
            rig.open(STREAM);
            rig.set_leaf(0, Some((PAGE, Permissions::Read)));
            rig.model.publish();
            assert_eq!(
                rig.model.access(1, STREAM, WINDOW, true),
                Err(Fault::Permission)
            );
            rig.set_leaf(0, Some((PAGE, Permissions::ReadWrite)));
            rig.model.publish();
            if invalidate {
                rig.command(address(0));
                rig.sync();
            }
            rig.model.access(1, STREAM, WINDOW, true).is_err()
        })
    };
    assert_eq!(refused(true), 0);
    assert!(refused(false) > 0);
}

#[test]
fn replacing_without_a_break_conflicts() {
    let conflicts = |between: bool| {
        count(SEEDS, |features, seed| {
            let mut rig = used(features, seed);
            if between {
                rig.unmap(0);
            }
            rig.map(0, PAGE + 0x10_0000);
            for _ in 0..8 {
                let _ = rig.model.access(1, STREAM, WINDOW, false);
            }
            let conflict = rig
                .model
                .findings
                .all()
                .iter()
                .any(|finding| finding.check == Check::Conflict);
            conflict || rig.reach(STREAM).iter().any(|reach| reach.output == PAGE)
        })
    };
    assert_eq!(conflicts(true), 0);
    assert!(conflicts(false) > 0);
}

#[test]
fn translated_transactions_land_before_a_sync_completes_or_after() {
    for (outlive, allowed) in [(false, false), (true, true)] {
        let late = count(SEEDS, |features, seed| {
            let liberties = Liberties {
                outlive,
                ..Liberties::ALL
            };
            let mut rig = Rig::new(features, liberties, seed);
            rig.map(0, PAGE);
            rig.open(STREAM);
            let _ = rig.model.access(1, STREAM, WINDOW, true);
            rig.unmap(0);
            let late = !rig.model.flights().is_empty();
            rig.model.reset_device(1);
            assert_eq!(rig.model.flights(), []);
            late
        });
        assert_eq!(late > 0, allowed, "devices that outlive a sync: {outlive}");
    }
}

#[test]
fn what_an_earlier_user_left_is_gone_after_enabling() {
    for features in Features::ALL {
        for seed in 0..SEEDS {
            let mut rig = Rig::dark(features, Liberties::ORDERLY_DEVICES, seed);
            rig.model.leave_behind(0x4000_0000);
            rig.enable();
            for stream in STREAMS {
                assert_eq!(rig.reach(stream), []);
                let outcome = rig.model.access(1, stream, WINDOW, true);
                assert_eq!(outcome, Err(Fault::Silent));
            }
            assert_clean(&rig);
        }
    }
}

#[test]
fn a_register_of_something_enabled_is_guarded() {
    let mut rig = rig(Features::SERVER, 1);
    rig.model
        .write64(smmu::registers::STRTAB_BASE, rig::BASE + 0x800);
    assert_eq!(rig.model.findings.first().unwrap().check, Check::Register);
}

#[test]
fn illegal_commands_stop_the_queue() {
    let mut rig = Rig::dark(Features::QEMU_7, Liberties::ORDERLY_DEVICES, 1);
    rig.enable();
    // TLBI_EL2_ALL without EL2 worlds.
    let words = Command::TlbEl2All.encode();
    let stopped =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.command_words(words)));
    assert!(stopped.is_err());
    assert_eq!(rig.model.findings.first().unwrap().check, Check::Command);
    assert_eq!(rig.model.read32(smmu::registers::CMDQ_CONS) >> 24, 1);
    assert_eq!(rig.model.read32(smmu::registers::GERROR) & 1, 1);
}
