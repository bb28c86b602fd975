//! Each recipe, well and badly ended.

use pci_api::{Error, QuiesceFailure, QuiesceState};

use crate::fabric::Fabric;
use crate::quiesce::Wake;
use crate::registers::*;
use crate::tests::fake::Fake;
use crate::tests::scene::*;

const EDU_BUSY: u64 = 0x2000_0098;
const NIC_STATE: u64 = 0x3000_0014;

/// A scene's fabric with the clock in hand.
struct Run<'s> {
    fabric: Fabric<'s>,
    fake: &'s Fake,
}

impl<'s> Run<'s> {
    fn new(scene: &'s Scene) -> Self {
        Self {
            fabric: scene.enumerate().0,
            fake: &scene.fake,
        }
    }
    fn master(&mut self, index: usize, on: bool) {
        assert!(self.fabric.set_master(self.fake, index, on));
    }
    fn start(&mut self, index: usize) -> Result<(), Error> {
        self.fabric
            .quiesce_start(self.fake, index, self.fake.now.get())
    }
    fn state(&self, index: usize) -> QuiesceState {
        self.fabric.quiesce_state(index).unwrap()
    }
    fn step(&mut self) -> Wake {
        let wake = self.fabric.step(self.fake, self.fake.now.get());
        assert!(
            wake.at.is_none_or(|at| at > self.fake.now.get()),
            "it does not spin"
        );
        wake
    }
    /// Steps when asked until nothing runs; gives the milliseconds that took.
    fn finish(&mut self) -> u64 {
        let start = self.fake.now.get();
        let mut ended = false;
        while self.state_running() {
            let wake = self.step();
            ended |= wake.ended;
            if let Some(at) = wake.at {
                self.fake.now.set(at);
            }
        }
        assert!(ended, "the authority is told");
        (self.fake.now.get() - start) / MILLISECOND
    }
    fn state_running(&self) -> bool {
        self.fabric
            .states
            .iter()
            .any(|state| state.progress.is_running())
    }
    /// Runs the whole recipe of a device that was in use.
    fn quiesce(&mut self, index: usize) -> (QuiesceState, u64) {
        self.master(index, true);
        self.start(index).unwrap();
        assert_eq!(self.state(index), QuiesceState::Running);
        let time = self.finish();
        assert_eq!(self.fake.masters(), []);
        (self.state(index), time)
    }
}

fn failed(failure: QuiesceFailure) -> QuiesceState {
    QuiesceState::Failed(failure)
}

#[test]
fn a_function_reset_restores_the_device() {
    let scene = Scene::new();
    let mut run = Run::new(&scene);
    let before = scene.fake.node(DISK);
    assert_eq!(run.quiesce(DISK), (QuiesceState::Quiet, 100));
    let after = scene.fake.node(DISK);
    assert_eq!(after.resets, 1);
    assert_eq!(after.bytes, before.bytes, "BARs, command, everything");
    run.master(DISK, true);
    assert_eq!(scene.fake.masters(), [RP0, DISK]);
}

#[test]
fn a_function_reset_waits_for_requests_and_for_the_device() {
    let scene = Scene::new();
    scene.fake.change(DISK, |disk| {
        disk.put16(0x50 + EXPRESS_STATUS, EXPRESS_PENDING);
        disk.reset_time = 300 * MILLISECOND;
    });
    let mut run = Run::new(&scene);
    run.start(DISK).unwrap();
    run.step();
    scene.fake.now.set(40 * MILLISECOND);
    run.step();
    assert_eq!(scene.fake.node(DISK).resets, 0);
    scene
        .fake
        .change(DISK, |disk| disk.put16(0x50 + EXPRESS_STATUS, 0));
    let time = run.finish();
    assert_eq!(run.state(DISK), QuiesceState::Quiet);
    assert!((300..=302).contains(&time), "{time}");
}

#[test]
fn requests_that_never_complete_do_not_prevent_the_reset() {
    let scene = Scene::new();
    scene.fake.change(DISK, |disk| {
        disk.put16(0x50 + EXPRESS_STATUS, EXPRESS_PENDING)
    });
    let mut run = Run::new(&scene);
    assert_eq!(run.quiesce(DISK), (QuiesceState::Quiet, 200));
}

