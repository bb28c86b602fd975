//! A virtqueue whose device writes anything, at any time.

use std::collections::BTreeMap;

use abi::TaskId;
use blk_api::Kind;
use blk_server::request::Request;
use userlib::memory::Memory;
use virtio_blk::layout::{
    AVAILABLE, DESCRIPTORS, POOL_LEN, STATUSES, USED, WRITABLE, WRITABLE_LEN,
};
use virtio_blk::queue::SplitQueue;
use virtio_blk::request::{LINKS, Requests};

use crate::device::Shared;
use crate::input::Input;

const READABLE_IOVA: u64 = 1 << 32;
const WRITABLE_IOVA: u64 = READABLE_IOVA + 0x10_0000;

struct Scene {
    requests: Requests<Shared>,
    memory: Shared,
    size: u16,
    flying: BTreeMap<u16, Request>,
    /// What the driver wrote where the device may only read.
    descriptors: Vec<u8>,
    used: u16,
}

impl Scene {
    fn submit(&mut self, input: &mut Input<'_>, tag: u16) {
        let kind = [Kind::Read, Kind::Write, Kind::Flush][input.below(3)];
        let bytes = if kind == Kind::Flush { 0 } else { 512 };
        let request = Request {
            client: TaskId::new(6, 0),
            iova: 1 << 33,
            place: None,
            tag,
            kind,
            bytes: bytes * (1 + input.below(512) as u32),
            mapped: true,
        };
        if self.requests.start(request, input.take()).is_ok() {
            self.flying.insert(tag, request);
            self.requests.announce();
        }
        self.descriptors = copy(&self.memory, DESCRIPTORS, AVAILABLE - DESCRIPTORS);
    }

    /// What an honest device would write for one of the chains it was offered.
    fn complete(&mut self, input: &mut Input<'_>) {
        let entry = input.below(usize::from(self.size));
        let head = self.memory.read16(AVAILABLE + 4 + 2 * entry);
        let at = usize::from(self.used % self.size);
        let written = match input.below(4) {
            0 => input.take(),
            _ => 1 + 512 * input.below(64) as u32,
        };
        self.memory.write32(USED + 4 + 8 * at, u32::from(head));
        self.memory.write32(USED + 8 + 8 * at, written);
        self.memory.write8(
            STATUSES + usize::from(head / LINKS) % 64,
            input.take::<u8>() & 3,
        );
        self.used = self.used.wrapping_add(1);
        self.memory.write16(USED + 2, self.used);
    }

    /// Takes what is finished: only what is in flight, each once. False when the device was found out.
    fn collect(&mut self) -> bool {
        for _ in 0..=64 {
            match self.requests.finished() {
                Ok(Some(finished)) => {
                    let request = *self.requests.request(finished.slot);
                    let flying = self.flying.remove(&request.tag);
                    assert_eq!(flying, Some(request), "not in flight");
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        panic!("more completions than slots");
    }
}

fn copy(memory: &Shared, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    memory.copy_out(offset, &mut bytes);
    bytes
}

/// Steps of driver and device.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let size = 1 << (2 + input.below(7));
    let memory = Shared::new(POOL_LEN);
    let Some(queue) = SplitQueue::new(memory.clone(), size, LINKS) else {
        panic!("no queue of {size}");
    };
    let mut scene = Scene {
        requests: Requests::new(queue, READABLE_IOVA, WRITABLE_IOVA),
        memory: memory.clone(),
        size,
        flying: BTreeMap::new(),
        descriptors: vec![0; AVAILABLE - DESCRIPTORS],
        used: 0,
    };
    for tag in 0.. {
        if input.is_empty() {
            break;
        }
        match input.below(8) {
            0..=2 => scene.submit(&mut input, tag),
            3 | 4 => scene.complete(&mut input),
            5 => memory.write16(USED + 2, input.take()),
            6 => memory.write32(WRITABLE + input.below(WRITABLE_LEN / 4) * 4, input.take()),
            _ => memory.write8(STATUSES + input.below(64), input.take()),
        }
        // A device that was found out is not used again.
        if !scene.collect() {
            break;
        }
        let now = copy(&memory, DESCRIPTORS, AVAILABLE - DESCRIPTORS);
        assert!(now == scene.descriptors, "descriptors follow the device");
    }
    assert!(scene.flying.len() <= 64);
}
