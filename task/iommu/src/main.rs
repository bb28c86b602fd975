//! The IOMMU task: the core over this task's mappings, the kernel and the PCI task.
//!
//! Plan: owns the SMMUs, has `dma-authority`, calls `pci`, is posted `pci-quiesced` by it, and posts
//! `iommu-fault` to drivers.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod task;

use iommu::mapped::Mapped;
use iommu::plan_view::PlanView;
use iommu::{Reply, Request, Server, is_exchange, is_list, is_map, is_unmap};
use static_cell::StaticCell;
use supervisor_api::Outcome;
use supervisor_api::client::{may_report, report};
use task::system::Surroundings;
use userlib::abi::{MESSAGE_MAX, REGISTER_BYTES, ReplyDescriptor, notification};
use userlib::inbox::Inbox;
use userlib::ipc::Received;
use userlib::time::{self, Ticks};
use userlib::words::Delivery;
use userlib::{config, interrupt};

userlib::task!(main);

type Core = Server<'static, Mapped, Surroundings>;

/// Words of the longest message.
const WORDS: usize = MESSAGE_MAX / size_of::<u64>();

/// The server is larger than a stack ought to be.
static CORE: StaticCell<Core> = StaticCell::new();
/// The buffer in which messages of over 64 bytes arrive.
static BUFFER: StaticCell<[u64; WORDS]> = StaticCell::new();

fn main() -> ! {
    let plan = match PlanView::new(&config::blob()) {
        Ok(plan) => plan,
        Err(why) => userlib::give_up!("{}", why.name()),
    };
    let Some(core) = CORE.try_init_with(|| Server::empty(plan, Surroundings::new(), Mapped::new))
    else {
        userlib::give_up!("the server was started twice");
    };
    if let Err(why) = core.populate(Mapped::new) {
        userlib::give_up!("{}", why.name());
    }
    core.boot();
    give_notice(core);
    let interrupts = plan.smmus.iter().fold(0, |bits, smmu| {
        bits | smmu.event_interrupt | smmu.error_interrupt
    });
    serve(core, interrupts)
}

/// If the boot is refused no driver will ever get its device, and a run that waits for one of them would wait
/// for ever.
fn give_notice(core: &Core) {
    if core.is_refused() && may_report() {
        // Dead or not, the supervisor's answer changes nothing here: nothing is opened.
        let _ = report(Outcome::Fail, "the SMMU is not the one planned for");
    }
}

fn serve(core: &mut Core, interrupts: u32) -> ! {
    let Some(buffer) = BUFFER.try_init_with(|| [0; WORDS]) else {
        userlib::give_up!("the server was started twice");
    };
    let quiesced = config::notification(pci_api::QUIESCED).unwrap_or(0);
    let mask =
        interrupts | quiesced | notification::PEER | notification::HELD_DEATH | notification::TIMER;
    let bits = Bits {
        interrupts,
        quiesced,
    };
    after_turn(core);
    let Some((mut inbox, mut delivery)) = Inbox::open_for_words(mask, buffer) else {
        userlib::give_up!("the server was started twice");
    };
    loop {
        let (sender, form) = (delivery.sender, delivery.form);
        let [a, b, c, d, e, ..] = delivery.payload;
        // What is not a message has no form. None of these leaves anything to be done after the turn.
        let done = if delivery.is_message() && is_map(form) {
            core.map(sender, [a, b, c, d, e])
        } else if delivery.is_message() && is_unmap(form) {
            core.unmap(sender, [a, b, c, d])
        } else if delivery.is_message() && is_exchange(form) {
            core.exchange(sender, [a, b, c, d, e])
        } else if delivery.is_message() && is_list(form) {
            let buffer = inbox.buffer();
            if form.len() <= REGISTER_BYTES
                && let Some(first) = buffer.first_chunk_mut()
            {
                *first = delivery.payload;
            }
            core.serve_list(sender, form, buffer)
        } else {
            // A copy, so that the frequent ones never leave the registers.
            let mut copy = delivery;
            delivery = match other(core, &mut copy, inbox.buffer(), &bits) {
                Some(reply) => inbox.reply_words(sender, reply, &copy.payload),
                None => inbox.deliver(),
            };
            continue;
        };
        delivery = inbox.reply_word(sender, done.reply(), done.value());
    }
}

/// The notifications that the server waits for.
struct Bits {
    interrupts: u32,
    quiesced: u32,
}

/// Does what is not a frequent request. The reply, if there is one now, takes the place of the message.
#[inline(never)]
fn other(
    core: &mut Core,
    delivery: &mut Delivery,
    long: &[u64; WORDS],
    bits: &Bits,
) -> Option<ReplyDescriptor> {
    if !delivery.is_message() {
        if let Received::Notification(posted) = delivery.received() {
            notified(core, posted, bits);
        }
        return None;
    }
    let form = delivery.form;
    let reply = core.handle_other(&Request {
        sender: delivery.sender,
        operation: form.operation(),
        len: form.len(),
        reply_capacity: form.reply_capacity(),
        payload: delivery.payload,
        long,
        leases: form.leases(),
    });
    after_turn(core);
    match reply {
        Reply::Now { code, payload, len } => {
            delivery.payload = payload;
            Some(ReplyDescriptor::new(code, len.min(REGISTER_BYTES) as u16))
        }
        Reply::Later => None,
    }
}

/// Does by system calls what a turn leaves to be done.
#[inline(always)]
fn after_turn(core: &mut Core) {
    let bits = core.take_unmask();
    if bits != 0 {
        interrupt::unmask(bits);
    }
    if let Some(deadline) = core.take_new_deadline() {
        time::set_timer(Some(Ticks(deadline)));
    }
}

#[inline(never)]
fn notified(core: &mut Core, bits: u32, of: &Bits) {
    if bits & notification::HELD_DEATH != 0 {
        core.on_held_death();
    }
    if bits & of.interrupts != 0 {
        core.on_interrupt(bits & of.interrupts);
    }
    if bits & of.quiesced != 0 {
        core.on_quiesced();
    }
    if bits & notification::PEER != 0 {
        core.system.refresh_pci();
        core.on_pci_up();
        give_notice(core);
    }
    if bits & notification::TIMER != 0 {
        core.on_timer();
    }
    after_turn(core);
}
