//! Requests, and how they travel in payload words.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;

use crate::Error;

/// A request: its operation and the reply it asks for.
pub trait Request: Wire {
    /// The operation it travels with.
    const OPERATION: Operation;
    /// Payload of a successful reply.
    type Reply: Wire;
}

/// Number of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Operation {
    /// [`ConfigRead`].
    ConfigRead = 1,
    /// [`ConfigWrite`].
    ConfigWrite = 2,
    /// [`Describe`].
    Describe = 3,
    /// [`GetBootStatus`].
    BootStatus = 4,
    /// [`BusMaster`].
    BusMaster = 5,
    /// [`QuiesceStart`].
    QuiesceStart = 6,
    /// [`QuiesceResult`].
    QuiesceResult = 7,
}

impl Operation {
    /// The operation of a message, or [`Error::Malformed`].
    pub const fn from_number(number: u16) -> Result<Self, Error> {
        Ok(match number {
            1 => Self::ConfigRead,
            2 => Self::ConfigWrite,
            3 => Self::Describe,
            4 => Self::BootStatus,
            5 => Self::BusMaster,
            6 => Self::QuiesceStart,
            7 => Self::QuiesceResult,
            _ => return Err(Error::Malformed),
        })
    }
}

/// Bytes of a configuration access; accesses are naturally aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Width {
    /// 8 bits.
    Byte = 1,
    /// 16 bits.
    HalfWord = 2,
    /// 32 bits.
    Word = 4,
}

impl Width {
    fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Byte),
            2 => Some(Self::HalfWord),
            4 => Some(Self::Word),
            _ => None,
        }
    }
    /// The bits that an access of this width carries.
    pub const fn mask(self) -> u32 {
        match self {
            Self::Byte => 0xff,
            Self::HalfWord => 0xffff,
            Self::Word => u32::MAX,
        }
    }
}

/// Reads the configuration space of the caller's own device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigRead {
    /// The device's number.
    pub device: u32,
    /// Byte offset, 0..=4095, a multiple of the width.
    pub offset: u16,
    /// Bytes to read.
    pub width: Width,
}

/// Answer of [`ConfigRead`]: the value, zero-extended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigValue(pub u32);

/// Writes a register of the allow-list in the configuration space of the caller's own device.
///
/// The allow-list (everything else is [`Error::WriteRefused`]):
///
/// | register | width | bits |
/// |---|---|---|
/// | Command, 0x04 | 16 | 10 (interrupt disable); the others as they are |
/// | Status, 0x06 | 16 | 8, 11 to 15, written as 1 to clear; the others 0 |
/// | Cache line size, 0x0c | 8 | all; without effect on PCI Express |
/// | Interrupt line, 0x3c | 8 | all; a note to software |
/// | Device status, PCI Express capability + 0x0a | 16 | 0 to 3, written as 1 to clear; the others 0 |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigWrite {
    /// The device's number.
    pub device: u32,
    /// Byte offset, 0..=4095, a multiple of the width.
    pub offset: u16,
    /// Bytes to write.
    pub width: Width,
    /// The value; bits beyond the width are 0.
    pub value: u32,
}

/// Asks what was found of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Describe {
    /// The device's number.
    pub device: u32,
}

/// Asks for the outcome of the enumeration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GetBootStatus;

/// Turns bus mastering of a device on or off.
///
/// On: also of the bridges above it, which would not forward its requests otherwise. Off: the
/// bridges follow when nothing below them needs it any more. Off is always granted, whatever state the
/// device is in. A posted read makes sure that the write has arrived before the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusMaster {
    /// The device's number.
    pub device: u32,
    /// Whether it may issue requests.
    pub on: bool,
}

/// Begins to make a device quiet by its recipe. When this has ended well, no request that the device
/// issued before can arrive any more. Its bus numbers, windows, BARs and command register are then as
/// planned, and bus mastering is off.
///
/// The reply comes at once; [`crate::QUIESCED`] is posted at the end, at the latest at the recipe's
/// deadline. Repeated while it runs, it is [`Error::Quiescing`] and changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuiesceStart {
    /// The device's number.
    pub device: u32,
}

/// Asks how the device's last quiesce went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuiesceResult {
    /// The device's number.
    pub device: u32,
}

/// A word with a 32-bit device number, nothing above it.
fn device_only(word: u64) -> Option<u32> {
    u32::try_from(word).ok()
}

/// `device | offset << 32 | width << 48`.
fn access_word(device: u32, offset: u16, width: Width) -> u64 {
    u64::from(device) | u64::from(offset) << 32 | (width as u64) << 48
}

fn access_from(word: u64) -> Option<(u32, u16, Width)> {
    let width = Width::from_number(word >> 48)?;
    Some((word as u32, (word >> 32) as u16, width))
}

impl Wire for ConfigRead {
    const LEN: usize = 8;
    fn to_words(&self) -> Payload {
        words([access_word(self.device, self.offset, self.width)])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let (device, offset, width) = access_from(payload[0])?;
        Some(Self {
            device,
            offset,
            width,
        })
    }
}

impl Wire for ConfigValue {
    const LEN: usize = 8;
    fn to_words(&self) -> Payload {
        words([u64::from(self.0)])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        u32::try_from(payload[0]).ok().map(Self)
    }
}

impl Wire for ConfigWrite {
    const LEN: usize = 16;
    fn to_words(&self) -> Payload {
        words([
            access_word(self.device, self.offset, self.width),
            u64::from(self.value),
        ])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let (device, offset, width) = access_from(payload[0])?;
        let value = u32::try_from(payload[1]).ok()?;
        (value & !width.mask() == 0).then_some(Self {
            device,
            offset,
            width,
            value,
        })
    }
}

impl Wire for BusMaster {
    const LEN: usize = 8;
    fn to_words(&self) -> Payload {
        words([u64::from(self.device) | u64::from(self.on) << 32])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let on = match payload[0] >> 32 {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self {
            device: payload[0] as u32,
            on,
        })
    }
}

macro_rules! names_a_device {
    ($($request:ident),*) => {$(
        impl Wire for $request {
            const LEN: usize = 8;
            fn to_words(&self) -> Payload {
                words([u64::from(self.device)])
            }
            fn from_words(payload: &Payload) -> Option<Self> {
                device_only(payload[0]).map(|device| Self { device })
            }
        }
    )*};
}
names_a_device!(Describe, QuiesceStart, QuiesceResult);

impl Wire for GetBootStatus {
    const LEN: usize = 0;
    fn to_words(&self) -> Payload {
        [0; 8]
    }
    fn from_words(_: &Payload) -> Option<Self> {
        Some(Self)
    }
}

macro_rules! requests {
    ($($request:ident => $operation:ident, $reply:ty;)*) => {$(
        impl Request for $request {
            const OPERATION: Operation = Operation::$operation;
            type Reply = $reply;
        }
    )*};
}
requests! {
    ConfigRead => ConfigRead, ConfigValue;
    ConfigWrite => ConfigWrite, ();
    Describe => Describe, crate::Description;
    GetBootStatus => BootStatus, crate::BootStatus;
    BusMaster => BusMaster, ();
    QuiesceStart => QuiesceStart, ();
    QuiesceResult => QuiesceResult, crate::QuiesceState;
}