#[test]
fn a_device_that_does_not_come_back() {
    let scene = Scene::new();
    scene
        .fake
        .change(DISK, |disk| disk.reset_time = u64::MAX / 2);
    let mut run = Run::new(&scene);
    assert_eq!(run.quiesce(DISK), (failed(QuiesceFailure::Deadline), 1000));
}

#[test]
fn a_device_that_comes_back_as_another_or_forgetful() {
    let scene = Scene::new();
    scene
        .fake
        .change(DISK, |disk| disk.vendor_after_reset = Some(0xabcd));
    let mut run = Run::new(&scene);
    assert_eq!(run.quiesce(DISK).0, failed(QuiesceFailure::Identity));
    assert_eq!(scene.fake.node(DISK).command(), 0);

    let scene = Scene::new();
    scene
        .fake
        .change(DISK, |disk| disk.forgets_after_reset = true);
    let mut run = Run::new(&scene);
    assert_eq!(run.quiesce(DISK).0, failed(QuiesceFailure::NotRestored));
    assert_eq!(scene.fake.node(DISK).command(), 0);
}

#[test]
fn a_function_that_cannot_be_reset_alone() {
    let scene = Scene::new();
    let mut run = Run::new(&scene);
    // It has changed since it was compared with the plan.
    scene
        .fake
        .change(DISK, |disk| disk.put32(0x50 + EXPRESS_DEVICE, 0));
    assert_eq!(run.quiesce(DISK), (failed(QuiesceFailure::Unsupported), 0));
    assert_eq!(scene.fake.node(DISK).resets, 0);
}

#[test]
fn a_bus_reset_takes_and_restores_all_below() {
    let scene = Scene::new();
    let mut run = Run::new(&scene);
    let before = scene.fake.node(EDU0);
    run.master(EDU1, true);
    run.start(EDU1).unwrap();
    assert_eq!(
        run.start(EDU0),
        Err(Error::Quiescing),
        "it is being reset too"
    );
    run.step();
    assert_eq!(run.state(EDU0), QuiesceState::Running);
    assert_ne!(scene.fake.node(MUX).get16(BRIDGE_CONTROL) & BRIDGE_RESET, 0);
    let time = run.finish();
    assert_eq!(time, 101);
    assert_eq!(scene.fake.node(MUX).get16(BRIDGE_CONTROL), 0);
    for index in [EDU0, EDU1] {
        assert_eq!(run.state(index), QuiesceState::Quiet);
        assert_eq!(scene.fake.node(index).resets, 1);
    }
    assert_eq!(scene.fake.node(EDU0).bytes, before.bytes);
    assert_eq!(scene.fake.masters(), []);
}

#[test]
fn a_bus_reset_above_a_bridge_restores_its_numbers() {
    let mut scene = Scene::new();
    scene.plan[MUX].quiesce = plan::pci::Quiesce::BusReset as u32;
    let mut run = Run::new(&scene);
    let before: std::vec::Vec<_> = [MUX, EDU0, EDU1].map(|i| scene.fake.node(i).bytes).into();
    assert_eq!(run.quiesce(MUX), (QuiesceState::Quiet, 101));
    let after: std::vec::Vec<_> = [MUX, EDU0, EDU1].map(|i| scene.fake.node(i).bytes).into();
    assert!(before == after);
    assert_eq!(scene.fake.node(EDU0).resets, 1);
    assert_eq!(scene.fake.node(RP1).resets, 0);
}

#[test]
fn a_bus_reset_spares_a_neighbour_in_use() {
    let scene = Scene::new();
    let mut run = Run::new(&scene);
    run.master(EDU0, true);
    assert_eq!(run.start(EDU1), Err(Error::UnitActive));
    run.master(EDU0, false);
    run.start(EDU0).unwrap();
    assert_eq!(
        run.start(EDU1),
        Err(Error::Quiescing),
        "a recipe of its own is under way"
    );
    assert_eq!(scene.fake.node(EDU0).resets, 0);
}

#[test]
fn a_function_reset_leaves_its_neighbours_alone() {
    let mut nodes = nodes();
    nodes[EDU0] = nodes[EDU0].clone().express(0x50, true);
    let mut scene = Scene::with(nodes);
    scene.plan[EDU0].quiesce = plan::pci::Quiesce::FunctionReset as u32;
    let mut run = Run::new(&scene);
    run.master(EDU1, true);
    run.start(EDU0).unwrap();
    run.finish();
    assert_eq!(run.state(EDU0), QuiesceState::Quiet);
    assert_eq!(scene.fake.node(EDU0).resets, 1);
    assert_eq!(run.state(EDU1), QuiesceState::Never);
    assert_eq!(scene.fake.masters(), [RP1, MUX, EDU1]);
}

