//! What the judge is told, and the devices that it makes work.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod nvme;

/// Most devices.
pub const DEVICES_MAX: usize = 16;

/// Which devices must not be given to anybody, a bit each in the order of the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected(pub u32);

impl Expected {
    /// Whether device number `index` must be blocked.
    pub const fn is_blocked(self, index: usize) -> bool {
        index < DEVICES_MAX && self.0 >> index & 1 == 1
    }
}

/// What was found of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// The IOMMU server gave it.
    pub given: bool,
    /// The PCI task has its bus mastering on.
    pub masters: bool,
}

/// What is wrong with what was found of a device.
pub fn judge(found: Found, blocked: bool) -> Result<(), &'static str> {
    match (blocked, found.given, found.masters) {
        (true, false, false) | (false, true, true) => Ok(()),
        (true, true, _) => Err("it was given, but it differs"),
        (true, false, true) => Err("it was refused, but its bus mastering is on"),
        (false, false, _) => Err("it was refused, but it does not differ"),
        (false, true, false) => Err("it was given, but its bus mastering is off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_each() {
        let expected = Expected(0b10_1000_0001);
        let blocked: std::vec::Vec<usize> = (0..20)
            .filter(|index| expected.is_blocked(*index))
            .collect();
        assert_eq!(blocked, [0, 7, 9]);
    }

    #[test]
    fn either_as_expected_or_wrong() {
        let verdict = |given, masters, blocked| judge(Found { given, masters }, blocked).is_ok();
        assert!(verdict(true, true, false));
        assert!(verdict(false, false, true));
        for (given, masters, blocked) in [
            (true, true, true),
            (true, false, true),
            (false, true, true),
            (true, false, false),
            (false, true, false),
            (false, false, false),
        ] {
            assert!(!verdict(given, masters, blocked));
        }
    }
}
