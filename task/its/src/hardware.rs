//! The service as the core reaches it.

/// Its control registers and its memory. The task implements it over its mappings, tests over a model.
///
/// Accesses take `&mut self` so that a model may do anything at any of them. Offsets are in bytes and naturally aligned.
pub trait Hardware {
    /// Reads a 32-bit register (`its::registers`).
    fn read32(&mut self, register: usize) -> u32;
    /// Writes a 32-bit register. Not ordered against memory; see [`Self::publish`].
    fn write32(&mut self, register: usize, value: u32);
    /// Reads a 64-bit register.
    fn read64(&mut self, register: usize) -> u64;
    /// Writes a 64-bit register.
    fn write64(&mut self, register: usize, value: u64);
    /// Loads a word of the memory; 0 outside.
    fn load(&mut self, offset: u64) -> u64;
    /// Stores a word; nothing outside. The service and the redistributor may see it at once, or not before the next
    /// [`Self::publish`] of it.
    fn store(&mut self, offset: u64, value: u64);
    /// Stores to these bytes are visible to the service and to the redistributor before anything later of this task is,
    /// whether they snoop the caches or not.
    fn publish(&mut self, offset: u64, bytes: u64);
    /// Now, in ticks.
    fn now(&mut self) -> u64;
    /// Nanoseconds as ticks.
    fn ticks(&self, nanoseconds: u64) -> u64;
}
