//! Every liberty of the model shows in a sequence that leaves one step out, and not in the complete one.

use smmu::Command;
use smmu_model::rig::steps::{self, STEPS, address};
use smmu_model::rig::{ASID, PAGE, Rig, STREAMS, WINDOW, count};
use smmu_model::{Check, Chooser, Fault, Features, Liberties};

const STREAM: u32 = STREAMS[1];
const SEEDS: u64 = 60;

fn rig(features: Features, seed: u64) -> Rig {
    Rig::new(features, Liberties::ORDERLY_DEVICES, seed)
}

/// A mapped page that the device has used.
fn used(features: Features, seed: u64) -> Rig {
    let mut rig = rig(features, seed);
    steps::use_page(&mut rig);
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
            let mut rig = steps::left_behind(features, seed);
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

#[test]
fn each_step_shows_when_it_is_left_out_and_not_otherwise() {
    for step in STEPS {
        assert_eq!(step.wrong(true), 0, "{}, complete", step.name);
        assert!(step.wrong(false) > 0, "{}, left out", step.name);
    }
}
