//! The plan as the kernel reads it: checked once, at boot, so that nothing later has to doubt it.
//!
//! The build tool makes these tables right; the checks are for an image put together from parts that
//! do not belong together, which must not run.

use abi::{Rights, TASKS_MAX, layout, notification};
use plan::kernel::{
    AccountEntry, InterruptClass, InterruptEntry, KernelEntry, KernelFlags, LifeEvent,
    ListenerEntry, MessageTablesEntry, PostEntry, RegionAttributes, RegionEntry, TaskEntry,
    WindowEntry,
};
use plan::limits::{MESSAGE_INTERRUPTS, SHARED_INTERRUPTS};
use plan::{Blob, BlobError, NONE};

/// Why the plan cannot be run. The number is the index of the record concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlanError {
    /// The tables cannot be read.
    Blob(BlobError),
    /// Supervisor, authority or flags.
    System,
    /// Place or order of a range of the kernel's window.
    Window(usize),
    /// No task, or more than [`TASKS_MAX`].
    TaskCount,
    /// Order, entry, stack, tables, rights, or peers of a task.
    Task(usize),
    /// Place, order or attributes of a region.
    Region(usize),
    /// Target or bits of a right to post.
    Post(usize),
    /// Event, target, bits or order of a record of who hears of a life.
    Listener(usize),
    /// Budget, period or number of accounts.
    Account(usize),
    /// Number, class, task or bit of an interrupt, or the machine has not got it.
    Interrupt(usize),
    /// Memory or owner of message interrupts, or the machine has none.
    Messages,
}

impl PlanError {
    /// For the console.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Blob(_) => "the kernel's plan cannot be read",
            Self::System => "the plan's system record is wrong",
            Self::Window(_) => "a window record of the plan is wrong",
            Self::TaskCount => "the plan has no task, or more than 64",
            Self::Task(_) => "a task record of the plan is wrong",
            Self::Region(_) => "a region record of the plan is wrong",
            Self::Post(_) => "a post record of the plan is wrong",
            Self::Listener(_) => "a listener record of the plan is wrong",
            Self::Account(_) => "an account record of the plan is wrong",
            Self::Interrupt(_) => "an interrupt record of the plan is wrong",
            Self::Messages => "message interrupts cannot be started as planned",
        }
    }

    /// Index of the record, for the console.
    pub const fn record(self) -> usize {
        match self {
            Self::Blob(_) | Self::System | Self::TaskCount | Self::Messages => 0,
            Self::Window(index)
            | Self::Task(index)
            | Self::Region(index)
            | Self::Post(index)
            | Self::Listener(index)
            | Self::Account(index)
            | Self::Interrupt(index) => index,
        }
    }
}

impl From<BlobError> for PlanError {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

/// The checked tables.
#[derive(Clone, Copy)]
pub struct Tables<'p> {
    /// The system.
    pub system: &'p KernelEntry,
    /// Tasks by priority.
    pub tasks: &'p [TaskEntry],
    /// The memory that the kernel reaches.
    pub window: &'p [WindowEntry],
    regions: &'p [RegionEntry],
    posts: &'p [PostEntry],
    listeners: &'p [ListenerEntry],
    /// Accounts of processor time.
    pub accounts: &'p [AccountEntry],
    /// Interrupt routes.
    pub interrupts: &'p [InterruptEntry],
    /// Memory of message interrupts, if there are any.
    pub messages: Option<&'p MessageTablesEntry>,
}

impl<'p> Tables<'p> {
    /// Reads and checks the kernel's plan.
    pub fn read(blob: Blob<'p>) -> Result<Self, PlanError> {
        blob.check_understood(&[])?;
        let tables = Self {
            system: blob.exactly_one::<KernelEntry>()?,
            tasks: blob.exact()?,
            window: blob.exact()?,
            regions: blob.exact()?,
            posts: blob.exact()?,
            listeners: blob.exact()?,
            accounts: blob.exact()?,
            interrupts: blob.exact()?,
            messages: blob.exact::<MessageTablesEntry>()?.first(),
        };
        tables.check_system()?;
        tables.check_window()?;
        for (index, task) in tables.tasks.iter().enumerate() {
            tables
                .check_task(index, task)
                .ok_or(PlanError::Task(index))?;
            tables.check_regions(task)?;
            tables.check_posts(task)?;
            tables.check_listeners(task)?;
        }
        for (index, interrupt) in tables.interrupts.iter().enumerate() {
            tables
                .check_interrupt(interrupt)
                .ok_or(PlanError::Interrupt(index))?;
        }
        tables.check_messages().ok_or(PlanError::Messages)?;
        Ok(tables)
    }

