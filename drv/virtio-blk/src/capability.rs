//! The places at which a modern virtio PCI device keeps its registers (virtio 4.1.4).

/// Configuration space of the device's own function.
pub trait ConfigurationSpace {
    /// Reads 32 bits at a multiple of 4 below 256; all ones if there is nothing.
    fn read32(&mut self, offset: u16) -> u32;
}

/// A structure inside a BAR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Number of the BAR, 0 to 5.
    pub bar: usize,
    /// Offset in it.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
}

/// The four structures that a driver needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Structures {
    /// Common configuration.
    pub common: Place,
    /// Notifications.
    pub notify: Place,
    /// Bytes between the notification addresses of two queues.
    pub notify_multiplier: u32,
    /// Interrupt status.
    pub isr: Place,
    /// Device-specific configuration.
    pub device: Place,
}

/// Which structure is absent, or lies outside every BAR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missing(pub &'static str);

/// Bytes of the common configuration up to and including the queue addresses (virtio 4.1.4.3).
const COMMON_LEN: usize = 0x38;
/// Capacity only; what else there is depends on features.
const DEVICE_LEN: usize = 8;
/// Capabilities that fit into 192 bytes, 4 each: a longer list is a loop.
const LIST_MAX: usize = 48;

/// Walks the capability list. The first usable structure of a kind counts, as the specification demands;
/// what is unknown, outside its BAR or misaligned is passed over. A list that loops or leaves
/// configuration space ends there.
pub fn find(space: &mut impl ConfigurationSpace, bars: &[u64; 6]) -> Result<Structures, Missing> {
    let mut common = None;
    let mut notify = None;
    let mut isr = None;
    let mut device = None;
    let has_list = space.read32(0x04) >> 16 & 1 << 4 != 0;
    let mut at = if has_list {
        space.read32(0x34) as u16 & 0xfc
    } else {
        0
    };
    for _ in 0..LIST_MAX {
        if !(0x40..=0xfc).contains(&at) {
            break;
        }
        let head = space.read32(at);
        let next = (head >> 8) as u16 & 0xfc;
        let [vendor, _, len, kind] = head.to_le_bytes();
        if vendor == 0x09 && len >= 16 && at <= 0xf0 {
            let bar = space.read32(at + 4) as usize & 0xff;
            let offset = space.read32(at + 8);
            let bytes = space.read32(at + 12);
            let place = |least: usize, alignment: u32| {
                let end = u64::from(offset) + u64::from(bytes);
                let inside = bars.get(bar).is_some_and(|&size| end <= size);
                let usable = inside && bytes as usize >= least && offset.is_multiple_of(alignment);
                usable.then_some(Place {
                    bar,
                    offset: offset as usize,
                    len: bytes as usize,
                })
            };
            match kind {
                1 => common = common.or(place(COMMON_LEN, 4)),
                2 if notify.is_none() && len >= 20 && at <= 0xec => {
                    notify = place(2, 2).map(|place| (place, space.read32(at + 16)));
                }
                3 => isr = isr.or(place(1, 1)),
                4 => device = device.or(place(DEVICE_LEN, 4)),
                _ => {}
            }
        }
        at = next;
    }
    let (notify, notify_multiplier) = notify.ok_or(Missing("notification structure"))?;
    Ok(Structures {
        common: common.ok_or(Missing("common configuration"))?,
        notify,
        notify_multiplier,
        isr: isr.ok_or(Missing("interrupt status"))?,
        device: device.ok_or(Missing("device configuration"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Space([u8; 256], usize);

    impl ConfigurationSpace for Space {
        fn read32(&mut self, offset: u16) -> u32 {
            self.1 += 1;
            let at = usize::from(offset);
            assert!(at.is_multiple_of(4) && at < 256, "read at {at:#x}");
            u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes"))
        }
    }

    const BARS: [u64; 6] = [0, 0x1000, 0, 0, 0x4000, 0];

    fn capability(
        space: &mut Space,
        at: usize,
        next: u8,
        kind: u8,
        bar: u8,
        offset: u32,
        len: u32,
    ) {
        space.0[at..at + 5].copy_from_slice(&[9, next, 20, kind, bar]);
        space.0[at + 8..at + 12].copy_from_slice(&offset.to_le_bytes());
        space.0[at + 12..at + 16].copy_from_slice(&len.to_le_bytes());
    }

    fn qemu() -> Space {
        let mut space = Space([0; 256], 0);
        space.0[6] = 0x10;
        space.0[0x34] = 0x40;
        capability(&mut space, 0x40, 0x54, 1, 4, 0, 0x1000);
        capability(&mut space, 0x54, 0x68, 3, 4, 0x1000, 0x1000);
        capability(&mut space, 0x68, 0x7c, 4, 4, 0x2000, 0x1000);
        capability(&mut space, 0x7c, 0x00, 2, 4, 0x3000, 0x1000);
        space.0[0x8c] = 4;
        space
    }

    #[test]
    fn the_four_structures_are_found() {
        let structures = find(&mut qemu(), &BARS).expect("structures");
        assert_eq!(
            structures.common,
            Place {
                bar: 4,
                offset: 0,
                len: 0x1000
            }
        );
        assert_eq!(
            structures.notify,
            Place {
                bar: 4,
                offset: 0x3000,
                len: 0x1000
            }
        );
        assert_eq!(structures.notify_multiplier, 4);
    }

    #[test]
    fn the_first_usable_structure_counts() {
        let mut space = qemu();
        // Outside its BAR: passed over; then a good one; then another, which must not win.
        capability(&mut space, 0x7c, 0x90, 2, 4, 0x3000, 0x1001);
        capability(&mut space, 0x90, 0xa4, 2, 4, 0x3000, 0x800);
        capability(&mut space, 0xa4, 0x00, 2, 4, 0x3800, 0x800);
        assert_eq!(
            find(&mut space, &BARS).map(|s| (s.notify.offset, s.notify.len)),
            Ok((0x3000, 0x800))
        );
    }

    #[test]
    fn unusable_structures_are_missing() {
        for (kind, at, name) in [
            (1, 0x40, "common configuration"),
            (3, 0x54, "interrupt status"),
            (4, 0x68, "device configuration"),
            (2, 0x7c, "notification structure"),
        ] {
            let next = qemu().0[at + 1];
            for (bar, offset, len) in [
                (6, 0, 0x1000),
                (255, 0, 0x1000),
                (0, 0, 0x1000),
                (4, u32::MAX, u32::MAX),
                (4, 0, 0),
            ] {
                let mut space = qemu();
                capability(&mut space, at, next, kind, bar, offset, len);
                assert_eq!(find(&mut space, &BARS), Err(Missing(name)));
            }
        }
        let mut space = qemu();
        space.0[6] = 0;
        assert!(find(&mut space, &BARS).is_err());
    }

    #[test]
    fn a_loop_ends() {
        let mut space = qemu();
        space.0[0x41] = 0x40;
        assert!(find(&mut space, &BARS).is_err());
        assert!(space.1 < 5 * LIST_MAX);
    }

    proptest! {
        #[test]
        fn any_configuration_space_is_survived(bytes in proptest::collection::vec(any::<u8>(), 256)) {
            let mut space = Space(bytes.try_into().expect("256 bytes"), 0);
            if let Ok(found) = find(&mut space, &BARS) {
                for place in [found.common, found.notify, found.isr, found.device] {
                    prop_assert!((place.offset + place.len) as u64 <= BARS[place.bar]);
                }
            }
            prop_assert!(space.1 < 6 * LIST_MAX);
        }
    }
}
