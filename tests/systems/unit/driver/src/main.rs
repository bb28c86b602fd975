//! One of two devices that only one reset makes quiet. Each is made quiet while the other is not claimed and while it is in
//! full use; then one driver dies while both are in use, and both begin a second life.
//!
//! Plan: a device, a pool, persistent memory `diary` that counts lives, and the notification `go` of the other driver.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use edu_helper::{Board, Reason, check, refused};
use iommu_api::client::{Device, Failure};
use iommu_api::{Error, Extent, MapFlags, PAGE};
use userlib::plan::task::DeviceEntry;
use userlib::registers::{MappedRegisters, Registers};
use userlib::server::Server;
use userlib::{config, ipc};

userlib::task!(main);

const BOTH: Extent = Extent { first: 0, pages: 2 };

/// The other driver.
struct Other {
    server: Server,
    bit: u32,
    go: u32,
}

impl Other {
    fn named(name: &str) -> Result<Self, Reason> {
        let peer = config::peer(name).ok_or("the plan has no other driver")?;
        Ok(Self {
            server: Server::at(peer.index as usize),
            bit: config::notification_of(peer.index, "go").ok_or("no right to post")?,
            go: config::notification("go").ok_or("no notification `go`")?,
        })
    }

    /// Lets the other go on.
    fn tell(&self) -> Result<(), Reason> {
        self.server.post(self.bit).map_err(|_| "the other is down")
    }

    /// Waits until the other says so.
    fn wait(&self) {
        let _ = ipc::receive(self.go);
    }
}

/// A driver and its device.
struct Driver<'a> {
    iommu: &'a Server,
    device: &'static DeviceEntry,
    seed: u8,
}

impl<'a> Driver<'a> {
    /// Claims, and shows that the device works.
    fn uses(&mut self) -> Result<Device<'a>, Reason> {
        let mut claim = Device::claim(self.iommu, self.device.device).map_err(Failure::name)?;
        let base = claim
            .map(0, BOTH, MapFlags::READ_WRITE)
            .map_err(Failure::name)?;
        check(self.moves(base)?, "the device does not reach its pool")?;
        Ok(claim)
    }

    fn moves(&mut self, base: u64) -> Result<bool, Reason> {
        self.seed += 1;
        // While the other's device is reset this one does not answer either.
        Board::new(self.device)?.moves(base, base + PAGE, self.seed)
    }

    /// As [`Self::uses`], and gives it back.
    fn uses_once(&mut self) -> Result<(), Reason> {
        self.uses()?.release().map_err(Failure::name)
    }
}

/// Counts a life; how many there were before.
fn lives() -> Result<u64, Reason> {
    let diary = config::mapping("diary").ok_or("no diary in the plan")?;
    let diary = MappedRegisters::of(diary);
    let before = diary.read64(0);
    diary.write64(0, before + 1);
    Ok(before)
}

/// Its device is made quiet beside one that is free, and beside one in use; then it dies.
fn first(driver: &mut Driver<'_>, other: &Other) -> Result<(), Reason> {
    driver.uses_once()?;
    other.tell()?;
    other.wait();
    // The other's is in use.
    driver.uses_once()?;
    other.tell()?;
    other.wait();
    let _claim = driver.uses()?;
    panic!("as planned, while both devices are in use");
}

/// The reset of the other's device cuts it off; it starts over, and is in use when the other dies.
fn second(driver: &mut Driver<'_>, other: &Other) -> Result<(), Reason> {
    other.wait();
    let mut claim = driver.uses()?;
    let base = claim.window().iova_base;
    other.tell()?;
    other.wait();
    check(!driver.moves(base)?, "a reset left its device in use")?;
    let more = claim.map(0, BOTH, MapFlags::READ);
    refused(more, Error::StreamBlocked)?;
    claim.release().map_err(Failure::name)?;
    let _claim = driver.uses()?;
    other.tell()?;
    loop {
        other.wait();
    }
}

fn unit(iommu: &Server) -> Result<(), Reason> {
    let device = config::devices().first().ok_or("no device in the plan")?;
    let is_first = device.name.as_str() == "edu0";
    let other = Other::named(if is_first { "second" } else { "first" })?;
    let mut driver = Driver {
        iommu,
        device,
        seed: if is_first { 0x10 } else { 0x40 },
    };
    match lives()? {
        0 if is_first => first(&mut driver, &other),
        0 => second(&mut driver, &other),
        // Its claim stays: a release would take the other's device along.
        1 => driver.uses().map(|_| ()),
        _ => Err("it was started more than once again"),
    }
}

fn main() -> ! {
    edu_helper::main(unit, "both stopped and started together")
}
