//! Lenders of pools that are dead: what the server may do to the devices that their pools are mapped for, and when it
//! has to.

use abi::TaskId;
use smmu_model::{Check, SECOND};

use super::World;
use crate::kernel::Pin;
use crate::layout::{CLIENT, POOLS, is_lent_to};

/// When the server learned that the lender of a device's pool is dead.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The life that is over.
    lender: TaskId,
    /// Not before.
    from: u64,
    /// Not after.
    until: u64,
}

/// What is known of dead lenders, by device: one pool is lent to each.
#[derive(Debug)]
pub struct Lenders {
    told: Vec<Option<Told>>,
    /// Devices that were taken away and that the history has not asked about, with their claimants.
    taken: Vec<(usize, TaskId)>,
}

impl Lenders {
    /// Nobody is dead.
    #[must_use]
    pub fn new(devices: usize) -> Self {
        Self {
            told: vec![None; devices],
            taken: Vec::new(),
        }
    }
}

impl World {
    /// The pin of the pool that is lent to a device.
    #[must_use]
    pub fn pool_pin(&self, device: usize) -> Option<Pin> {
        let mut pins = self.kernel.pins.iter().flatten();
        pins.find(|pin| pin.is_of_pool() && pin.number() == device)
            .copied()
    }

    /// The same, if its lender is dead.
    fn ended_pool(&self, device: usize) -> Option<Pin> {
        self.pool_pin(device)
            .filter(|pin| !self.kernel.is_current(pin.lender))
    }

    /// Whether a dead lender's pool is a device's that can use it. One that is released waits only until it is quiet, while
    /// a member of its alias set has their streams open: it is off, or nobody can tell the PCI task so.
    fn has_ended_pool(&self, device: usize, released: &[bool]) -> bool {
        let open = self.is_open(device) && self.may_act(device);
        let waits = released.get(device) == Some(&true);
        self.ended_pool(device).is_some() && open && !waits
    }

    /// Whether anything of a device's pool is granted to it.
    #[must_use]
    pub fn uses_pool(&self, device: usize) -> bool {
        let Some(pin) = self.pool_pin(device) else {
            return false;
        };
        let mut grants = self.oracle.grants(device).iter();
        grants.any(|grant| grant.output < pin.pa + pin.len && pin.pa < grant.output + grant.bytes)
    }

    /// Whether the request under way unmaps something of the pool that is lent to its device.
    pub(crate) fn unmaps_pool(&self) -> bool {
        let Some(intent) = &self.intent else {
            return false;
        };
        let Some(pin) = self.pool_pin(intent.device) else {
            return false;
        };
        let mut grants = self.oracle.grants(intent.device).iter();
        grants.any(|grant| {
            let of_pool = grant.output < pin.pa + pin.len && pin.pa < grant.output + grant.bytes;
            let mut runs = intent.unmaps.iter();
            of_pool
                && runs.any(|&(input, bytes)| {
                    grant.input < input + bytes && input < grant.input + grant.bytes
                })
        })
    }

    /// What is mapped of a client's memory is pinned for that device.
    pub(crate) fn check_lent_is_pinned(&mut self) {
        for (device, planned) in self.layout.machine.devices.iter().enumerate() {
            if !is_lent_to(planned) {
                continue;
            }
            let pins = || self.kernel.pins.iter().flatten();
            let pinned = |page: u64| {
                pins()
                    .any(|pin| pin.number() == device && (pin.pa..pin.pa + pin.len).contains(&page))
            };
            let client = POOLS.iter().filter(|pool| pool.0 == CLIENT);
            let lent = |page: u64| {
                let mut client = client.clone();
                client.any(|pool| (pool.2..pool.2 + pool.3).contains(&page))
            };
            let grants = self.oracle.grants(device).iter();
            let mut pages =
                grants.flat_map(|grant| (grant.output..grant.output + grant.bytes).step_by(4096));
            if let Some(page) = pages.find(|&page| lent(page) && !pinned(page)) {
                self.model.findings.note(Check::Release, || {
                    format!("page {page:#x} is mapped for device {device}, and not pinned")
                });
            }
        }
    }

