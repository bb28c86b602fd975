//! The functions of a machine that the core needs.

/// The machine under the core. Addresses are physical; the core passes only ranges that lie in one
/// region of the plan, checked when the plan was read.
pub trait Arch {
    /// Copies `len` bytes. The memory may be reached by devices at the same time: every byte is read
    /// once, and the ranges may be the same or overlap (then the result is unspecified bytes of the
    /// source).
    fn copy(&mut self, to: u64, from: u64, len: u64);

    /// Stores the first `len` bytes of the words, at most all of them, as [`Arch::copy`] does.
    fn store(&mut self, to: u64, words: &[u64; 8], len: u64);

    /// Loads `len` bytes into the first of 8 words, at most all of them, as [`Arch::copy`] does; the rest is zero.
    fn load(&mut self, from: u64, len: u64) -> [u64; 8];

    /// Stores `len` zero bytes; `at` and `len` are multiples of 4096.
    fn clear(&mut self, at: u64, len: u64);

    /// Lets an interrupt through (`true`) or holds it back in the interrupt controller. Holding back may
    /// take effect late: the interrupt can arrive once more.
    fn set_interrupt(&mut self, intid: u32, enabled: bool);

    /// Makes an interrupt that was taken come again as soon as it is let through.
    fn repeat_interrupt(&mut self, intid: u32);

    /// Chooses how an interrupt is triggered and routes it to this core; called once, at boot, while
    /// it is held back. Returns `false` if the machine has no such interrupt.
    #[must_use]
    fn route_interrupt(&mut self, intid: u32, edge: bool) -> bool;

    /// Lets message interrupts come; called once, at boot. The tables are those of
    /// [`MessageTablesEntry`](plan::kernel::MessageTablesEntry). Returns the number by which the interrupt translation
    /// service may know this core; none if the machine takes no messages, or firmware has tables of its own in use.
    fn start_messages(&mut self, configuration: u64, pending: u64) -> Option<u32>;

    /// Keeps all message interrupts pending (`true`), or takes them again.
    fn hold_messages(&mut self, held: bool);

    /// Ticks of the clock that tasks read as `CNTVCT_EL0`.
    fn now(&self) -> u64;

    /// Asks for a timer interrupt once `now()` reaches `deadline`; `u64::MAX` for none. Replaces the
    /// deadline asked for before; the interrupt comes at once if it has passed.
    fn set_timer(&mut self, deadline: u64);

    /// Writes the first of some bytes to the polled console, as many as it takes without waiting; how many.
    fn console(&mut self, from: u64, len: u64) -> u64;

    /// Whether the processor defers errors at a barrier (FEAT_RAS), so that the machine's fast path has to look
    /// for them there too.
    fn defers_errors(&self) -> bool;

    /// Ends the run with a verdict, 0 for pass. On a machine it does not come back.
    fn exit(&mut self, verdict: u64);

    /// The system cannot go on; says why and stops. On a machine it does not come back.
    fn fatal(&mut self, why: &'static str);
}
