//! The task dies at each of its writes in turn.

use pci_api::Width;

use crate::registers::*;
use crate::tests::lives::{Life, is_master, is_undisturbed, master, step_until_idle};
use crate::tests::scene::*;
use crate::tests::server::client;

/// Everything a server is asked to do in this history, the task dying at the write after `fuse`.
fn dies_in(scene: &Scene, fuse: u32, act: fn(&mut Life<'_>)) -> bool {
    let (mut server, _) = scene.live();
    for index in [DISK, NIC0] {
        master(&mut server, index, true);
    }
    scene.fake.dies(fuse, || {
        act(&mut server);
        for now in (0..300).step_by(2) {
            scene.fake.now.set(now * MILLISECOND);
            server.step(|| now * MILLISECOND);
        }
    })
}

#[test]
fn a_death_at_any_write_disturbs_nobody_else() {
    let acts: [fn(&mut Life<'_>); 5] = [
        |server| master(server, EDU0, true),
        |server| {
            master(server, EDU0, true);
            master(server, EDU0, false);
        },
        |server| {
            client(server, AUTHORITY)
                .quiesce_start(EDU1 as u32)
                .unwrap()
        },
        |server| {
            client(server, AUTHORITY)
                .quiesce_start(NIC1 as u32)
                .unwrap()
        },
        |server| {
            let owner = client(server, owner(EDU1));
            owner
                .config_write(EDU1 as u32, COMMAND, Width::HalfWord, 0x402)
                .unwrap();
        },
    ];
    for act in acts {
        for fuse in 0.. {
            let scene = Scene::new();
            let died = dies_in(&scene, fuse, act);
            // The next life dies too, once at each of its writes in turn.
            for second in [None, Some(fuse % 7), Some(fuse * 5)] {
                if let Some(second) = second {
                    scene.fake.dies(second, || drop(scene.live()));
                }
                let goes_on = |index: usize| scene.fake.masters().contains(&index);
                assert!(goes_on(DISK) && goes_on(NIC0) && goes_on(RP0), "{fuse}");
            }
            scene.fake.writes.borrow_mut().clear();
            let (mut server, notes) = scene.live();
            assert_eq!(notes.differences, []);
            for index in [RP0, DISK, NIC0] {
                assert!(is_undisturbed(&scene, index), "{fuse}: {index}");
            }
            step_until_idle(&scene, &mut server);
            for index in [DISK, NIC0] {
                assert!(is_master(&mut server, index));
            }
            let edu = is_master(&mut server, EDU0);
            assert_eq!(scene.fake.masters().contains(&EDU0), edu);
            for index in [EDU0, EDU1, NIC1] {
                client(&mut server, AUTHORITY)
                    .bus_master(index as u32, false)
                    .unwrap();
                client(&mut server, AUTHORITY)
                    .bus_master(index as u32, true)
                    .unwrap();
            }
            if !died {
                break;
            }
        }
    }
}
