//! The SMMU as every case finds it: on, both streams aborting, nothing mapped, queues empty.

mod changes;

use edu::Direction;
use heapless::Vec;
use iommu::boot::{self, Found};
use iommu::events::EventQueue;
use iommu::hardware::Hardware;
use iommu::indices::SmmuIndex;
use iommu::mapped::Mapped;
use iommu::plan_view::PlanView;
use iommu::queue::CommandQueue;
use smmu::registers::{CR0, CR0ACK, IRQ_CTRL, IRQ_CTRLACK, cr0};
use smmu::{Command, Features};
use suite::{Failure, Result, Stage, check, check_is};
use userlib::config;
use userlib::plan::iommu::SmmuEntry;

use crate::board::{ACCESS, Board, MARKER, Pool};
use crate::device::Device;
use crate::tables;

/// What goes wrong in here is the case's failure.
pub type Got<T> = core::result::Result<T, Failure>;

/// log2 of the entries of both queues, so that they wrap and overflow soon.
pub const QUEUE_LOG2: u32 = 4;
/// Their entries.
pub const QUEUE_LEN: usize = 1 << QUEUE_LOG2;

/// The devices, by the order in the plan.
pub const FIRST: usize = 0;
/// See [`FIRST`].
pub const SECOND: usize = 1;
/// How many there are.
pub const DEVICES: usize = 2;

/// Page of the pool that the devices are filled from.
const SOURCE: usize = 0;

/// Everything there is.
pub struct Machine {
    /// Registers and table memory.
    pub smmu: Mapped,
    /// The plan's record, with small queues.
    pub entry: SmmuEntry,
    /// What the SMMU can do.
    pub features: Features,
    /// The server's command queue.
    pub commands: CommandQueue,
    /// The server's event queue.
    pub events: EventQueue,
    /// The devices.
    pub devices: Vec<Device, DEVICES>,
    /// Memory.
    pub pool: Pool,
    /// Physical address of the pool.
    pub pool_pa: u64,
    /// An address that nothing answers at.
    pub nowhere: u64,
}

impl Machine {
    /// Makes all tables anew and brings the SMMU up by the server's own code.
    pub fn start(stage: &Stage) -> Got<Self> {
        let plan = check_is!(PlanView::new(&config::blob()), Ok(plan) => plan);
        let planned = check_is!(plan.smmus.first(), Some(entry) => entry);
        let mut devices = Vec::new();
        for number in 0..DEVICES {
            let board = Board::new(number)?;
            board.wait_until_idle(stage)?;
            let planned = check_is!(config::devices().get(number), Some(device) => device);
            let device = check_is!(
                plan.devices.get(planned.device as usize), Some(device) => device);
            let stream = check_is!(plan.streams_of(device).first(), Some(stream) => stream);
            let domain = check_is!(plan.domain_of(device), Some((_, domain)) => domain);
            check!(
                devices
                    .push(Device {
                        board,
                        stream,
                        domain
                    })
                    .is_ok()
            );
        }
        // Off before the tables change under it. A transfer of an earlier case is over: one that came while it is off
        // could bypass it.
        let mut smmu = Mapped::new(planned);
        check!(boot::control(&mut smmu, CR0, CR0ACK, 0).is_ok());
        check!(boot::control(&mut smmu, IRQ_CTRL, IRQ_CTRLACK, 0).is_ok());
        for device in &devices {
            tables::renew(&mut smmu, planned, device);
        }
        let entry = SmmuEntry {
            command_log2: QUEUE_LOG2,
            event_log2: QUEUE_LOG2,
            ..*planned
        };
        let small = PlanView {
            smmus: &[entry],
            ..plan
        };
        let usable = boot::take_over(&mut smmu, &small, SmmuIndex::FIRST);
        let running = match usable.and_then(|found| match found {
            Found::Running(running) => Ok(running),
            Found::Other(features) => {
                boot::bring_up(&mut smmu, &small, SmmuIndex::FIRST, features, |_| false)
            }
        }) {
            Ok(running) => running,
            Err(why) => {
                return Err(Failure {
                    what: why.name(),
                    line: line!(),
                    values: None,
                    skipped: false,
                });
            }
        };
        check!(!running.adopted);
        let own = config::own().index;
        let pool = check_is!(plan.pools.get(plan.pools_of(own).0), Some(pool) => pool);
        Ok(Self {
            smmu,
            entry,
            features: running.features,
            commands: running.queue,
            events: running.events,
            devices,
            pool: Pool::new()?,
            pool_pa: pool.pa,
            nowhere: check_is!(config::parameter("nowhere"), Some(address) => address),
        })
    }

