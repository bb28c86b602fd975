//! The polled console: a kernel's last words, and the supervisor's. Everything else goes through the
//! log task, which has the same device mapped; what is written here may land between its lines.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::boot::BootHeader;
use abi::layout::KERNEL_CONSOLE;
use kern::uart::{Registers, Transmitter};

/// How the plan says that the UART is written to; 0 until it is known.
static ACCESS: AtomicU32 = AtomicU32::new(0);

/// Remembers which UART it is.
pub fn configure(header: &BootHeader) {
    ACCESS.store(header.console_access, Ordering::Relaxed);
}

/// The page of the console's registers. The log task uses the same; both only write bytes and read flags, which
/// interleaves bytes and nothing worse.
struct Page;

/// Bytes of the registers that are used: a page.
const PAGE: usize = 4096;

impl Page {
    /// An address in the page, whatever the offset.
    fn at(offset: usize) -> usize {
        KERNEL_CONSOLE as usize + offset % PAGE
    }
}

impl Registers for Page {
    fn read8(&self, offset: usize) -> u8 {
        // SAFETY: the kernel's tables map the console's page there, as device memory.
        unsafe { (Self::at(offset) as *const u8).read_volatile() }
    }

    fn read32(&self, offset: usize) -> u32 {
        // SAFETY: as above; the offset of a register of 32 bits is a multiple of four, and `& !3` says so.
        unsafe { (Self::at(offset & !3) as *const u32).read_volatile() }
    }

    fn write8(&self, offset: usize, value: u8) {
        // SAFETY: as above.
        unsafe { (Self::at(offset) as *mut u8).write_volatile(value) }
    }

    fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { (Self::at(offset & !3) as *mut u32).write_volatile(value) }
    }
}

fn uart() -> Option<Transmitter<Page>> {
    let access = ACCESS.load(Ordering::Relaxed);
    (access != 0).then(|| Transmitter::new(Page, access))
}

/// Whether a byte can be written without waiting.
pub fn has_room() -> bool {
    uart().is_some_and(|uart| uart.has_room())
}

/// Writes one byte.
pub fn write_byte(byte: u8) {
    if let Some(uart) = uart() {
        uart.write(byte);
    }
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