    /// Memory of a task, ordered by address.
    pub fn regions_of(&self, task: &TaskEntry) -> Option<&'p [RegionEntry]> {
        run(self.regions, task.regions, task.region_count)
    }

    /// Rights of a task to post.
    pub fn posts_of(&self, task: &TaskEntry) -> Option<&'p [PostEntry]> {
        run(self.posts, task.posts, task.post_count)
    }

    /// The tasks that are told of an event in the life of a task; none if no task is.
    #[inline(never)]
    pub fn listeners_of(&self, task: &TaskEntry, event: LifeEvent) -> Option<&'p [ListenerEntry]> {
        let all = run(self.listeners, task.listeners, task.listener_count)?;
        let first = all.partition_point(|listener| listener.event < event as u32);
        let end = all.partition_point(|listener| listener.event <= event as u32);
        all.get(first..end).filter(|some| !some.is_empty())
    }

    fn check_system(&self) -> Result<(), PlanError> {
        if self.tasks.is_empty() || self.tasks.len() > TASKS_MAX {
            return Err(PlanError::TaskCount);
        }
        let system = self.system;
        let good = system.supervisor == 0
            && (system.authority == NONE || (system.authority as usize) < self.tasks.len())
            && KernelFlags::from_bits(system.flags).is_some()
            && (system.core, system.cores) == (0, 1);
        good.then_some(()).ok_or(PlanError::System)
    }

    fn check_window(&self) -> Result<(), PlanError> {
        let mut free = self.window.first().map_or(0, |first| first.base);
        let start = free;
        for (number, range) in self.window.iter().enumerate() {
            let end = range.base.checked_add(range.len);
            let good = range.len != 0
                && (range.base | range.len).is_multiple_of(layout::PAGE)
                && range.base >= free;
            free = end
                .filter(|end| good && layout::in_one_window(start, *end))
                .ok_or(PlanError::Window(number))?;
        }
        Ok(())
    }

    /// Whether the kernel reaches all of a range of memory.
    fn in_window(&self, pa: u64, end: u64) -> bool {
        let whole = |range: &WindowEntry| pa >= range.base && end - range.base <= range.len;
        self.window.iter().any(|range| pa <= end && whole(range))
    }

    fn check_task(&self, index: usize, task: &TaskEntry) -> Option<()> {
        // Priorities are in order, and the supervisor shares its with nobody.
        let above = index
            .checked_sub(1)
            .and_then(|before| self.tasks.get(before));
        let ordered = above.is_none_or(|before| {
            before.priority < task.priority || (index > 1 && before.priority == task.priority)
        });
        let uphill = self
            .tasks
            .iter()
            .take_while(|other| other.priority < task.priority)
            .count();
        let rights = Rights::from_bits(task.rights)?;
        let regions = self.regions_of(task)?;
        let executable = regions.iter().any(|region| {
            region.attributes & RegionAttributes::EXECUTE.bits() != 0
                && region.va <= task.entry
                && task.entry - region.va < region.len
        });
        let writable = RegionAttributes::READ.union(RegionAttributes::WRITE).bits();
        let device = RegionAttributes::DEVICE.bits();
        let stack = regions.iter().any(|region| {
            region.attributes & (writable | device) == writable
                && region.va <= task.stack_base
                && task.stack_base < task.stack_top
                && task.stack_top - region.va <= region.len
        });
        let authority = self.system.authority as usize == index;
        // The supervisor has another meaning for the bit.
        let translator = self.system.translator as usize == index && index != 0;
        let good = ordered
            && task.send_to & !low_bits(uphill) == 0
            && rights.contains(Rights::DMA_AUTHORITY) == authority
            && rights.contains(Rights::MESSAGES) == translator
            && task.entry.is_multiple_of(4)
            && task.stack_top.is_multiple_of(16)
            && executable
            && stack
            && (task.account == NONE || (task.account as usize) < self.accounts.len())
            && self.has_own_tables(index, task);
        good.then_some(())
    }

    /// Whether root table and ASID are no other task's: else it would see the other's memory, or through
    /// translations of the other that are still cached. ASID 0 is that of the first instructions.
    fn has_own_tables(&self, index: usize, task: &TaskEntry) -> bool {
        const ROOT: u64 = 0xffff_ffff_f000;
        const ASID: u64 = 0xffff << 48;
        let apart = |other: &TaskEntry| {
            (other.ttbr0 ^ task.ttbr0) & ROOT != 0 && (other.ttbr0 ^ task.ttbr0) & ASID != 0
        };
        task.ttbr0 & !(ROOT | ASID) == 0
            && task.ttbr0 & ASID != 0
            && self.tasks.iter().take(index).all(apart)
    }

    fn check_regions(&self, task: &TaskEntry) -> Result<(), PlanError> {
        let mut free = 0;
        let regions = self.regions_of(task).unwrap_or(&[]);
        for (number, region) in regions.iter().enumerate() {
            let error = PlanError::Region((task.regions as usize).saturating_add(number));
            free = self.check_region(region, free).ok_or(error)?;
        }
        Ok(())
    }

    /// Returns the first address behind the region.
    fn check_region(&self, region: &RegionEntry, free: u64) -> Option<u64> {
        let attributes = RegionAttributes::from_bits(region.attributes)?;
        let end = region.va.checked_add(region.len)?;
        let physical_end = region.pa.checked_add(region.len)?;
        let of_device = attributes.contains(RegionAttributes::DEVICE);
        // Registers are neither run nor lent.
        let no_device = RegionAttributes::EXECUTE.union(RegionAttributes::DMA);
        let good = region.len != 0
            && (region.va | region.pa | region.len).is_multiple_of(layout::PAGE)
            && region.va >= free
            && end <= 1 << layout::TASK_VA_BITS
            && (of_device || self.in_window(region.pa, physical_end))
            && !(of_device && attributes.intersects(no_device))
            && !attributes.contains(RegionAttributes::WRITE.union(RegionAttributes::EXECUTE));
        good.then_some(end)
    }

    fn check_posts(&self, task: &TaskEntry) -> Result<(), PlanError> {
        let error = |number: usize| PlanError::Post((task.posts as usize).saturating_add(number));
        let posts = self.posts_of(task).ok_or(error(0))?;
        for (number, post) in posts.iter().enumerate() {
            if post.to as usize >= self.tasks.len() || post.bits & !notification::POSTABLE != 0 {
                return Err(error(number));
            }
        }
        Ok(())
    }

    fn check_listeners(&self, task: &TaskEntry) -> Result<(), PlanError> {
        let first = task.listeners as usize;
        let listeners = run(self.listeners, task.listeners, task.listener_count)
            .ok_or(PlanError::Listener(first))?;
        let mut last = None;
        for (number, listener) in listeners.iter().enumerate() {
            let place = Some((listener.event, listener.to));
            let good = (listener.event as usize) < LifeEvent::ALL.len()
                && (listener.to as usize) < self.tasks.len()
                && listener.bits != 0
                && listener.bits & !notification::LIVES == 0
                && last < place;
            last = place;
            if !good {
                return Err(PlanError::Listener(first.saturating_add(number)));
            }
        }
        Ok(())
    }

    fn check_interrupt(&self, interrupt: &InterruptEntry) -> Option<()> {
        let numbers = match InterruptClass::from_number(interrupt.class)? {
            InterruptClass::Message => MESSAGE_INTERRUPTS,
            InterruptClass::Level | InterruptClass::Edge => SHARED_INTERRUPTS,
        };
        let good = numbers.contains(&interrupt.intid)
            && (interrupt.task as usize) < self.tasks.len()
            && interrupt.bit.is_power_of_two()
            && interrupt.bit & notification::INTERRUPTS != 0;
        good.then_some(())
    }

    /// Messages need memory that no task is given but the owner of the interrupt translation service, and the
    /// redistributor's own is in nobody's reach.
    fn check_messages(&self) -> Option<()> {
        let class = InterruptClass::Message as u32;
        let Some(tables) = self.messages else {
            let none = self.interrupts.iter().all(|route| route.class != class);
            return none.then_some(());
        };
        const PENDING: u64 = 64 << 10;
        let end = tables.pending.checked_add(PENDING)?;
        let apart = |range: &WindowEntry| {
            let range_end = range.base.saturating_add(range.len);
            end <= range.base || range_end <= tables.pending
        };
        let good = (self.system.translator as usize) < self.tasks.len()
            && tables.configuration.is_multiple_of(layout::PAGE)
            && tables.configuration >> layout::PHYSICAL_BITS == 0
            && tables.pending.is_multiple_of(PENDING)
            && (end - 1) >> layout::PHYSICAL_BITS == 0
            && self.window.iter().all(apart);
        good.then_some(())
    }
}

/// `count` records from `first`.
fn run<T>(table: &[T], first: u32, count: u32) -> Option<&[T]> {
    table.get(first as usize..)?.get(..count as usize)
}

/// The lowest `count` bits.
pub(crate) fn low_bits(count: usize) -> u64 {
    u32::try_from(count)
        .ok()
        .and_then(|count| 1u64.checked_shl(count))
        .map_or(u64::MAX, |beyond| beyond.wrapping_sub(1))
}