#[test]
fn what_cannot_begin_yet_is_not_quiet_from_earlier() {
    let scene = Scene::new();
    let mut run = Run::new(&scene);
    assert_eq!(run.quiesce(EDU1).0, QuiesceState::Quiet);
    run.start(EDU0).unwrap();
    assert_eq!(run.start(EDU1), Err(Error::Quiescing));
    assert_eq!(run.state(EDU1), QuiesceState::Never);
    run.finish();
    assert_eq!(run.state(EDU1), QuiesceState::Never);
}

#[test]
fn a_neighbour_that_does_not_come_back_fails_alone() {
    let scene = Scene::new();
    scene.fake.change(EDU0, |edu| edu.reset_time = u64::MAX / 2);
    let mut run = Run::new(&scene);
    assert_eq!(run.quiesce(EDU1), (QuiesceState::Quiet, 1000));
    assert_eq!(run.state(EDU0), failed(QuiesceFailure::Deadline));
}

#[test]
fn a_polled_register() {
    let scene = Scene::new();
    scene.fake.registers.borrow_mut().insert(EDU_BUSY, 0x81);
    let mut run = Run::new(&scene);
    run.master(EDU0, true);
    run.start(EDU0).unwrap();
    assert_eq!(scene.fake.masters(), [], "off before the first look");
    run.step();
    scene.fake.now.set(99 * MILLISECOND);
    run.step();
    assert_eq!(run.state(EDU0), QuiesceState::Running);
    scene.fake.registers.borrow_mut().insert(EDU_BUSY, 0x80);
    run.finish();
    assert_eq!(run.state(EDU0), QuiesceState::Quiet);
}

#[test]
fn a_register_that_stays_busy_or_does_not_answer() {
    for value in [Some(1), None] {
        let scene = Scene::new();
        if let Some(value) = value {
            scene.fake.registers.borrow_mut().insert(EDU_BUSY, value);
        }
        let mut run = Run::new(&scene);
        assert_eq!(run.quiesce(EDU0), (failed(QuiesceFailure::Deadline), 150));
    }
}

#[test]
fn all_ones_are_no_answer_even_if_they_match() {
    let mut scene = Scene::new();
    scene.plan[EDU0].quiesce_expect = 1;
    let mut run = Run::new(&scene);
    assert_eq!(run.quiesce(EDU0).0, failed(QuiesceFailure::Deadline));
}

#[test]
fn write_then_poll() {
    let scene = Scene::new();
    let mut run = Run::new(&scene);
    // The fake keeps what is written, and 0x53 shows 5 in the polled bits.
    assert_eq!(run.quiesce(NIC0), (QuiesceState::Quiet, 0));
    assert_eq!(scene.fake.registers.borrow()[&NIC_STATE], 0x53);
}

#[test]
fn waiting_only() {
    let scene = Scene::new();
    let mut run = Run::new(&scene);
    assert_eq!(run.quiesce(NIC1), (QuiesceState::Quiet, 30));
}

#[test]
fn several_at_once_keep_their_own_times() {
    let scene = Scene::new();
    let mut run = Run::new(&scene);
    for index in [DISK, NIC1, EDU1] {
        run.start(index).unwrap();
    }
    assert_eq!(run.finish(), 101);
    for index in [DISK, NIC1, EDU0, EDU1] {
        assert_eq!(run.state(index), QuiesceState::Quiet);
    }
}

#[test]
fn no_recipe_and_no_bridge() {
    let mut scene = Scene::new();
    scene.plan[NIC1].quiesce = plan::pci::Quiesce::BusReset as u32;
    scene.plan[NIC0].quiesce = 99;
    let mut run = Run::new(&scene);
    assert_eq!(run.start(NIC1), Err(Error::NoRecipe), "nothing above it");
    assert_eq!(run.start(NIC0), Err(Error::NoRecipe));
    assert_eq!(run.start(SPARE), Err(Error::Blocked));
}
