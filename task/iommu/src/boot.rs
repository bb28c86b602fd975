//! Bringing an SMMU up with every stream aborting, or adopting one that an earlier life left on.

use plan::iommu::SmmuEntry;
use smmu::registers::{
    AIDR, CMDQ_BASE, CMDQ_CONS, CMDQ_PROD, CR0, CR0ACK, CR1, CR2, EVENTQ_BASE, EVENTQ_CONS,
    EVENTQ_IRQ_CFG0, EVENTQ_PROD, GBPA, GERROR, GERROR_IRQ_CFG0, GERRORN, IDR0, IDR1, IDR3, IDR5,
    IIDR, IRQ_CTRL, IRQ_CTRLACK, STRTAB_BASE, STRTAB_BASE_CFG, cr0, cr1, cr2, gbpa, irq_ctrl,
    queue_base, strtab,
};
use smmu::{Command, Features};

use crate::boot_refusal::Refusal;
use crate::check;
use crate::events::EventQueue;
use crate::hardware::{Hardware, wait_for};
use crate::indices::{DeviceIndex, SmmuIndex};
use crate::limits::CONTROL_DEADLINE_NS;
use crate::plan_view::PlanView;
use crate::queue::CommandQueue;
use crate::recheck::{self, Altered};

/// An SMMU that translates, every planned stream under the server's control.
#[derive(Debug)]
pub struct Running {
    /// The features of the SMMU.
    pub features: Features,
    /// The command queue of the SMMU.
    pub queue: CommandQueue,
    /// The event queue of the SMMU.
    pub events: EventQueue,
    /// `GBPA.ABORT` was there and is set.
    pub reset_bypass_closed: bool,
    /// The tables are those of an earlier life, in use.
    pub adopted: bool,
    /// The tables that were not what the plan or a request made, and that are closed.
    pub altered: Altered,
}

/// The registers in which an SMMU says what it is: IDR0, IDR1, IDR3, IDR5, IIDR and AIDR, as they are.
pub fn identification<H: Hardware>(hardware: &mut H) -> [u32; 6] {
    [IDR0, IDR1, IDR3, IDR5, IIDR, AIDR].map(|register| hardware.read32(register))
}

/// Reads the ID registers.
pub fn features<H: Hardware>(hardware: &mut H) -> Result<Features, Refusal> {
    let idr0 = hardware.read32(IDR0);
    if idr0 == u32::MAX {
        return Err(Refusal::NoRegisters);
    }
    Ok(Features::decode(
        idr0,
        hardware.read32(IDR1),
        hardware.read32(IDR3),
        hardware.read32(IDR5),
        hardware.read32(AIDR),
    ))
}

/// The state in which a server finds an SMMU when it starts.
#[derive(Debug)]
pub enum Found {
    /// On, as an earlier life of the server left it.
    Running(Running),
    /// Anything else that can be used: it has to be brought up.
    Other(Features),
}

/// Takes SMMU `index` over if it is on with exactly the planned tables: an earlier life of this server left
/// it so, and nothing opens and nothing that works stops.
pub fn take_over<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
) -> Result<Found, Refusal> {
    let entry = plan.smmu(index);
    let features = features(hardware)?;
    check::features(&features, entry)?;
    check::memory(entry, &features)?;
    wait_acknowledged(hardware, CR0, CR0ACK, cr0::ALL)?;
    wait_acknowledged(hardware, IRQ_CTRL, IRQ_CTRLACK, irq_ctrl::ALL)?;
    if is_ours(hardware, entry, &features) {
        adopt(hardware, plan, index, features).map(Found::Running)
    } else {
        Ok(Found::Other(features))
    }
}

/// Brings SMMU `index`, which [`take_over`] has found usable, up, whatever it does now: it is closed, set up and
/// turned on with every stream aborting but those of devices with direct regions that `may_be_always_open`.
pub fn bring_up<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
    features: Features,
    may_be_always_open: impl Fn(DeviceIndex) -> bool,
) -> Result<Running, Refusal> {
    let entry = plan.smmu(index);
    let reset_bypass_closed = close_reset_bypass(hardware)?;
    control(hardware, CR0, CR0ACK, 0)?;
    control(hardware, IRQ_CTRL, IRQ_CTRLACK, 0)?;
    check::stream_tables(hardware, plan, index, &features)?;
    check::domains(hardware, plan, index, &features)?;
    check::always_open_streams(hardware, plan, index, may_be_always_open);
    set_up(hardware, entry)?;
    let mut running = Running {
        features,
        queue: CommandQueue::new(entry.command_queue, entry.command_log2, 0),
        events: EventQueue::new(entry.event_queue, entry.event_log2, 0, 0),
        reset_bypass_closed,
        adopted: false,
        altered: Altered::default(),
    };
    turn_on(hardware, &mut running)?;
    Ok(running)
}