    /// The same with the first device's stream open, its buffer full of the marker, nothing mapped.
    pub fn open(stage: &Stage) -> Got<Self> {
        let mut machine = Self::start(stage)?;
        machine.open_stream(FIRST)?;
        machine.load(stage, FIRST)?;
        Ok(machine)
    }

    /// One of the devices.
    pub fn device(&self, number: usize) -> Got<&Device> {
        Ok(check_is!(self.devices.get(number), Some(device) => device))
    }

    /// StreamID of a device.
    pub fn stream(&self, number: usize) -> Got<u32> {
        Ok(self.device(number)?.stream.stream_id)
    }

    /// The first device's IOVA of a page of its window.
    pub fn iova(&self, page: u64) -> Got<u64> {
        Ok(self.device(FIRST)?.domain.iova_base + page * 4096)
    }

    /// Physical address of a page of the pool.
    pub fn page(&self, page: usize) -> u64 {
        self.pool_pa + page as u64 * 4096
    }

    /// Fills a device's buffer with the marker, through the last page of its window, which is empty again
    /// afterwards.
    fn load(&mut self, stage: &Stage, number: usize) -> Result {
        let last = self.device(number)?.domain.pages - 1;
        self.pool.put(SOURCE, MARKER);
        let leaf = tables::leaf(self.page(SOURCE), false);
        let iova = self.device(number)?.domain.iova_base + last * 4096;
        self.map(number, last, leaf)?;
        self.device(number)?.board.transfer(
            stage,
            Direction::FromMemory,
            iova,
            edu::TRANSFER_MAX,
        )?;
        self.map(number, last, 0)?;
        self.forget_all()?;
        self.silent()
    }

    /// The first device writes to memory.
    pub fn write(&self, stage: &Stage, iova: u64, len: usize) -> Result {
        let board = &self.device(FIRST)?.board;
        board.transfer(stage, Direction::ToMemory, iova, len)
    }

    /// The first device reads from memory.
    pub fn read(&self, stage: &Stage, iova: u64, len: usize) -> Result {
        let board = &self.device(FIRST)?.board;
        board.transfer(stage, Direction::FromMemory, iova, len)
    }

    /// Clears a page of the pool and has the first device write one access to `iova`: whether it arrived there.
    pub fn reaches(&self, stage: &Stage, iova: u64, page: usize) -> Got<bool> {
        self.pool.clear(page);
        self.write(stage, iova, ACCESS)?;
        if self.pool.arrived(page, ACCESS) {
            return Ok(true);
        }
        self.pool.has(page, 0)?;
        Ok(false)
    }

    /// Issues commands and waits until they are complete.
    pub fn issue(&mut self, commands: &[Command]) -> Result {
        for &command in commands {
            check!(self.commands.push(&mut self.smmu, command).is_ok());
        }
        check!(self.commands.sync(&mut self.smmu).is_ok());
        Ok(())
    }

    /// Forgets everything that is cached.
    pub fn forget_all(&mut self) -> Result {
        self.issue(&[Command::ConfigAll, Command::Sync, Command::TlbAll])
    }

    /// Writes CR0 and waits for it.
    pub fn control(&mut self, value: u32) -> Result {
        check!(boot::control(&mut self.smmu, CR0, CR0ACK, value).is_ok());
        Ok(())
    }

    /// CR0 as it is.
    pub fn control_now(&mut self) -> u32 {
        self.smmu.read32(CR0)
    }

    /// Turns one of its parts off, lets something be written, and turns it on again.
    pub fn while_off(&mut self, part: smmu::Field, act: impl FnOnce(&mut Self)) -> Result {
        let on = self.control_now();
        check!(part.is_set32(on) && cr0::SMMUEN.is_set32(on));
        self.control(on & !part.put32(1))?;
        act(self);
        self.control(on)
    }
}
