//! Status snapshots of functions.

use status_api::client::{Failure, ask};
use status_api::{Error, Found, Function, OPERATION, Quiesce, Record, Subject};
use userlib::protocol::Caller;

use super::server::client as sender;
use crate::tests::scene::*;

fn function(caller: &impl Caller, index: usize) -> Function {
    match ask(caller, Subject::Function, index as u32).map(|snapshot| snapshot.record) {
        Ok(Record::Function(function)) => function,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_follows_a_function() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let before = function(&sender(&mut server, 9).0, DISK);
    assert_eq!((before.vendor_id, before.device_id), (0x1af4, 0x1042));
    assert_eq!((before.found, before.reason), (Found::Ready, 0));
    assert_eq!((before.bus_master, before.quiesce), (false, Quiesce::Never));
    let authority = sender(&mut server, AUTHORITY);
    authority.bus_master(DISK as u32, true).unwrap();
    assert!(function(&authority.0, DISK).bus_master);
    authority.bus_master(DISK as u32, false).unwrap();
    authority.quiesce_start(DISK as u32).unwrap();
    let running = function(&authority.0, DISK);
    assert_eq!(
        (running.bus_master, running.quiesce),
        (false, Quiesce::Running)
    );
}

#[test]
fn a_snapshot_has_all_functions_and_no_other() {
    let scene = Scene::new();
    let mut server = scene.serve();
    let caller = sender(&mut server, 9).0;
    let first = ask(&caller, Subject::Function, 0).unwrap();
    assert_eq!(usize::from(first.count), plan().len());
    let refused = |subject, index| match ask(&caller, subject, index) {
        Err(Failure::Refused(error)) => error,
        other => panic!("{other:?}"),
    };
    let beyond = plan().len() as u32;
    assert_eq!(refused(Subject::Function, beyond), Error::NoSuchRecord);
    assert_eq!(refused(Subject::Function, u32::MAX), Error::NoSuchRecord);
    for subject in [Subject::Task, Subject::Device, Subject::Smmu] {
        assert_eq!(refused(subject, 0), Error::Malformed);
    }
    // Too long, no room for the reply, a subject that there is not.
    let payload = [Subject::Function as u64, 0, 0, 0, 0, 0, 0, 0];
    for (payload, len, room) in [(payload, 16, 64), (payload, 8, 63), ([9; 8], 8, 64)] {
        let answer = caller.call_once(OPERATION, &payload, len, room, &[]);
        assert_eq!((answer.code.0, answer.len), (Error::Malformed as u32, 0));
    }
}
