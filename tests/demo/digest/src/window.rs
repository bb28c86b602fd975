//! A window of chunks: asked for in order, finished in any order, consumed in order.

/// Chunks `consumed .. consumed + depth` of `chunks`; chunk `i` uses buffer `i % depth`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    chunks: u64,
    depth: u32,
    consumed: u64,
    /// Buffers whose request the driver has.
    flying: u64,
    /// Buffers that are full and not consumed.
    ready: u64,
}

impl Window {
    /// `depth` is 1 to 64; others are brought there.
    pub fn new(chunks: u64, depth: usize) -> Self {
        let depth = depth.clamp(1, 64) as u32;
        Self {
            chunks,
            depth,
            consumed: 0,
            flying: 0,
            ready: 0,
        }
    }

    fn buffer(&self, chunk: u64) -> u32 {
        (chunk % u64::from(self.depth)) as u32
    }

    /// The next chunk to ask for, and its buffer: the first in the window that is neither flying nor ready.
    pub fn to_ask(&self) -> Option<(u64, u32)> {
        let end = self
            .chunks
            .min(self.consumed.saturating_add(u64::from(self.depth)));
        let taken = self.flying | self.ready;
        (self.consumed..end)
            .map(|chunk| (chunk, self.buffer(chunk)))
            .find(|(_, buffer)| taken & 1 << buffer == 0)
    }

    /// The request of this buffer is with the driver.
    pub fn asked(&mut self, buffer: u32) {
        self.flying |= 1 << (buffer & 63);
    }

    /// The request of this buffer is done. False if there was none: the driver lies.
    pub fn finished(&mut self, buffer: u32) -> bool {
        if buffer >= self.depth || self.flying & 1 << buffer == 0 {
            return false;
        }
        self.flying &= !(1 << buffer);
        self.ready |= 1 << buffer;
        true
    }

    /// The driver did not take the request of this buffer, which must be asked for again. False if there was none.
    pub fn refused(&mut self, buffer: u32) -> bool {
        let flying = buffer < self.depth && self.flying & 1 << buffer != 0;
        if flying {
            self.flying &= !(1 << buffer);
        }
        flying
    }

    /// The next chunk in order and its buffer, if it is ready.
    pub fn to_consume(&self) -> Option<(u64, u32)> {
        let buffer = self.buffer(self.consumed);
        (self.ready & 1 << buffer != 0).then_some((self.consumed, buffer))
    }

    /// Notes that the oldest chunk was consumed; its buffer is free.
    pub fn consumed(&mut self) {
        self.ready &= !(1 << self.buffer(self.consumed));
        self.consumed += 1;
    }

    /// Whether everything was consumed.
    pub fn complete(&self) -> bool {
        self.consumed == self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn no_more_than_depth_are_asked_for() {
        let mut window = Window::new(100, 32);
        for expected in 0..32 {
            assert_eq!(window.to_ask(), Some((expected, expected as u32)));
            window.asked(expected as u32);
        }
        assert_eq!(window.to_ask(), None);
        assert!(window.finished(1));
        assert_eq!(window.to_consume(), None, "in order");
        assert_eq!(window.to_ask(), None, "its buffer is not free yet");
        assert!(window.finished(0));
        for chunk in [0, 1] {
            assert_eq!(window.to_consume(), Some((chunk, chunk as u32)));
            window.consumed();
        }
        assert_eq!(window.to_ask(), Some((32, 0)));
    }

    #[test]
    fn a_lying_driver_is_noticed() {
        let mut window = Window::new(100, 4);
        window.asked(0);
        for buffer in [1, 4, 63, 64, u32::MAX] {
            assert!(!window.finished(buffer), "{buffer}");
        }
        for buffer in [1, 4, u32::MAX] {
            assert!(!window.refused(buffer), "{buffer}");
        }
        assert!(window.finished(0));
        assert!(!window.finished(0));
        assert!(!window.refused(0));
    }

    #[test]
    fn an_empty_disk_is_complete() {
        let window = Window::new(0, 32);
        assert!(window.complete());
        assert_eq!(window.to_ask(), None);
    }

    proptest! {
        /// Whatever the order of completions, and even if the driver refuses now and then, every chunk is
        /// consumed exactly once and in order.
        #[test]
        fn every_chunk_once_in_order(
            chunks in 0u64..200,
            depth in 1usize..=64,
            choices in proptest::collection::vec(any::<u8>(), 1..64),
        ) {
            let mut window = Window::new(chunks, depth);
            let mut flying: Vec<(u64, u32)> = vec![];
            let mut expected = 0;
            let mut refusals = 0;
            let mut choices = choices.into_iter().cycle();
            while !window.complete() {
                while let Some((chunk, buffer)) = window.to_ask() {
                    prop_assert!(flying.iter().all(|&(c, b)| c != chunk && b != buffer));
                    window.asked(buffer);
                    flying.push((chunk, buffer));
                }
                prop_assert!(flying.len() <= depth);
                let choice = usize::from(choices.next().expect("a cycle"));
                if choice % 8 == 7 && refusals < 20 && !flying.is_empty() {
                    refusals += 1;
                    let (_, buffer) = flying.swap_remove(choice % flying.len());
                    prop_assert!(window.refused(buffer));
                    continue;
                }
                if !flying.is_empty() {
                    let (_, buffer) = flying.swap_remove(choice % flying.len());
                    prop_assert!(window.finished(buffer));
                }
                while let Some((chunk, _)) = window.to_consume() {
                    prop_assert_eq!(chunk, expected);
                    window.consumed();
                    expected += 1;
                }
            }
            prop_assert_eq!(expected, chunks);
        }
    }
}
