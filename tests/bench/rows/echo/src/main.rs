//! The higher-priority side of the IPC, notification and interrupt rows.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{MESSAGE_MAX, REGISTER_BYTES, ReplyDescriptor};
use bench_protocol::echo;
use iommu_api::client::Device;
use userlib::inbox::Inbox;
use userlib::ipc::{Message, Payload, Received};
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::wide::{WideDelivery, WideInbox};
use userlib::{config, interrupt, time};

userlib::task!(main);

/// `edu`'s interrupt status and acknowledge registers.
const STATUS: usize = 0x24;
const ACKNOWLEDGE: usize = 0x64;

fn main() -> ! {
    if config::own().name.as_str() == "wide" {
        serve_wide();
    }
    let go = config::notification("go").unwrap_or(0);
    let iommu = Server::named("iommu");
    // A device sends messages only while it may write to memory: while it is claimed.
    let claim = iommu.as_ref().zip(config::device("edu0"));
    let claim = claim.map(|(iommu, edu)| Device::claim(iommu, edu.device));
    if matches!(claim, Some(Err(_))) {
        userlib::give_up!("the device cannot be claimed");
    }
    let device = config::device("edu0");
    let registers = device.and_then(|device| MappedRegisters::bar(device, 0));
    let line = device.map_or(0, |device| device.interrupt);
    interrupt::unmask(line);

    let mask = go | line;
    let mut buffer = [0; MESSAGE_MAX];
    let mut woken_at = 0;
    let Some((mut inbox, mut received)) = Inbox::open(mask, &mut buffer) else {
        userlib::give_up!("there is another inbox");
    };
    loop {
        received = match received {
            Received::Message(message) => answer(&message, woken_at, &mut inbox),
            Received::Notification(bits) => {
                woken_at = time::instructions();
                if let Some(registers) = registers.filter(|_| bits & line != 0) {
                    registers.write32(ACKNOWLEDGE, registers.read32(STATUS));
                    interrupt::unmask(line);
                }
                inbox.receive()
            }
            Received::Dead => inbox.receive(),
        };
    }
}

/// Inlined, so that what is measured is a server's ordinary loop.
#[inline(always)]
fn answer(message: &Message, woken_at: u32, inbox: &mut Inbox<'_, [u8; MESSAGE_MAX]>) -> Received {
    if message.operation == echo::WOKEN_AT {
        let payload: Payload = [u64::from(woken_at), 0, 0, 0, 0, 0, 0, 0];
        return inbox.reply_receive(message.sender, 0, &payload, 8);
    }
    if message.len <= REGISTER_BYTES {
        return inbox.reply_receive(message.sender, 0, &message.payload, message.len);
    }
    // What was received is the reply: the kernel copies it back out before it receives again.
    inbox.reply_receive_in_place(message.sender, 0, message.len)
}

/// Takes messages of up to 128 bytes in registers, and refuses all others.
#[inline(never)]
fn serve_wide() -> ! {
    let mut nothing: [u8; 0] = [];
    let Some((mut inbox, mut delivery)) = WideInbox::open_for_words(0, &mut nothing) else {
        userlib::give_up!("there is another inbox");
    };
    loop {
        let WideDelivery { first, rest } = delivery;
        delivery = if delivery.is_wide() {
            let reply = ReplyDescriptor::new(0, first.form.len() as u16).wide();
            inbox.reply_words(first.sender, reply, &first.payload, &rest)
        } else if first.is_message() {
            let refused = ReplyDescriptor::new(1, 0);
            inbox.reply_words(first.sender, refused, &[0; 8], &[0; 8])
        } else {
            inbox.deliver()
        };
    }
}
