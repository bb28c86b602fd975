//! Controllers that end commands in any order, and ones that write anything.

use super::{Under, collect, disk, request};
use crate::controller::Controller;
use crate::disk::Disk;
use crate::layout::{COMPLETIONS, ENTRIES_MAX, LISTS, POOL_LEN, WRITABLE};
use crate::testing::{Fake, PLACES, Waits, vectors};
use blk_api::Kind;
use blk_server::SLOTS_MAX;
use blk_server::controller::Controller as Served;
use proptest::prelude::*;
use std::vec::Vec as List;
use userlib::memory::Memory;

proptest! {
    /// A controller that ends commands in any order gets all of them done, each once, across many rounds of its queues.
    #[test]
    fn honest_controllers_finish_everything(order in proptest::collection::vec(any::<u8>(), 1..1500)) {
        let fake = Fake::new();
        let mut disk: Under = disk(&fake);
        fake.tell(|state| state.keeps = true);
        let mut flying: List<(u16, u16)> = List::new();
        for (tag, choice) in (0..).zip(order) {
            if choice % 3 != 0 && disk.room() > 0 {
                Served::start(&mut disk, request(Kind::Read, tag, 4096), 0).expect("room");
                disk.announce();
                let id = fake.seen().last().expect("a command").id();
                flying.push((id, tag));
            } else if !flying.is_empty() {
                let (id, tag) = flying.swap_remove(usize::from(choice) % flying.len());
                fake.complete(1, id, 0);
                prop_assert_eq!(collect(&mut disk, u32::MAX), [(tag, Ok(()))]);
            }
        }
        prop_assert_eq!(disk.is_idle(), flying.is_empty());
    }

    /// Whatever the controller writes where it can: a request ends only if it is in flight, and once; what the controller
    /// reads stays as the driver wrote it.
    #[test]
    fn hostile_controllers_gain_nothing(
        begun in 1usize..SLOTS_MAX,
        writes in proptest::collection::vec((any::<u8>(), 0usize..64, any::<u32>()), 0..200),
    ) {
        let fake = Fake::new();
        let mut disk: Under = disk(&fake);
        fake.tell(|state| state.keeps = true);
        let mut flying: List<u16> = List::new();
        for tag in 0..begun as u16 {
            Served::start(&mut disk, request(Kind::Read, tag, 3 * 4096), 0).expect("room");
            flying.push(tag);
        }
        disk.announce();
        let memory = fake.memory();
        let kept: List<u64> = (0..WRITABLE).step_by(8).map(|at| memory.read64(at)).collect();
        'device: for (how, place, value) in writes {
            match how % 4 {
                // A completion as an honest one would be, of any command.
                0 | 1 => {
                    let at = COMPLETIONS + 16 * place;
                    memory.write32(at + 8, 1 << 16 | value >> 16 & 0x7f);
                    memory.write32(at + 12, value & 0x7f | 1 << 16 | u32::from(how & 4) << 15);
                }
                2 => memory.write32(COMPLETIONS + 4 * place, value),
                _ => memory.write32(WRITABLE + (value as usize % (POOL_LEN - WRITABLE)) / 4 * 4, value),
            }
            disk.acknowledge(u32::MAX).expect("no reason to die");
            for _ in 0..=SLOTS_MAX {
                match disk.finished() {
                    Ok(Some(finished)) => {
                        let tag = disk.request(finished.slot).tag;
                        let at = flying.iter().position(|of| *of == tag);
                        prop_assert!(at.is_some(), "{} is not in flight", tag);
                        flying.remove(at.expect("there"));
                    }
                    Ok(None) => break,
                    Err(_) => break 'device,
                }
            }
            let now = (0..LISTS).step_by(8).map(|at| memory.read64(at));
            let own = kept.iter().copied();
            // What is tried again is put in anew; the commands that were there stay.
            let changed = now.zip(own).filter(|(now, own)| now != own && *own != 0).count();
            prop_assert_eq!(changed, 0);
        }
        prop_assert!(disk.room() + flying.len() <= SLOTS_MAX);
    }

}

proptest! {
    // What is not answered is waited for to the end.
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever it says of itself when it is brought up or reset, the driver comes up, or says why not.
    #[test]
    fn bring_up_survives_any_answer(
        pages in proptest::collection::vec((0usize..4096, any::<u8>()), 0..100),
        (lies, fatal, pairs) in ((any::<u32>(), any::<u32>()), any::<bool>(), 1u16..100),
        lie in any::<bool>(),
    ) {
        let fake = Fake::new();
        fake.tell(|state| {
            state.is_fatal = fatal;
            state.pairs = pairs;
            state.lies = if lie { lies } else { (0, 0) };
            state.scribbles = pages;
        });
        let controller = Controller::new(fake.clone(), fake.memory(), PLACES).expect("usable");
        if let Ok(disk) = Disk::start(controller, vectors(4), |_| None, &mut Waits::default()) {
            prop_assert!(disk.queues() >= 1 && disk.room() <= usize::from(ENTRIES_MAX));
            prop_assert!(!disk.namespaces().is_empty());
        }
    }
}
