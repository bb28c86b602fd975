//! How a character is written to a console whose transmitter is polled, as one word of data: code knows no kind of UART.
//!
//! The data register is the first. Bit 5 of the status register says whether there is room, in both of the two kinds
//! that are planned: `UARTFR.TXFF` of a PL011 (Arm DDI 0183, 3.3.3), and "transmitter holding register empty" of the
//! line status register of a 16550 (Texas Instruments SLLS597, 8.3) and of the UARTs that have its registers at other
//! distances and widths, such as DesignWare's.

/// Field: offset of the status register in bytes.
pub const STATUS_OFFSET: u32 = 0xff;
/// Flag: the bit set means room; else it means none.
pub const ROOM_IF_SET: u32 = 1 << 8;
/// Flag: registers are accessed as bytes; else as words of 32 bits.
pub const BYTES: u32 = 1 << 9;
/// The bit of the status register that tells of room.
pub const STATUS_BIT: u32 = 5;

/// A PL011.
pub const PL011: u32 = 0x18;

/// A 16550 whose registers are `1 << shift` bytes apart, of at most 8 bytes.
pub const fn uart_16550(shift: u32, bytes: bool) -> u32 {
    let flags = if bytes {
        ROOM_IF_SET | BYTES
    } else {
        ROOM_IF_SET
    };
    5 << (shift & 3) | flags
}
