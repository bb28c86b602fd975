//! The task around the core: maps configuration space and the BARs of quiesce recipes, enumerates, and serves.

mod hardware;
mod log;

use abi::notification;
use plan::pci::{FunctionEntry, HostBridgeEntry};
use plan::task::NotificationEntry;
use supervisor_api::Outcome;
use supervisor_api::client::{may_report, report};
use userlib::ipc::{self, Message, Received};
use userlib::{config, time};

use crate::{Answer, ConfigSpace, Fabric, Request, Server};
use hardware::Hardware;

/// The task's main loop. `before` is done before anything is looked at: a test's image lets something happen
/// to the machine there.
pub fn run(before: impl FnOnce(&dyn ConfigSpace, &[FunctionEntry])) -> ! {
    let blob = config::blob();
    let (Ok(host), Ok(functions)) = (
        blob.exactly_one::<HostBridgeEntry>(),
        blob.exact::<FunctionEntry>(),
    ) else {
        userlib::give_up!("the plan has no host bridge");
    };
    let Ok(mut fabric) = Fabric::new(host, functions) else {
        userlib::give_up!("the plan has more functions than this task can hold");
    };
    let hardware = Hardware::new(host);
    before(&hardware, functions);
    fabric.start(&hardware, &mut log::Log);
    let status = fabric.boot_status();
    log::summary(&status, functions.len(), fabric.going_on());
    if status.refused {
        give_notice();
    }
    serve(Server::new(
        fabric,
        hardware,
        authority().map(|(index, _)| index),
    ))
}

/// No driver will ever get its device, and a run that waits for one of them would wait for ever.
fn give_notice() {
    if may_report() {
        // Dead or not, the supervisor's answer changes nothing here: bus mastering stays off.
        let _ = report(Outcome::Fail, "the machine is not the one planned for");
    }
}

/// The task with `dma-authority`, and the bit that tells it of the end of a quiesce: the plan lets this task
/// post that bit to it alone.
fn authority() -> Option<(usize, u32)> {
    config::table::<NotificationEntry>()
        .iter()
        .find(|entry| entry.name.as_str() == pci_api::QUIESCED && entry.task != config::own().index)
        .map(|entry| (entry.task as usize, entry.bit))
}

/// Refusals that are logged. A hostile task could otherwise push everything else out of the log.
const REFUSALS_LOGGED: u32 = 32;

fn serve(mut server: Server<'static, Hardware>) -> ! {
    let mut refusals = 0;
    let mut turns = Turns {
        authority: authority(),
        armed: None,
    };
    // Before the first message too: an earlier life's resets may have to be waited for.
    turns.step(&mut server);
    let mut received = ipc::receive(notification::TIMER);
    loop {
        received = match &received {
            Received::Message(message) => {
                let answer = answer(&mut server, message, &mut refusals);
                turns.step(&mut server);
                ipc::reply_receive(
                    message.sender,
                    answer.code,
                    &answer.payload,
                    answer.len,
                    notification::TIMER,
                    &mut [],
                )
            }
            other => {
                if let Received::Notification(_) = other {
                    // It fires once.
                    turns.armed = None;
                }
                turns.step(&mut server);
                ipc::receive(notification::TIMER)
            }
        };
    }
}

/// What follows each message and notification.
struct Turns {
    authority: Option<(usize, u32)>,
    /// The kernel's timer as it was last set; a message that starts no recipe leaves it alone.
    armed: Option<u64>,
}

impl Turns {
    #[inline(always)]
    fn step(&mut self, server: &mut Server<'static, Hardware>) {
        let wake = server.step(|| time::now().nanoseconds());
        if wake.ended
            && let Some((index, bit)) = self.authority
        {
            // Refreshed each time: if it died meanwhile, its successor wants to know.
            let (id, _) = ipc::refresh(index);
            ipc::post(id, bit);
        }
        if wake.at != self.armed {
            self.armed = wake.at;
            time::set_timer(
                wake.at
                    .map(|at| time::Ticks(time::ticks(at).saturating_add(1))),
            );
        }
    }
}

#[inline(always)]
fn answer(server: &mut Server<'static, Hardware>, message: &Message, refusals: &mut u32) -> Answer {
    let request = Request {
        sender: usize::from(message.sender.number()),
        operation: message.operation,
        payload: &message.payload,
        len: message.len,
        reply_capacity: message.reply_capacity,
        leases: message.lease_count,
    };
    let answer = server.handle(&request, || time::now().nanoseconds());
    // The codes of snapshots are not this protocol's.
    if request.operation != status_api::OPERATION
        && let Some(error) = pci_api::Error::from_code(answer.code)
        && *refusals < REFUSALS_LOGGED
    {
        *refusals += 1;
        log::refused(&request, error);
    }
    answer
}
