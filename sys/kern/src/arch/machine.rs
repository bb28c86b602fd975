//! The machine as the portable core sees it.

use abi::layout::KERNEL_WINDOW;
use kern::Arch;

use super::instructions::{isb, read_register, write_register};
use super::{console, copy, gic, messages, power, system_error};

/// The machine. Its state is in registers.
pub struct Machine;

impl Arch for Machine {
    #[inline(always)]
    fn copy(&mut self, to: u64, from: u64, len: u64) {
        // SAFETY: the core passes ranges of the plan's RAM only, and writes only where a task may
        // write, which is mapped writable in the window.
        unsafe { copy::physical(to, from, len) }
    }

    fn store(&mut self, to: u64, words: &[u64; 8], len: u64) {
        let len = len.min(size_of_val(words) as u64);
        // SAFETY: as for `copy`; the words are the kernel's own, and are only read.
        unsafe { copy::mapped(copy::in_window(to), words.as_ptr() as u64, len) }
    }

    fn load(&mut self, from: u64, len: u64) -> [u64; 8] {
        let mut words = [0; 8];
        let len = len.min(size_of_val(&words) as u64);
        // SAFETY: as for `copy`; the words are the kernel's own, and nobody else knows them.
        unsafe { copy::mapped(words.as_mut_ptr() as u64, copy::in_window(from), len) }
        words
    }

    fn clear(&mut self, at: u64, len: u64) {
        // SAFETY: as for `copy`: memory of the plan that a task may write.
        unsafe { copy::clear(at, len) }
    }

    #[inline(always)]
    fn set_interrupt(&mut self, intid: u32, enabled: bool) {
        gic::enable(intid, enabled);
    }

    fn repeat_interrupt(&mut self, intid: u32) {
        gic::repeat(intid);
    }

    fn route_interrupt(&mut self, intid: u32, edge: bool) -> bool {
        gic::route(intid, edge)
    }

    fn start_messages(&mut self, configuration: u64, pending: u64) -> Option<u32> {
        messages::start(configuration, pending)
    }

    fn hold_messages(&mut self, held: bool) {
        messages::hold(held);
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        read_register!("cntvct_el0")
    }

    #[inline(always)]
    fn set_timer(&mut self, deadline: u64) {
        // SAFETY: the timer raises an interrupt, which the kernel takes only from a task or when idle.
        unsafe { write_register!("cntv_cval_el0", deadline) };
        isb();
    }

    fn console(&mut self, from: u64, len: u64) -> u64 {
        let mut written = 0;
        while written < len && console::has_room() {
            let address = KERNEL_WINDOW | from.wrapping_add(written);
            // SAFETY: as in `copy`; a task may change the byte meanwhile, it is read once.
            console::write_byte(unsafe { (address as *const u8).read_volatile() });
            written += 1;
        }
        written
    }

    fn defers_errors(&self) -> bool {
        system_error::are_deferred()
    }

    fn exit(&mut self, verdict: u64) {
        power::exit(verdict)
    }

    fn fatal(&mut self, why: &'static str) {
        console::write("portcullis: ");
        console::write(why);
        console::write("\r\n");
        power::fail()
    }
}
