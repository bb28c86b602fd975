//! Sizes and times as a person writes them.

/// No address of the architecture has more bits. Below it, rounding up and adding a few
/// hundred sizes cannot overflow.
const SIZE_MAX: u64 = 1 << 52;

/// Bytes, at most 2^52: a number and `B`, `KiB`, `MiB` or `GiB`.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let scale = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(scale).filter(|&bytes| bytes <= SIZE_MAX)
}

/// Nanoseconds: a number and `ns`, `us`, `ms`, `s` or `minute`.
pub fn duration(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    number.checked_mul(time_unit(unit)?)
}

/// `5 per minute`: how many, and nanoseconds.
pub fn rate(text: &str) -> Option<(u32, u64)> {
    let (number, rest) = split(text)?;
    let unit = rest.strip_prefix("per")?.trim();
    Some((u32::try_from(number).ok()?, time_unit(unit)?))
}

/// `2 ms per 10 ms`: nanoseconds, and the nanoseconds in which.
pub fn share(text: &str) -> Option<(u64, u64)> {
    let (time, period) = text.split_once(" per ")?;
    Some((duration(time.trim())?, duration(period.trim())?))
}

/// `1af4:1042`: vendor and device.
pub fn device_id(text: &str) -> Option<(u16, u16)> {
    let (vendor, device) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
    };
    Some((number(vendor)?, number(device)?))
}

/// `3` or `3.1`: device and function number on a bus.
pub fn slot(text: &str) -> Option<(u8, u8)> {
    let (device, function) = text.split_once('.').unwrap_or((text, "0"));
    Some((digits(device, 32)?, digits(function, 8)?))
}

/// A number below `end`: digits and nothing else, no sign and no zero before them.
pub fn digits(text: &str, end: u8) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (text == "0" || !text.starts_with('0'));
    let number: u8 = canonical.then(|| text.parse().ok()).flatten()?;
    (number < end).then_some(number)
}

fn time_unit(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" | "second" => 1_000_000_000,
        "minute" => 60_000_000_000,
        "hour" => 3_600_000_000_000,
        _ => return None,
    })
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let number = text.get(..end)?.parse().ok()?;
    Some((number, text.get(end..)?.trim()))
}

/// Bytes for a person.
pub fn show_size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift && bytes.trailing_zeros() >= shift {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

/// Nanoseconds for a person, in the largest unit that needs no fraction.
pub fn show_time(nanoseconds: u64) -> String {
    for (scale, unit) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
        if nanoseconds >= scale && nanoseconds.is_multiple_of(scale) {
            return format!("{} {unit}", nanoseconds / scale);
        }
    }
    format!("{nanoseconds} ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("64 KiB"), Some(65536));
        assert_eq!(size("1GiB"), Some(1 << 30));
        assert_eq!(size("64"), None);
        assert_eq!(size("99999999999 GiB"), None);
        assert_eq!(size("4194304 GiB"), Some(1 << 52));
        assert_eq!(size("18446744073709551615 B"), None);
        assert_eq!(show_size(65536), "64 KiB");
        assert_eq!(show_size(1000), "1000 B");
    }

    #[test]
    fn times() {
        assert_eq!(duration("20 ms"), Some(20_000_000));
        assert_eq!(rate("5 per minute"), Some((5, 60_000_000_000)));
        assert_eq!(rate("5"), None);
        assert_eq!(share("2 ms per 10ms"), Some((2_000_000, 10_000_000)));
        for text in ["2 ms", "2 ms per", "2 ms per 10", "2ms/10ms", "per 10 ms"] {
            assert_eq!(share(text), None, "{text}");
        }
        assert_eq!(show_time(2_000_000), "2 ms");
        assert_eq!(show_time(1_500_000), "1500 us");
        assert_eq!(show_time(1_000_000_000), "1 s");
        assert_eq!(show_time(1_001), "1001 ns");
    }

    #[test]
    fn numbers() {
        assert_eq!(device_id("1af4:1042"), Some((0x1af4, 0x1042)));
        assert_eq!(device_id("1af4"), None);
        assert_eq!(slot("3.1"), Some((3, 1)));
        assert_eq!(slot("32"), None);
        for text in ["+1", "-1", "1.+2", "1.", "", "01", "1.00", " 1", "1.8"] {
            assert_eq!(slot(text), None, "{text}");
        }
        for text in ["+af4:1042", "1af4:-042", "1af4:+042", "1af4:10 2"] {
            assert_eq!(device_id(text), None, "{text}");
        }
    }
}
