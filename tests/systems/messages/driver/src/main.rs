//! What devices can do with messages, and without them.
//!
//! `loud` and `quiet` signal by messages, `mute` does not. The first life tries out delivery, masks and the doorbell, then lets
//! `loud` storm until it is cut off, with the owner of the interrupt translation service dying on the way. The second finds
//! everything as at the first.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::notification::TIMER;
use edu::channel::Channel;
use edu::{Direction, Transfer};
use edu_helper::{Reason, check};
use iommu_api::client::{Device, Failure};
use userlib::ipc::{self, Received};
use userlib::memory::{Memory, PoolMemory};
use userlib::plan::task::DeviceEntry;
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::{config, interrupt, privileged, time};

userlib::task!(main);

/// Sets interrupt status bits, and signals.
const RAISE: usize = 0x60;
/// How long a message may take.
const PATIENCE: u64 = 200_000_000;
/// Until what does not come counts as not coming.
const SILENCE: u64 = 5_000_000;
/// As often as a message may come late (IPC-MSG-3).
const LATE: u32 = 250;
/// Event of an access to an IOVA that nothing is mapped at (IHI 0070, 7.3.12, F_TRANSLATION).
const TRANSLATION: u8 = 0x10;

struct Edu<'s> {
    entry: &'static DeviceEntry,
    registers: MappedRegisters,
    channel: Channel,
    claim: Device<'s>,
}

impl<'s> Edu<'s> {
    fn claimed(iommu: &'s Server, name: &str) -> Result<Self, Reason> {
        let entry = edu_helper::device(name)?;
        Ok(Self {
            entry,
            registers: MappedRegisters::bar(entry, 0).ok_or("an edu without registers")?,
            channel: Channel::new(entry).map_err(|_| "not an edu that answers")?,
            claim: Device::claim(iommu, entry.device).map_err(Failure::name)?,
        })
    }

    fn raise(&self) {
        self.registers.write32(RAISE, 1);
    }

    fn unmask(&self) -> bool {
        interrupt::unmask(self.entry.interrupt) == self.entry.interrupt
    }

    /// Whether its message is told within a time.
    fn hears(&self, nanoseconds: u64) -> bool {
        time::set_timer(Some(time::now().after(nanoseconds)));
        let bits = self.entry.interrupt | TIMER;
        let heard = match ipc::receive(bits) {
            Received::Notification(found) => found & self.entry.interrupt != 0,
            Received::Message(_) | Received::Dead => false,
        };
        time::set_timer(None);
        heard
    }

    /// Writes a word by DMA; whether the SMMU refused it.
    fn writes(&self, iova: u64) -> Result<bool, Reason> {
        let transfer = Transfer {
            direction: Direction::ToMemory,
            iova,
            offset: 0,
            len: 4,
        };
        self.channel
            .run(&transfer)
            .map_err(|_| "a transfer did not end")?;
        let fault = self.claim.next_fault().map_err(Failure::name)?;
        check(
            fault.is_none_or(|fault| (fault.event, fault.iova) == (TRANSLATION, iova)),
            "another fault than planned",
        )?;
        Ok(fault.is_some())
    }
}

/// One told message for each time it is let through.
fn delivery(edu: &Edu<'_>) -> Result<(), Reason> {
    edu.raise();
    check(
        !edu.hears(SILENCE),
        "a message is told before it is let through",
    )?;
    check(edu.unmask(), "a message cannot be let through")?;
    check(edu.hears(PATIENCE), "a message that came early is not told")?;
    for _ in 0..20 {
        check(edu.unmask(), "a message cannot be let through")?;
        edu.raise();
        check(edu.hears(PATIENCE), "a message is not told")?;
        for _ in 0..3 {
            edu.raise();
        }
        check(!edu.hears(SILENCE), "a message is told while it is masked")?;
        check(edu.unmask(), "a message cannot be let through")?;
        check(
            edu.hears(PATIENCE),
            "messages that came meanwhile are not told",
        )?;
        check(edu.unmask(), "a message cannot be let through")?;
        check(!edu.hears(SILENCE), "several messages are told one by one")?;
        interrupt::mask(edu.entry.interrupt);
    }
    Ok(())
}

/// The doorbell is in the domains of devices that signal by messages, and in no other. QEMU's DMA writes have no id of their
/// device, so that what one writes there is nobody's message: the model of the service shows the rest.
fn doorbell(loud: &Edu<'_>, mute: &Edu<'_>) -> Result<(), Reason> {
    let doorbell = config::parameter("its").ok_or("no parameter `its`")? + 0x40;
    check(loud.unmask(), "a message cannot be let through")?;
    check(
        !loud.writes(doorbell)?,
        "the doorbell is not mapped for who has messages",
    )?;
    check(!loud.hears(SILENCE), "a write without an id signals")?;
    check(
        mute.writes(doorbell)?,
        "the doorbell is mapped for who has none",
    )?;
    check(!loud.hears(SILENCE), "a device signals for another")?;
    // The page before it has the control registers.
    let control = doorbell - 0x1_0040;
    check(loud.writes(control)?, "the control registers are mapped")
}

/// It comes too often, and is cut off; the other goes on.
fn storm(loud: &Edu<'_>, quiet: &Edu<'_>) -> Result<(), Reason> {
    let its = config::peer("its").ok_or("the plan does not name its")?;
    interrupt::mask(loud.entry.interrupt);
    // At its next call, which is that for the storm: its next life has to see to it.
    privileged::arm_fault(its.index as usize, 1);
    for _ in 0..=LATE {
        loud.raise();
    }
    check(!loud.unmask(), "a storm is not cut off")?;
    for _ in 0..5 {
        check(quiet.unmask(), "another message is cut off, too")?;
        quiet.raise();
        check(quiet.hears(PATIENCE), "another message is not told")?;
    }
    loud.raise();
    check(!loud.hears(SILENCE), "what is cut off is told")?;
    check(
        !loud.unmask(),
        "what is cut off is let through in the same life",
    )
}

fn messages(iommu: &Server) -> Result<(), Reason> {
    let diary = config::mapping("diary").ok_or("no mapping `diary`")?;
    let diary = PoolMemory::of(diary);
    let life = diary.read32(0);
    diary.write32(0, life + 1);
    let loud = Edu::claimed(iommu, "loud")?;
    let quiet = Edu::claimed(iommu, "quiet")?;
    let mute = Edu::claimed(iommu, "mute")?;
    check(
        loud.entry.vectors == 1 && mute.entry.vectors == 0,
        "other vectors than planned",
    )?;
    delivery(&loud)?;
    delivery(&quiet)?;
    if life > 0 {
        return Ok(());
    }
    doorbell(&loud, &mute)?;
    storm(&loud, &quiet)?;
    panic!("as planned: a life that was cut off ends");
}

fn main() -> ! {
    edu_helper::main(messages, "told, masked, cut off, and told again")
}