    /// A life of the server begins, and knows nothing of what the one before was told.
    pub(crate) fn forget_lenders(&mut self) {
        self.lenders.told.fill(None);
        self.lenders.taken.clear();
    }

    /// The server has learned, since `from`, who is dead.
    pub(crate) fn told_of_lenders(&mut self, from: u64) {
        let until = self.model.clock();
        for device in 0..self.layout.machine.devices.len() {
            let ended = self.ended_pool(device).map(|pin| pin.lender);
            let told = &mut self.lenders.told[device];
            // What was known of a pool that was given back since says nothing of the next one.
            let known = told.filter(|told| Some(told.lender) == ended);
            *told = known.or_else(|| {
                ended.map(|lender| Told {
                    lender,
                    from,
                    until,
                })
            });
        }
    }

    /// The server takes a device away: only for a dead lender whose pool is mapped still, and not before its time.
    pub(crate) fn take_away(&mut self, device: usize) {
        let holds = self.kernel.holds.iter();
        let mut of = holds.filter(|hold| hold.device as usize == device);
        if let Some(hold) = of.next() {
            self.lenders.taken.push((device, hold.task));
        }
        let now = self.model.clock();
        let told = self.lenders.told.get(device).copied().flatten();
        let due = told.is_some_and(|told| now >= told.from + SECOND);
        // What an SMMU that has stopped may still reach is not given back with the last page.
        let used = self.uses_pool(device) || self.model.has_stopped();
        if self.ended_pool(device).is_none() || !due || !used {
            self.model.findings.note(Check::Lender, || {
                format!("device {device} is taken away at {now}, {told:?}, in use {used}")
            });
        }
    }

    /// Devices that were taken away since the last look, with those who had them.
    pub(crate) fn taken(&mut self) -> Vec<(usize, TaskId)> {
        std::mem::take(&mut self.lenders.taken)
    }

    /// The server was told at `now` that time has passed: what it has to give back of dead lenders by then is out of
    /// reach of the devices that it was lent to.
    pub(crate) fn check_overdue(&mut self, now: u64, released: &[bool]) {
        for device in 0..self.layout.machine.devices.len() {
            let told = self.lenders.told[device];
            let due = told.is_some_and(|told| now >= told.until + SECOND);
            let broken = self.model.has_stopped();
            if due && self.has_ended_pool(device, released) && !broken {
                self.model.findings.note(Check::Lender, || {
                    format!("device {device} has a dead lender's pool at {now}, {told:?}")
                });
            }
        }
    }

    /// While a device has a pool of a dead lender, the server wants to be woken by the time that it takes it away.
    pub(crate) fn check_awaited(&mut self, deadline: Option<u64>, released: &[bool]) {
        for device in 0..self.layout.machine.devices.len() {
            let Some(told) = self.lenders.told[device] else {
                continue;
            };
            let awaited = deadline.is_some_and(|deadline| deadline <= told.until + SECOND);
            if self.has_ended_pool(device, released) && !awaited && !self.model.has_stopped() {
                self.model.findings.note(Check::Lender, || {
                    format!(
                        "device {device} has a dead lender's pool, {told:?}, awaited {deadline:?}"
                    )
                });
            }
        }
    }

    /// A device was taken away: it is cut off as long as its claimant is held for it, and he is told.
    pub(crate) fn check_taken(&mut self, device: usize, owner: TaskId) {
        let on = self.fabric.is_bus_master(device) && self.knows_pci();
        let open = self.is_open(device) && !self.model.has_stopped();
        let told = self.posts.contains(&owner.index());
        // One that was cut off and quiet before is given back at once, and what shares its streams may have them open.
        let mut holds = self.kernel.holds.iter();
        let held = holds.any(|hold| hold.device as usize == device);
        if held && (on || open) || !told {
            self.model.findings.note(Check::Lender, || {
                format!("device {device} is taken away: on {on}, open {open}, told {told}")
            });
        }
    }

    /// Nothing more happens, and time has passed: of a dead lender nothing is held, but for what never gets quiet.
    pub(crate) fn check_none_waits(&mut self, device: usize) {
        if self.ended_pool(device).is_some() && !self.model.has_stopped() {
            self.model.findings.note(Check::Lender, || {
                format!("device {device} keeps a dead lender's pool for ever")
            });
        }
    }
}
