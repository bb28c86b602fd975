//! Two devices that may appear in one hotplug slot: one StreamID, two domains, one of them there.

use iommu_api::*;

use super::rig::*;
use crate::Reply;

const STREAM: u32 = 0x008;

fn claim_refused(rig: &mut Rig, owner: u8, device: u32) {
    let reply = rig.ask(task(owner), Operation::Claim, &[u64::from(device)]);
    let blocked = matches!(reply, Reply::Now { code, .. } if code == Error::Blocked as u32);
    assert!(blocked, "{reply:?}");
}

#[test]
fn only_the_one_that_is_there_can_be_claimed() {
    for swapped in [false, true] {
        let mut rig = Rig::cold();
        rig.around.borrow_mut().swapped = swapped;
        rig.server.boot();
        let mut ends = [(5, EDU), (6, SPARE)];
        if swapped {
            ends.reverse();
        }
        let [(owner, there), (other, absent)] = ends;
        claim_refused(&mut rig, other, absent);
        let mut driver = rig.claim(task(owner), there);
        let iova = driver.map_any(&mut rig, 0, 1);
        assert!(rig.reach(STREAM, iova).is_some());
        claim_refused(&mut rig, other, absent);
        assert!(rig.reach(STREAM, iova).is_some());
        assert!(rig.logged("absent: true"));
    }
}

#[test]
fn a_fault_is_of_the_one_that_is_there() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().swapped = true;
    rig.server.boot();
    let mut spare = rig.claim(task(6), SPARE);
    rig.reach(STREAM, BASE);
    rig.server.on_interrupt(1 << 16);
    assert_eq!(
        spare.fault(&mut rig).map(|fault| fault.stream),
        Some(STREAM)
    );
    assert!(rig.logged("Fault(FaultLine { name: \"spare\""));
    assert_eq!(rig.status(EDU).faults, 0);
}

#[test]
fn a_successor_leaves_the_stream_open() {
    let mut rig = Rig::booted();
    let mut edu = rig.claim(task(5), EDU);
    let iova = edu.map_any(&mut rig, 0, 1);
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert!(next.logged("adopted: true"));
    assert!(next.reach(STREAM, iova).is_some());
    assert_eq!(next.claim(task(5), EDU).unmap(&mut next, iova, 1), Ok(0));
}
