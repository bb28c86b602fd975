//! A life that dies at some step of its first start, and what the next one makes of what it left.

use smmu::registers::CR0;
use std::vec::Vec;

use super::rig::*;

/// The machine as a life finds it.
#[derive(Clone, Copy, Debug)]
struct Machine {
    /// The PCI task finds the device with a direct region to be another one.
    changed: bool,
    /// The SMMU has fewer address bits than the image says.
    narrow: bool,
}

impl Machine {
    fn appears_to(self, rig: &Rig) {
        rig.around.borrow_mut().blocked = self.changed.then_some(DISPLAY);
        if self.narrow {
            rig.smmu.0.borrow_mut().behaviour.idr[3] = 0x73;
        }
    }
    fn cold(self) -> Rig {
        let rig = Rig::planned(always_open_plan());
        self.appears_to(&rig);
        rig
    }
}

/// What a start has made: tables but queues, the SMMU on or off, and bus mastering.
fn made(rig: &Rig) -> (Vec<u64>, u32, Vec<bool>) {
    let fake = rig.smmu.0.borrow();
    let word = |offset: u64| (offset / 8) as usize;
    let (queues, behind) = (word(COMMANDS), word(0x1_0000));
    let tables = fake.words[..queues].iter().chain(&fake.words[behind..]);
    let tables = tables.copied().collect();
    let masters = (0..=MATE).map(|device| rig.is_bus_master(device)).collect();
    (tables, fake.get(CR0), masters)
}

/// Lets a first life die after so many steps, and the next one start on a machine that may look otherwise by then.
/// False if the first one did not die.
fn die_and_start_again(first: Machine, second: Machine, steps: u32) -> bool {
    let mut rig = first.cold();
    if rig.journal().survives(steps, || rig.server.boot()) {
        return false;
    }
    second.appears_to(&rig);
    let mut next = Rig::with(always_open_plan(), rig.smmu.clone(), rig.around.clone());
    next.around.borrow_mut().lines.clear();
    next.server.boot();
    let lines = &next.around.borrow().lines;
    let refused = lines.iter().any(|line| line.contains("SmmuRefused"));
    assert!(
        !refused,
        "{first:?}, {steps} steps, then {second:?}: {lines:?}"
    );
    // A stream that was closed when the SMMU was turned on is left closed: nobody knows why.
    let adopted = lines.iter().any(|line| line.contains("adopted: true"));
    let changed = second.changed || adopted && first.changed;
    let mut expected = Machine { changed, ..second }.cold();
    expected.server.boot();
    assert_eq!(
        made(&next),
        made(&expected),
        "{first:?}, {steps} steps, then {second:?}"
    );
    true
}

#[test]
fn a_life_goes_on_wherever_the_first_one_died() {
    for narrow in [false, true] {
        for (before, after) in [(false, false), (false, true), (true, false), (true, true)] {
            let machine = |changed| Machine { changed, narrow };
            let deadly = |steps: &u32| die_and_start_again(machine(before), machine(after), *steps);
            let deaths = (0..).take_while(deadly).count();
            assert!(deaths > 30, "a start has more steps than {deaths}");
        }
    }
}

/// The next life of what closed a stream before the SMMU was on opens it when its device is as planned again.
#[test]
fn a_stream_that_was_held_back_is_opened_after_all() {
    let mut rig = Rig::planned(always_open_plan());
    rig.around.borrow_mut().blocked = Some(DISPLAY);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    rig.server.boot();
    assert!(rig.logged("why: CommandTimeout"));
    assert_eq!(rig.read(0x018, DIRECT), None);
    rig.smmu.0.borrow_mut().behaviour.stuck = false;
    rig.around.borrow_mut().blocked = None;
    let mut next = Rig::with(always_open_plan(), rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert_eq!(next.read(0x018, DIRECT), Some(DIRECT));
    assert!(next.is_bus_master(DISPLAY));
}
