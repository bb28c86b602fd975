//! The holds and pins that the kernel keeps for this server, read once.

use abi::TaskId;
use abi::privileged::HeldKind;
use heapless::Vec;
use iommu_api::PAGE;

use crate::hardware::{Hardware, Pinning, System};
use crate::indices::{DeviceIndex, PerDevice};
use crate::lent::FoundPool;
use crate::limits::{DEVICES_MAX, LENT_POOLS_MAX, MAPPED_LEASES_MAX};
use crate::server::Server;
use crate::space::Run;

/// A hold that the kernel has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// Current id of the task.
    pub(crate) owner: TaskId,
    /// The life that was held is over.
    pub(crate) dead: bool,
}

/// A pin that the kernel has, and the entries that lead to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldPin {
    pub(crate) device: DeviceIndex,
    pub(crate) pa: u64,
    pub(crate) len: u64,
    pub(crate) slot: u32,
    /// [`Run::NONE`] if none is known.
    pub(crate) run: Run,
    /// Which entries lead to it and which to others of the device cannot be told.
    pub(crate) ambiguous: bool,
}

impl HeldPin {
    /// Whether an address is of its memory.
    pub(crate) fn contains(&self, address: u64) -> bool {
        let offset = address.checked_sub(self.pa);
        offset.is_some_and(|offset| offset < self.len)
    }
}

/// The holds and pins that the kernel keeps for this server, read once.
pub(crate) struct Estate {
    holds: PerDevice<Option<Hold>>,
    /// By device and address. If there are more than this server ever makes, the others are kept for good.
    pub(crate) pins: Vec<HeldPin, MAPPED_LEASES_MAX>,
    /// The pools that are registered, by their places in the plan's table.
    pub(crate) pools: [Option<FoundPool>; LENT_POOLS_MAX],
}

impl Estate {
    /// The hold for a device.
    pub(crate) fn hold(&self, device: DeviceIndex) -> Option<Hold> {
        self.holds[device]
    }

    /// Whether the lender of a pool is dead.
    pub(crate) fn is_lender_dead(&self, place: usize) -> bool {
        let pool = self.pools.get(place).copied().flatten();
        pool.is_some_and(|pool| pool.dead)
    }

    /// The pins of a device, by address.
    pub(crate) fn pins_of(&mut self, device: DeviceIndex) -> &mut [HeldPin] {
        let first = self.pins.partition_point(|pin| pin.device < device);
        let end = self.pins.partition_point(|pin| pin.device <= device);
        self.pins.get_mut(first..end).unwrap_or_default()
    }
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Reads all holds and pins, with one call for each.
    pub(crate) fn read_estate(&mut self) -> Estate {
        let mut estate = Estate {
            holds: PerDevice([None; DEVICES_MAX]),
            pins: Vec::new(),
            pools: [None; LENT_POOLS_MAX],
        };
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let held = self.system.enumerate(at);
            cursor = (held.next != 0).then_some(held.next);
            // What is held for no device of this plan stays held.
            let Some(device) = self.devices.find(Pinning::device(held.device)) else {
                continue;
            };
            match held.kind {
                HeldKind::None => {}
                HeldKind::Pin if let Some(place) = Pinning::pool(held.device) => {
                    let found = FoundPool {
                        device,
                        lender: held.task,
                        pin: held.slot,
                        pa: held.pa,
                        pages: held.len / PAGE,
                        access: held.access,
                        dead: held.dead,
                    };
                    if let Some(pool) = estate.pools.get_mut(place) {
                        *pool = Some(found);
                    }
                }
                HeldKind::Pin => {
                    let pins = &mut estate.pins;
                    let key = (device, held.pa);
                    let place = pins.partition_point(|pin| (pin.device, pin.pa) <= key);
                    let pin = HeldPin {
                        device,
                        pa: held.pa,
                        len: held.len,
                        slot: held.slot,
                        run: Run::NONE,
                        ambiguous: false,
                    };
                    // There is room for each lease that can be mapped.
                    let _ = pins.insert(place.min(pins.len()), pin);
                }
                HeldKind::Hold => {
                    estate.holds[device] = Some(Hold {
                        owner: held.task,
                        dead: held.dead,
                    });
                }
            }
        }
        estate
    }
}
