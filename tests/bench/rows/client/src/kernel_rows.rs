//! Rows of the kernel alone: system calls, messages, notification, interrupt, fault.

use bench_protocol::{echo, supervisor};
use userlib::abi::Code;
use userlib::ipc::{self, Payload};
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::{config, time, wide};

use bench_protocol::row::{instructions, median, report};

/// `edu`'s register that raises its interrupt by the bits written.
const RAISE: usize = 0x60;

/// Runs those of tasks without devices, trusted with time or not; false if one failed.
pub fn run_plain() -> bool {
    if let Some(server) = Server::named("metered") {
        let complete = report("ipc-0-accounts", median(|| registers(&server, 0)));
        return complete & report("notify-accounts", median(|| notify(&server)));
    }
    let Some(server) = Server::named("plain") else {
        return report("null-syscall", None);
    };
    let mut complete = report(
        "null-syscall",
        median(|| Some(instructions(ipc::who_am_i).0)),
    );
    complete &= report("ipc-0", median(|| registers(&server, 0)));
    complete &= report("ipc-64", median(|| registers(&server, 64)));
    let wide = Server::named("wide");
    complete &= report("ipc-128", median(|| wide_registers(wide.as_ref()?)));
    complete &= report("ipc-128-memory", median(|| long::<128>(&server)));
    complete &= report("ipc-1024", median(|| long::<1024>(&server)));
    complete & report("notify", median(|| notify(&server)))
}

/// Runs those of drivers, and the supervisor's; false if one failed.
pub fn run() -> bool {
    let (Some(server), Some(supervisor)) = (Server::named("echo"), Server::named("supervisor"))
    else {
        return report("ipc-0-drivers", None);
    };
    let mut complete = report("ipc-0-drivers", median(|| registers(&server, 0)));
    complete &= report("notify-drivers", median(|| notify(&server)));
    complete &= report("irq", median(|| interrupt(&server)));
    complete & report("fault", median(|| fault(&supervisor)))
}

/// The row of an interrupt that comes as a message.
pub fn run_message() -> bool {
    let server = Server::named("echo");
    report("irq-msi", median(|| interrupt(server.as_ref()?)))
}

fn registers(server: &Server, len: usize) -> Option<u32> {
    let payload: Payload = [1, 2, 3, 4, 5, 6, 7, 8];
    let (taken, answer) = instructions(|| server.call(echo::ECHO, &payload, len, len, &[]));
    (answer.ok()?.len == len).then_some(taken)
}

/// 128 bytes each way, in registers.
fn wide_registers(server: &Server) -> Option<u32> {
    let payload = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    let (taken, answer) = instructions(|| wide::call(server.id(), echo::ECHO, &payload, 128, 128));
    (answer.code == Code::OK && answer.len == 128 && answer.payload == payload).then_some(taken)
}

fn long<const LEN: usize>(server: &Server) -> Option<u32> {
    let message = [0x5a; LEN];
    let mut reply = [0; LEN];
    let (taken, answer) = instructions(|| server.call_long(echo::ECHO, &message, &mut reply, &[]));
    (answer.ok()?.len == LEN && reply == message).then_some(taken)
}

/// From just before the post to the first instruction behind the other task's receive.
fn notify(server: &Server) -> Option<u32> {
    let go = config::notification_of(server.id().index() as u32, "go")?;
    let start = time::instructions();
    server.post(go).ok()?;
    since(server, start)
}

/// From just before the device's interrupt line rises to the first instruction behind the driver's receive.
fn interrupt(server: &Server) -> Option<u32> {
    let registers = MappedRegisters::of(config::mapping("edu0-bar0")?);
    let start = time::instructions();
    registers.write32(RAISE, 1);
    since(server, start)
}

fn since(server: &Server, start: u32) -> Option<u32> {
    let answer = server.call(echo::WOKEN_AT, &[0; 8], 0, 8, &[]).ok()?;
    Some((answer.payload[0] as u32).wrapping_sub(start))
}

fn fault(supervisor: &Server) -> Option<u32> {
    let answer = supervisor
        .call(supervisor::FAULT, &[0; 8], 0, 8, &[])
        .ok()?;
    Some(answer.payload[0] as u32)
}
