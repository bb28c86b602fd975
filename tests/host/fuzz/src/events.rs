//! What an SMMU writes: events, identification registers; and structures read back.

use smmu::{Command, ContextDescriptor, Event, EventKind, Features};

use crate::input::Input;

/// Four words of an event record, and what follows.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let event = Event::decode(core::array::from_fn(|_| input.take()));
    assert_eq!(EventKind::from_number(event.number), event.kind);
    assert!(event.kind.has_access() || event.address == 0);
    assert!(!event.kind.name().is_empty());
    if event.kind != EventKind::Unknown {
        assert_eq!(event.kind as u8, event.number);
    }
    let again = Event::decode(event.encode());
    assert_eq!((again.kind, again.stream), (event.kind, event.stream));
    assert_eq!(again.address, event.address);

    let words = [input.take(), input.take()];
    if let Some(command) = Command::decode(words) {
        assert_eq!(command.encode(), words);
    }
    let words = core::array::from_fn(|_| input.take());
    let features = Features::decode(
        input.take(),
        input.take(),
        input.take(),
        input.take(),
        input.take(),
    );
    if let Some(descriptor) = ContextDescriptor::decode(&words) {
        assert_eq!(descriptor.encode(), words);
        descriptor.legal(&features);
    }
}
