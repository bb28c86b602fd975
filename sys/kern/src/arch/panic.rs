//! The panic handler. The kernel is built so that nothing calls it; what the compiler could not prove,
//! ends here.

use super::{console, power};

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    console::write("portcullis: panic in the kernel");
    if let Some(location) = info.location() {
        console::write(" at ");
        console::write(location.file());
        console::write(" line ");
        console::write_number(u64::from(location.line()));
    }
    console::write("\r\n");
    power::fail()
}