const fn stream_base(entry: &SmmuEntry) -> u64 {
    strtab::RA.put(1) | strtab::ADDR.address(entry.tables_pa + entry.stream_l1)
}
const fn stream_config(entry: &SmmuEntry) -> u32 {
    strtab::FMT.put32(1)
        | strtab::SPLIT.put32(entry.stream_split)
        | strtab::LOG2SIZE.put32(entry.stream_log2)
}
const fn base(entry: &SmmuEntry, offset: u64, log2: u32) -> u64 {
    queue_base::ALLOCATE.put(1)
        | queue_base::ADDR.address(entry.tables_pa + offset)
        | queue_base::LOG2SIZE.put(log2 as u64)
}

/// `CR0` in operation. Where ATS exists, translated traffic is checked against STE.EATS, which is 0;
/// without the check a device could name any address as already translated.
const fn enabled(features: &Features) -> u32 {
    cr0::SMMUEN.put32(1)
        | cr0::EVENTQEN.put32(1)
        | cr0::CMDQEN.put32(1)
        | cr0::ATSCHK.put32(features.ats as u32)
}

fn is_ours<H: Hardware>(hardware: &mut H, entry: &SmmuEntry, features: &Features) -> bool {
    let table = strtab::ADDR.mask();
    let queue = queue_base::ADDR.mask() | queue_base::LOG2SIZE.mask();
    hardware.read32(CR0ACK) == enabled(features)
        && (hardware.read64(STRTAB_BASE) ^ stream_base(entry)) & table == 0
        && hardware.read32(STRTAB_BASE_CFG) == stream_config(entry)
        && (hardware.read64(CMDQ_BASE) ^ base(entry, entry.command_queue, entry.command_log2))
            & queue
            == 0
        && (hardware.read64(EVENTQ_BASE) ^ base(entry, entry.event_queue, entry.event_log2)) & queue
            == 0
}

/// Takes over a running SMMU. What an earlier life had queued completes first; nothing that it did is
/// taken for complete, so everything cached is forgotten once.
fn adopt<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
    features: Features,
) -> Result<Running, Refusal> {
    let entry = plan.smmu(index);
    let producer = hardware.read32(CMDQ_PROD);
    let mut queue = CommandQueue::new(entry.command_queue, entry.command_log2, producer);
    queue
        .catch_up(hardware)
        .map_err(|_| Refusal::CommandTimeout)?;
    let altered = recheck::tables(hardware, plan, index, &features)?;
    forget_all(hardware, &mut queue, &features)?;
    let consumer = hardware.read32(EVENTQ_CONS);
    Ok(Running {
        features,
        queue,
        // The flag as last acknowledged, so that a loss in between shows.
        events: EventQueue::new(entry.event_queue, entry.event_log2, consumer, consumer),
        reset_bypass_closed: gbpa::ABORT.is_set32(hardware.read32(GBPA)),
        adopted: true,
        altered,
    })
}

/// Makes traffic abort while the SMMU is off (§6.3.14). Where the register does not exist (reads 0),
/// only bus mastering being off keeps devices quiet until the SMMU is on.
fn close_reset_bypass<H: Hardware>(hardware: &mut H) -> Result<bool, Refusal> {
    let wait = |hardware: &mut H| {
        follows(hardware, |hardware| {
            !gbpa::UPDATE.is_set32(hardware.read32(GBPA))
        })
    };
    // A write while an update is under way is unpredictable.
    wait(hardware)?;
    let value = hardware.read32(GBPA) | gbpa::ABORT.put32(1) | gbpa::UPDATE.put32(1);
    hardware.write32(GBPA, value);
    wait(hardware)?;
    Ok(gbpa::ABORT.is_set32(hardware.read32(GBPA)))
}

/// Waits until what was written last to a control register is in force. An earlier life may have died between
/// the two, and until then it is not known what is on, and another write is unpredictable (§6.3.9).
fn wait_acknowledged<H: Hardware>(
    hardware: &mut H,
    register: usize,
    acknowledgement: usize,
    fields: u32,
) -> Result<(), Refusal> {
    follows(hardware, |hardware| {
        (hardware.read32(register) ^ hardware.read32(acknowledgement)) & fields == 0
    })
}

