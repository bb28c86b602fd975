//! The polled console: a kernel's last words, and the supervisor's. Everything else goes through the
//! log task, which has the same device mapped; what is written here may land between its lines.

use core::ptr::NonNull;

use abi::layout::KERNEL_CONSOLE;
use arm_pl011_uart::{PL011Registers, Uart};
use safe_mmio::UniqueMmioPointer;

/// Polls for room before a byte of the kernel's own last words is given up. They take some milliseconds for each
/// byte, far more than a byte takes, so that a console without a clock cannot keep the kernel from ending.
const POLLS: u32 = 1 << 20;

fn uart() -> Option<Uart<'static>> {
    let registers = NonNull::new(KERNEL_CONSOLE as *mut PL011Registers)?;
    // SAFETY: the kernel's tables map the console there. The log task uses the same registers; both
    // only write bytes and read flags, which interleaves bytes and nothing worse.
    Some(Uart::new(unsafe { UniqueMmioPointer::new(registers) }))
}

/// Whether a byte can be written without waiting.
pub fn has_room() -> bool {
    uart().is_some_and(|uart| !uart.is_tx_fifo_full())
}

/// Writes one byte.
pub fn write_byte(byte: u8) {
    let Some(mut uart) = uart() else {
        return;
    };
    let mut polls = POLLS;
    while uart.is_tx_fifo_full() && polls > 0 {
        polls -= 1;
    }
    uart.write_word(byte);
}

/// Writes text.
pub fn write(text: &str) {
    for byte in text.bytes() {
        write_byte(byte);
    }
}

/// Writes a number in hexadecimal.
pub fn write_number(number: u64) {
    write("0x");
    for digit in (0..16).rev() {
        let nibble = (number >> (digit * 4) & 0xf) as u8;
        write_byte(if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        });
    }
}
