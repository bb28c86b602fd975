//! The IOMMU task: the core over this task's mappings, the kernel and the PCI task.
//!
//! Plan: owns the SMMUs, has `dma-authority`, calls `pci`, is posted `pci-quiesced` by it, and posts
//! `iommu-fault` to drivers.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

mod task;

use iommu::plan_view::PlanView;
use iommu::{Reply, Request, Server};
use static_cell::StaticCell;
use task::hardware::Mapped;
use task::system::Surroundings;
use userlib::abi::{MESSAGE_MAX, notification};
use userlib::ipc::{self, Message, Received};
use userlib::time::{self, Ticks};
use userlib::{config, interrupt};
use zerocopy::IntoBytes;

userlib::task!(main);

type Core = Server<'static, Mapped, Surroundings>;

/// Words of the longest message.
const WORDS: usize = MESSAGE_MAX / size_of::<u64>();

/// The server is larger than a stack ought to be.
static CORE: StaticCell<Core> = StaticCell::new();
/// Where messages of over 64 bytes arrive.
static BUFFER: StaticCell<[u64; WORDS]> = StaticCell::new();

fn main() -> ! {
    let plan = match PlanView::new(&config::blob()) {
        Ok(plan) => plan,
        Err(why) => panic!("{}", why.name()),
    };
    let core = CORE.init_with(|| Server::empty(plan, Surroundings::new()));
    if let Err(why) = core.populate(Mapped::new) {
        panic!("{}", why.name());
    }
    core.boot();
    let interrupts = plan.smmus.iter().fold(0, |bits, smmu| {
        bits | smmu.event_interrupt | smmu.error_interrupt
    });
    serve(core, interrupts)
}

fn serve(core: &mut Core, interrupts: u32) -> ! {
    let buffer = BUFFER.init_with(|| [0; WORDS]);
    let quiesced = config::notification(pci_api::QUIESCED).unwrap_or(0);
    let mask = interrupts
        | quiesced
        | notification::PEER_UP
        | notification::HELD_DEATH
        | notification::TIMER;
    settle(core);
    let mut received = ipc::receive_into(mask, buffer.as_mut_bytes());
    loop {
        received = match received {
            Received::Message(message) => {
                let request = request(&message, buffer);
                if let Some(done) = core.handle_frequent(&request) {
                    // Leaves nothing to settle: it touches neither interrupts nor the timer.
                    let payload = [done.value, 0, 0, 0, 0, 0, 0, 0];
                    let buffer = buffer.as_mut_bytes();
                    ipc::reply_receive(message.sender, done.code, &payload, done.len, mask, buffer)
                } else {
                    answer(core, &message, mask, buffer)
                }
            }
            Received::Notification(bits) => {
                notified(core, bits, interrupts, quiesced);
                settle(core);
                ipc::receive_into(mask, buffer.as_mut_bytes())
            }
            Received::Dead => ipc::receive_into(mask, buffer.as_mut_bytes()),
        };
    }
}

#[inline(always)]
fn request<'a>(message: &Message, long: &'a [u64]) -> Request<'a> {
    Request {
        sender: message.sender,
        operation: message.operation,
        len: message.len,
        reply_capacity: message.reply_capacity,
        payload: message.payload,
        long,
        leases: message.lease_count,
    }
}

/// What a turn leaves to be done by system calls.
#[inline(always)]
fn settle(core: &mut Core) {
    let bits = core.take_unmask();
    if bits != 0 {
        interrupt::unmask(bits);
    }
    if let Some(deadline) = core.take_new_deadline() {
        time::set_timer(Some(Ticks(deadline)));
    }
}

/// Serves a message that is not one of the frequent ones, and receives the next.
#[inline(never)]
fn answer(core: &mut Core, message: &Message, mask: u32, buffer: &mut [u64; WORDS]) -> Received {
    let reply = core.handle_other(&request(message, buffer));
    settle(core);
    let buffer = buffer.as_mut_bytes();
    match reply {
        Reply::Now { code, payload, len } => {
            ipc::reply_receive(message.sender, code, &payload, len, mask, buffer)
        }
        Reply::Later => ipc::receive_into(mask, buffer),
    }
}

fn notified(core: &mut Core, bits: u32, interrupts: u32, quiesced: u32) {
    if bits & notification::HELD_DEATH != 0 {
        core.on_held_death();
    }
    if bits & interrupts != 0 {
        core.on_interrupt(bits & interrupts);
    }
    if bits & quiesced != 0 {
        core.on_quiesced();
    }
    if bits & notification::PEER_UP != 0 {
        core.system.refresh_pci();
        core.on_pci_up();
    }
    if bits & notification::TIMER != 0 {
        core.on_timer();
    }
}
