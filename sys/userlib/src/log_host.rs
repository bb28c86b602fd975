//! On the host `defmt` needs a logger to link; records go nowhere.

#[defmt::global_logger]
struct Discard;

defmt::timestamp!("");

// SAFETY: nothing is shared, nothing is kept.
unsafe impl defmt::Logger for Discard {
    fn acquire() {}
    unsafe fn flush() {}
    unsafe fn release() {}
    unsafe fn write(_: &[u8]) {}
}
