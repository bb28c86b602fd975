//! Claims every device. What is given has to work: an edu moves data through memory, an NVMe controller carries out
//! a command there. What is refused must have bus mastering off. Both are compared with what the run was told to expect.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use differences_judge::nvme::Nvme;
use differences_judge::{DEVICES_MAX, Expected, Found, judge};
use edu::{Direction, Edu, Transfer, pattern};
use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, MapFlags};
use pci_api::client::Client;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::delay::{Delay, Polling};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::Table;
use userlib::plan::task::{DeviceEntry, MappingKind};
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::{config, ipc};

userlib::task!(main);

const EDU: u16 = 0x11e8;
const NVME: u16 = 0x0010;

/// The device that is not tried, but says what to expect of the others: a virtio SCSI controller, by the field
/// `cmd_per_lun` of its configuration (virtio 1.1, 5.6.4), which QEMU puts at this place of BAR 4.
const EXPECTED: &str = "expected";
const SHOWN_IN: usize = 4;
const SHOWN_AT: usize = 0x2000 + 12;

const PAGE: usize = 4096;
/// Bytes that an edu moves.
const LENGTH: usize = 64;
/// How long something is waited for before it is taken not to happen any more: 3 s.
const LOOKS: Polling = Polling {
    interval_us: 10_000,
    waits: 300,
};

/// A device at work.
enum Work {
    Edu(Edu<MappedRegisters>),
    Nvme,
    /// It can do no DMA.
    Idle,
}

/// A device that was given, with two pages of the pool: one to read from, one to write to.
struct Given<'s> {
    claim: Device<'s>,
    work: Work,
    from: u64,
    to: u64,
}

struct Judge<'s> {
    pci: &'s Server,
    iommu: &'s Server,
    pool: PoolMemory,
    expected: Expected,
    given: [Option<Given<'s>>; DEVICES_MAX],
}

fn eventually(mut ready: impl FnMut() -> bool) -> bool {
    let looks = LOOKS.until(&mut Delay::new(), || ready().then_some(()));
    looks.is_some()
}

impl<'s> Judge<'s> {
    fn page(&self, number: usize) -> PoolMemory {
        self.pool.part(number * PAGE, PAGE)
    }

    /// Claims a device, and compares what comes of it.
    fn claim(&mut self, index: usize, device: &'static DeviceEntry) -> Result<(), &'static str> {
        let claim = match Device::claim(self.iommu, device.device) {
            Ok(claim) => Some(claim),
            // Unavailable: the SMMU is not the planned one.
            Err(Failure::Refused(Error::Blocked | Error::Unavailable)) => None,
            Err(error) => return Err(error.name()),
        };
        let described = Client(self.pci).describe(device.device);
        let found = Found {
            given: claim.is_some(),
            masters: described.map_err(|_| "not described")?.bus_master,
        };
        judge(found, self.expected.is_blocked(index))?;
        let place = self.given.get_mut(index).ok_or("too many devices")?;
        if let Some(mut claim) = claim {
            let mut map = |page, flags| {
                let first = (2 * index + page) as u32;
                claim
                    .map(0, Extent { first, pages: 1 }, flags)
                    .map_err(Failure::name)
            };
            let (from, to) = (map(0, MapFlags::READ_WRITE)?, map(1, MapFlags::READ_WRITE)?);
            let work = match device.device_id {
                EDU => {
                    let registers = MappedRegisters::bar(device, 0).ok_or("no BAR")?;
                    Work::Edu(Edu::new(registers).map_err(|_| "no edu that answers")?)
                }
                NVME => Work::Nvme,
                _ => Work::Idle,
            };
            *place = Some(Given {
                claim,
                work,
                from,
                to,
            });
        }
        Ok(())
    }

    /// Starts a transfer of every edu that was given, and waits for all of them.
    fn transfer(&self, direction: Direction) -> Result<(), &'static str> {
        let given = || self.given.iter().flatten();
        for given in given() {
            if let Work::Edu(edu) = &given.work {
                let iova = match direction {
                    Direction::FromMemory => given.from,
                    Direction::ToMemory => given.to,
                };
                let transfer = Transfer {
                    direction,
                    iova,
                    offset: 0,
                    len: LENGTH,
                };
                edu.start(&transfer)
                    .map_err(|_| "a transfer did not start")?;
            }
        }
        let busy = |given: &Given<'_>| matches!(&given.work, Work::Edu(edu) if edu.busy());
        if eventually(|| !given().any(busy)) {
            Ok(())
        } else {
            Err("a transfer did not end")
        }
    }

