//! The UART that the kernel prints to.

use abi::console::{PL011, uart_16550};

use super::fields::Fields;
use super::registers::{PlatformDevice, PlatformDeviceKind};
use crate::report::{Mistake, Report, Spanned};

/// A console.
#[derive(Clone, Debug, Default)]
pub struct Console {
    /// The name of its registers among the platform's devices.
    pub device: String,
    /// Its kind of UART.
    pub kind: UartKind,
}

/// Kinds of UART that can be written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UartKind {
    /// Arm's.
    #[default]
    Pl011,
    /// What has the registers of a 16550.
    Uart16550 {
        /// Registers are `1 << shift` bytes apart.
        shift: u32,
        /// Bytes of an access.
        width: u32,
    },
}

impl UartKind {
    /// How a character is written: a word of [`abi::console`].
    pub fn access(self) -> u32 {
        match self {
            Self::Pl011 => PL011,
            Self::Uart16550 { shift, width } => uart_16550(shift, width == 1),
        }
    }
}

/// The table, before its device is looked for.
pub struct Told {
    device: Spanned<String>,
    kind: UartKind,
}

/// Reads `console`.
pub fn read_console(console: Fields<'_>) -> Option<Told> {
    let device = console.required("device", Fields::string);
    let kind = console.choice("kind", &[("pl011", false), ("16550", true)]);
    let number = |key, known: &[u32], text: &'static str| {
        let given = console.word(key)?;
        if !known.contains(&given.value) || !matches!(&kind, Some(kind) if kind.value) {
            let report = console.report();
            let draft = report.error(Mistake::BadValue, format!("`{key}` is not that of a UART"));
            draft
                .at(&given.span, text)
                .remedy("write what the manual of the UART, or its node in the device tree, says");
        }
        Some(given.value)
    };
    let shift = number(
        "register-shift",
        &[0, 1, 2, 3],
        "expected 0 to 3, of a `16550`",
    );
    let width = number(
        "register-width",
        &[1, 4],
        "expected 1 or 4 bytes, of a `16550`",
    );
    console.finish();
    let kind = match kind {
        Some(kind) if kind.value => UartKind::Uart16550 {
            shift: shift.unwrap_or(0),
            width: width.unwrap_or(1),
        },
        _ => UartKind::Pl011,
    };
    Some(Told {
        device: device?,
        kind,
    })
}

/// The console's device: plain registers, which the kernel and its owner write to.
pub fn known_console(
    report: &Report,
    devices: &[PlatformDevice],
    named: &[String],
    console: Told,
) -> Console {
    let device = console.device;
    let known = devices.iter().find(|known| known.name == device.value);
    match known {
        // Its table is there, and what is wrong with it was said.
        None if named.contains(&device.value) => {}
        None => {
            report
                .error(
                    Mistake::UnknownPlatformDevice,
                    "the console is not one of the platform's devices",
                )
                .at(&device.span, "no such table below [devices]");
        }
        Some(known) if known.kind != PlatformDeviceKind::Registers => {
            report
                .error(
                    Mistake::BadValue,
                    format!("`{}` is no console", device.value),
                )
                .at(&device.span, "the kernel writes characters to it")
                .with(&known.span, "the registers of a server")
                .remedy("name the device that is the UART");
        }
        Some(_) => {}
    }
    Console {
        device: device.value,
        kind: console.kind,
    }
}