/// Writes a control register and waits until its acknowledgement follows (§6.3.9, §6.3.16);
/// [`Refusal::ControlTimeout`] if it does not.
pub fn control<H: Hardware>(
    hardware: &mut H,
    register: usize,
    acknowledgement: usize,
    value: u32,
) -> Result<(), Refusal> {
    hardware.publish();
    hardware.write32(register, value);
    follows(hardware, |hardware| {
        hardware.read32(acknowledgement) == value
    })
}

/// Waits until a control register is in the state that was asked for.
fn follows<H: Hardware>(
    hardware: &mut H,
    mut holds: impl FnMut(&mut H) -> bool,
) -> Result<(), Refusal> {
    wait_for(hardware, CONTROL_DEADLINE_NS, |hardware| {
        holds(hardware).then_some(())
    })
    .ok_or(Refusal::ControlTimeout)
}

/// Everything that can only be written while the SMMU and its queues are off.
fn set_up<H: Hardware>(hardware: &mut H, entry: &SmmuEntry) -> Result<(), Refusal> {
    hardware.write32(CR1, cr1::COHERENT);
    hardware.write32(CR2, cr2::RECINVSID.put32(1) | cr2::PTM.put32(1));
    let bases = [
        (STRTAB_BASE, stream_base(entry), strtab::ADDR.mask()),
        (
            CMDQ_BASE,
            base(entry, entry.command_queue, entry.command_log2),
            queue_base::ADDR.mask() | queue_base::LOG2SIZE.mask(),
        ),
        (
            EVENTQ_BASE,
            base(entry, entry.event_queue, entry.event_log2),
            queue_base::ADDR.mask() | queue_base::LOG2SIZE.mask(),
        ),
    ];
    for (register, value, kept) in bases {
        hardware.write64(register, value);
        if (hardware.read64(register) ^ value) & kept != 0 {
            return Err(Refusal::BaseRegister);
        }
    }
    hardware.write32(STRTAB_BASE_CFG, stream_config(entry));
    if hardware.read32(STRTAB_BASE_CFG) != stream_config(entry) {
        return Err(Refusal::BaseRegister);
    }
    for index in [CMDQ_PROD, CMDQ_CONS, EVENTQ_PROD, EVENTQ_CONS] {
        hardware.write32(index, 0);
    }
    // Interrupts by wire: an MSI address of 0 turns the SMMU's own messages off.
    hardware.write64(GERROR_IRQ_CFG0, 0);
    hardware.write64(EVENTQ_IRQ_CFG0, 0);
    // Errors of before are nobody's.
    let errors = hardware.read32(GERROR);
    hardware.write32(GERRORN, errors);
    Ok(())
}

/// Command queue, invalidation of whatever reset left in the caches, event queue and interrupts, then
/// translation (§3.11). Nothing is cached while SMMUEN is 0, so the invalidation is final.
fn turn_on<H: Hardware>(hardware: &mut H, running: &mut Running) -> Result<(), Refusal> {
    let all = enabled(&running.features);
    let events = all & !cr0::SMMUEN.put32(1);
    let commands = events & !cr0::EVENTQEN.put32(1);
    control(hardware, CR0, CR0ACK, commands)?;
    forget_all(hardware, &mut running.queue, &running.features)?;
    control(hardware, CR0, CR0ACK, events)?;
    let interrupts = irq_ctrl::GERROR.put32(1) | irq_ctrl::EVENTQ.put32(1);
    control(hardware, IRQ_CTRL, IRQ_CTRLACK, interrupts)?;
    control(hardware, CR0, CR0ACK, all)
}

fn forget_all<H: Hardware>(
    hardware: &mut H,
    queue: &mut CommandQueue,
    features: &Features,
) -> Result<(), Refusal> {
    let timeout = |_| Refusal::CommandTimeout;
    queue.push(hardware, Command::ConfigAll).map_err(timeout)?;
    queue.push(hardware, Command::Sync).map_err(timeout)?;
    queue.push(hardware, Command::TlbAll).map_err(timeout)?;
    if features.hypervisor {
        // Invalidations of different worlds in one batch: MMU-700, erratum 2812531.
        queue.push(hardware, Command::Sync).map_err(timeout)?;
        queue.push(hardware, Command::TlbEl2All).map_err(timeout)?;
    }
    queue.sync(hardware).map_err(timeout)
}
