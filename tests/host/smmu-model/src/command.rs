//! Decoding of commands (IHI 0070 G.b, chapter 4), and what they come to mean for the caches.

use crate::Features;
use crate::tlb::Scope;

/// A command that the modelled part accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// No guarantee attached: prefetches.
    Hint,
    /// Forget STEs `first..=last` and the CDs of these streams; level-1 descriptors unless `leaf`.
    Streams {
        /// First stream.
        first: u32,
        /// Last stream.
        last: u32,
        /// Level-1 descriptors stay.
        leaf: bool,
    },
    /// Forget the CDs of one stream.
    Contexts {
        /// The stream.
        stream: u32,
    },
    /// Forget translations.
    Translations(Scope),
    /// Accepted, but its operands make it do nothing; the reason.
    Ineffective(&'static str),
    /// Complete everything before it.
    Sync,
}

const fn bits(word: u64, high: u32, low: u32) -> u64 {
    word >> low & (u64::MAX >> (63 - (high - low)))
}

/// Reads a command; an error makes the queue stop with CERROR_ILL.
///
/// # Errors
/// Why it is illegal.
pub fn decode(words: [u64; 2], features: &Features) -> Result<Command, &'static str> {
    let [low, high] = words;
    if bits(low, 10, 10) != 0 {
        return Err("SSec=1 on the non-secure queue");
    }
    let stream = bits(low, 63, 32) as u32;
    let inside = u64::from(stream) >> features.stream_bits == 0;
    match bits(low, 7, 0) {
        0x01 | 0x02 => Ok(Command::Hint),
        0x03 | 0x05 | 0x06 if !inside => Ok(Command::Ineffective("StreamID out of range")),
        0x03 => Ok(Command::Streams {
            first: stream,
            last: stream,
            leaf: bits(high, 0, 0) != 0,
        }),
        0x04 => {
            let range = bits(high, 4, 0) as u32;
            if range == 31 {
                return Ok(Command::Streams {
                    first: 0,
                    last: u32::MAX,
                    leaf: false,
                });
            }
            let low_bits = (2u32 << range.min(30)).wrapping_sub(1);
            Ok(Command::Streams {
                first: stream & !low_bits,
                last: stream | low_bits,
                leaf: false,
            })
        }
        0x05 if bits(low, 31, 12) != 0 => Ok(Command::Ineffective("SubstreamID not 0")),
        0x05 | 0x06 => Ok(Command::Contexts { stream }),
        0x10..=0x13 => translations(bits(low, 7, 0), low, high, features),
        0x20 if features.hyp => Ok(Command::Hint),
        0x30 => Ok(Command::Translations(Scope::World)),
        0x46 if bits(low, 13, 12) == 3 => Err("reserved completion signal"),
        0x46 => Ok(Command::Sync),
        _ => Err("opcode"),
    }
}

fn translations(
    opcode: u64,
    low: u64,
    high: u64,
    features: &Features,
) -> Result<Command, &'static str> {
    let vmid = bits(low, 47, 32) as u16;
    let asid = bits(low, 63, 48) as u16;
    if !features.stage2 && vmid != 0 {
        return Ok(Command::Ineffective("VMID without stage 2"));
    }
    let tagged = matches!(opcode, 0x11 | 0x12);
    if tagged && !features.asid16 && asid > 0xff {
        return Ok(Command::Ineffective("ASID beyond 8 bits"));
    }
    if !tagged && asid != 0 && features.strict {
        return Err("ASID of a command that has none");
    }
    match opcode {
        0x10 => return Ok(Command::Translations(Scope::Vmid(vmid))),
        0x11 => return Ok(Command::Translations(Scope::Asid { vmid, asid })),
        _ => {}
    }
    let (num, scale) = (bits(low, 16, 12), bits(low, 25, 20));
    let (level, granule) = (bits(high, 9, 8) as u32, bits(high, 11, 10));
    if !features.range && (num | scale | u64::from(level) | granule) != 0 {
        return Err("range operands without range invalidation");
    }
    let first = bits(high, 63, 12) << 12;
    let (bytes, level) = match granule {
        0 if num | scale | u64::from(level) != 0 => return Err("range operands without a granule"),
        0 => (1, 0),
        _ if num == 0 && scale == 0 && level == 0 => {
            return Err("reserved combination of range operands");
        }
        granule => {
            let shift = [12, 12, 14, 16][granule as usize];
            ((num + 1) << (scale as u32 + shift), level)
        }
    };
    let aligned = match (granule, level) {
        (1, 1) => bits(first, 29, 12) == 0,
        (1, 2) => bits(first, 20, 12) == 0,
        _ => true,
    };
    if !aligned {
        return Ok(Command::Ineffective("address not aligned to its level"));
    }
    Ok(Command::Translations(Scope::Range {
        vmid,
        asid: (opcode == 0x12).then_some(asid),
        first,
        last: first.saturating_add(bytes - 1),
        leaf_only: bits(high, 0, 0) != 0,
        level,
    }))
}