    /// Has everything that was given do DMA, and looks at what came of it.
    fn work(&self, devices: Table<'static, DeviceEntry>) -> Result<(), &'static str> {
        for index in 0..devices.len() {
            pattern::write(&self.page(2 * index), 0, LENGTH, index as u8);
            self.page(2 * index + 1).fill(0, PAGE, 0);
        }
        publish();
        self.transfer(Direction::FromMemory)?;
        self.transfer(Direction::ToMemory)?;
        acquire();
        for (index, (device, given)) in devices.iter().zip(&self.given).enumerate() {
            let name = device.name.as_str();
            let to = self.page(2 * index + 1);
            let did = match given {
                None => to.read64(0) == 0,
                Some(Given {
                    work: Work::Edu(_), ..
                }) => pattern::differences(&to, 0, LENGTH, index as u8) == 0,
                Some(Given {
                    work: Work::Nvme,
                    from,
                    to: completions,
                    ..
                }) => {
                    let nvme = Nvme {
                        registers: MappedRegisters::bar(device, 0).ok_or("no BAR")?,
                        submissions: (self.page(2 * index), *from),
                        completions: (to, *completions),
                    };
                    has_answered(&nvme)?
                }
                Some(Given {
                    work: Work::Idle, ..
                }) => true,
            };
            match (did, given) {
                (true, Some(_)) => defmt::info!("{=str}: works", name),
                (true, None) => defmt::info!("{=str}: is blocked", name),
                (false, _) => {
                    defmt::error!("{=str}: its DMA is not what was asked for", name);
                    return Err("a device did not do as asked");
                }
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), &'static str> {
        // Its answer comes when the registers are where the plan has them; a planned function that is not there is waited for.
        let devices = config::devices();
        for device in devices {
            let described = Client(self.pci).describe(device.device);
            described.map_err(|_| "not described")?;
        }
        self.expected = expected()?;
        for (index, device) in devices.iter().enumerate() {
            if device.name.as_str() == EXPECTED {
                continue;
            }
            if let Err(reason) = self.claim(index, device) {
                defmt::error!("{=str}: {=str}", device.name.as_str(), reason);
                return Err(reason);
            }
        }
        self.work(devices)?;
        for given in self.given.iter_mut().filter_map(Option::take) {
            let Given {
                mut claim,
                from,
                to,
                ..
            } = given;
            claim.unmap(from, 1).map_err(Failure::name)?;
            claim.unmap(to, 1).map_err(Failure::name)?;
            claim.release().map_err(Failure::name)?;
        }
        Ok(())
    }
}

/// Has an NVMe controller carry out a command, and turns it off again.
fn has_answered<R: Registers, M: Memory>(nvme: &Nvme<R, M>) -> Result<bool, &'static str> {
    nvme.turn_off();
    if !eventually(|| nvme.is_off()) {
        return Err("the controller stays on");
    }
    nvme.turn_on();
    if !eventually(|| nvme.is_on()) {
        return Err("the controller stays off");
    }
    nvme.ask();
    let answered = eventually(|| nvme.has_answered());
    nvme.turn_off();
    if eventually(|| nvme.is_off()) {
        Ok(answered)
    } else {
        Err("the controller stays on")
    }
}

/// What QEMU's command line says that has to be blocked.
fn expected() -> Result<Expected, &'static str> {
    let device = config::device(EXPECTED).ok_or("the plan does not say what to expect")?;
    let registers = MappedRegisters::bar(device, SHOWN_IN).ok_or("no BAR")?;
    Ok(Expected(registers.read32(SHOWN_AT)))
}

fn main() -> ! {
    let (Some(pci), Some(iommu)) = (Server::named("pci"), Server::named("iommu")) else {
        panic!("the plan has no pci or no iommu for this task");
    };
    let Some(pool) = config::mappings(MappingKind::Pool).next() else {
        panic!("the plan has no pool for this task");
    };
    let mut judge = Judge {
        pci: &pci,
        iommu: &iommu,
        pool: PoolMemory::of(pool),
        expected: Expected(0),
        given: [const { None }; DEVICES_MAX],
    };
    let sent = match judge.run() {
        Ok(()) => report(Outcome::Pass, "what differs is blocked, the rest works"),
        Err(reason) => report(Outcome::Fail, reason),
    };
    if sent.is_err() {
        panic!("the supervisor does not take the report");
    }
    loop {
        // Done; there is nothing to wait for.
        let _ = ipc::receive(0);
    }
}
