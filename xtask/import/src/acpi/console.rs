//! SPCR and DBG2: the serial port of the console (Microsoft's tables, SPCR 1.09 and DBG2 of 2023).

use super::bytes::{Bytes, index};
use super::finding::{FIRMWARE, Findings};

/// The port that the SPCR redirects the console to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uart {
    /// Kind of port, by the numbers of DBG2's subtypes.
    pub kind: u8,
    /// Address space: 0 is memory.
    pub space: u8,
    /// Bits of a register.
    pub bit_width: u8,
    /// Width of an access by a code.
    pub access_size: u8,
    /// Address of the registers.
    pub base: u64,
    /// Bits that say which interrupt numbers count; bit 3 is for the GSIV.
    pub interrupt_type: u8,
    /// Number of the interrupt.
    pub gsiv: u32,
    /// Speed by a code.
    pub baud_code: u8,
}

/// A port that DBG2 describes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DebugPort {
    /// Kind of port: 0x8000 is serial.
    pub port_type: u16,
    /// What port of that kind.
    pub subtype: u16,
    /// Its object in the namespace.
    pub path: String,
    /// Address and bytes of each block of registers.
    pub registers: Vec<(u64, u32)>,
}

/// DBG2's type of serial ports.
pub const SERIAL: u16 = 0x8000;

/// Name of a serial port by its subtype.
#[must_use]
pub fn serial_name(subtype: u16) -> &'static str {
    match subtype {
        0x00 => "16550",
        0x01 => "16450",
        0x03 => "pl011",
        0x04 => "qcom msm8x60",
        0x05 => "16550 nvidia",
        0x06 => "ti omap",
        0x08 => "apm88xxxx",
        0x09 => "qcom msm8974",
        0x0a => "samsung sam5250",
        0x0b => "intel usif",
        0x0c => "i.mx 6",
        0x0d => "sbsa 32-bit",
        0x0e => "sbsa",
        0x0f => "arm dcc",
        0x10 => "bcm2835",
        0x11 => "qcom sdm845 1.8432 MHz",
        0x12 => "16550 generic address",
        0x13 => "qcom sdm845 7.372 MHz",
        0x14 => "intel lpss",
        0x15 => "risc-v sbi",
        _ => "unknown",
    }
}

pub(super) fn spcr(table: Bytes<'_>, findings: &mut Findings<'_>) -> Option<Uart> {
    let read = || {
        Some(Uart {
            kind: table.u8(36)?,
            space: table.u8(40)?,
            bit_width: table.u8(41)?,
            access_size: table.u8(43)?,
            base: table.u64(44)?,
            interrupt_type: table.u8(52)?,
            gsiv: table.u32(54)?,
            baud_code: table.u8(58)?,
        })
    };
    let found = read();
    if found.is_none() {
        findings.error(
            36,
            format!("the table has {} bytes, and 59 are needed", table.len()),
            FIRMWARE,
        );
    }
    found
}

pub(super) fn dbg2(table: Bytes<'_>, findings: &mut Findings<'_>) -> Vec<DebugPort> {
    let mut ports = Vec::new();
    let (Some(first), Some(count)) = (table.u32(36), table.u32(40)) else {
        findings.error(
            36,
            format!("the table has {} bytes, and 44 are needed", table.len()),
            FIRMWARE,
        );
        return ports;
    };
    let mut at = index(first);
    for number in 0..count {
        let len = table.u16(at.saturating_add(1)).map_or(0, usize::from);
        let port = table.part(at, len).filter(|_| len >= 22);
        let Some(port) = port else {
            findings.error(
                at,
                format!("port {number} of {count} has a length of {len} bytes, or is outside of the table's {}", table.len()),
                FIRMWARE,
            );
            break;
        };
        match debug_port(port) {
            Some(port) => ports.push(port),
            None => findings.error(
                at,
                format!("port {number} has registers outside of its {len} bytes"),
                FIRMWARE,
            ),
        }
        at = at.saturating_add(len);
    }
    ports
}

fn debug_port(port: Bytes<'_>) -> Option<DebugPort> {
    let addresses = usize::from(port.u16(18)?);
    let sizes = usize::from(port.u16(20)?);
    let registers = (0..usize::from(port.u8(3)?)).map(|number| {
        let base = port.u64(addresses + number * 12 + 4)?;
        Some((base, port.u32(sizes + number * 4)?))
    });
    let registers = registers.collect::<Option<Vec<_>>>()?;
    let path_len = usize::from(port.u16(4)?);
    let path = port.part(usize::from(port.u16(6)?), path_len)?;
    Some(DebugPort {
        port_type: port.u16(12)?,
        subtype: port.u16(14)?,
        path: path.text(0),
        registers,
    })
}
