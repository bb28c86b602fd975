//! Bring-up of a virtio device that lies in configuration space and in its registers.

use std::cell::RefCell;
use std::rc::Rc;

use blk_server::TRANSFER_MAX;
use userlib::delay::DelayNs;
use virtio_blk::capability::{self, ConfigurationSpace};
use virtio_blk::transport::{QueueAddresses, RESET, Transport};

use crate::device::Liar;
use crate::input::Input;

const BARS: [u64; 6] = [0, 0x1000, 0, 0, 0x4000, 0];
/// Reads of configuration space that a list of 48 capabilities of 4 reads each can need, and a few.
const READS_MAX: usize = 300;

/// Counts the waits.
struct Waits(u32);

impl DelayNs for Waits {
    fn delay_ns(&mut self, _: u32) {
        self.0 += 1;
    }
}

struct Space {
    bytes: [u8; 256],
    reads: usize,
}

impl ConfigurationSpace for Space {
    fn read32(&mut self, offset: u16) -> u32 {
        self.reads += 1;
        assert!(self.reads < READS_MAX, "the list has no end");
        let at = usize::from(offset);
        let word = self.bytes.get(at..).and_then(|from| from.first_chunk());
        u32::from_le_bytes(*word.expect("inside configuration space"))
    }
}

/// First the registers, then what is left as capabilities.
pub fn run(bytes: &[u8]) {
    let (space, registers) = bytes.split_at(bytes.len().min(192));
    structures(space);
    negotiation(registers);
}

fn structures(bytes: &[u8]) {
    let mut space = Space {
        bytes: [0; 256],
        reads: 0,
    };
    space.bytes[6] = 0x10;
    space.bytes[0x34] = 0x40;
    space.bytes[0x40..0x40 + bytes.len()].copy_from_slice(bytes);
    if let Ok(found) = capability::find(&mut space, &BARS) {
        for place in [found.common, found.notify, found.isr, found.device] {
            assert!((place.offset + place.len) as u64 <= BARS[place.bar]);
        }
    }
}

fn negotiation(bytes: &[u8]) {
    let input = Rc::new(RefCell::new(Input::new(bytes)));
    let notify_multiplier = input.borrow_mut().take();
    let block = || Liar::new(&input);
    let transport = Transport {
        common: block(),
        notify: block(),
        notify_multiplier,
        isr: block(),
        device: block(),
        messages: true,
    };
    let mut waits = Waits(0);
    if let Ok(negotiated) = transport.negotiate(&mut waits) {
        let geometry = negotiated.geometry;
        assert!(negotiated.queue_size.is_power_of_two() && negotiated.queue_size <= 256);
        assert!(negotiated.notify_offset.is_multiple_of(2));
        assert!(geometry.transfer_max > 0 && geometry.transfer_max <= TRANSFER_MAX);
        assert!(geometry.sectors.checked_mul(512).is_some());
        transport.run(&QueueAddresses {
            descriptors: 1 << 32,
            available: (1 << 32) + 0x1000,
            used: (1 << 32) + 0x2000,
        });
        transport.notify(&negotiated);
    }
    assert!(waits.0 <= RESET.waits);
    transport.acknowledge();
    transport.needs_reset();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_has_a_device_whose_structures_are_found() {
        let bytes = include_bytes!("../corpus/virtio-transport/qemu");
        let mut space = Space {
            bytes: [0; 256],
            reads: 0,
        };
        space.bytes[6] = 0x10;
        space.bytes[0x34] = 0x40;
        space.bytes[0x40..].copy_from_slice(&bytes[..192]);
        assert!(capability::find(&mut space, &BARS).is_ok());
    }
}
