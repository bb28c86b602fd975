//! Pools that the client lends as a whole.

use abi::LeaseAttributes;
use iommu_api::{Error, Extent, Map, Operation, REGISTERED, Register, Unregister};
use userlib::protocol::Wire;

use super::{Held, History};
use crate::intent::Intent;
use crate::kernel::Lent;
use crate::layout::{CLIENT, LENT_PAGES, POOLS, is_lent_to};
use smmu_model::Check;

/// Address and bytes of the client's pool.
fn pool() -> (u64, u64) {
    let mut pools = POOLS.iter();
    let found = pools.find(|entry| entry.0 == CLIENT);
    found.map_or((0, 0), |entry| (entry.2, entry.3))
}

impl History<'_> {
    /// The number of the pool that is lent to a device; of another device's, now and then.
    fn lent_number(&mut self, device: usize) -> u16 {
        let device = if self.chooser.once_in(12) {
            self.chooser.below(self.machine.devices.len())
        } else {
            device
        };
        let before = self.machine.devices.iter().take(device);
        let place = before.filter(|planned| is_lent_to(planned)).count() as u16;
        REGISTERED + place
    }

    /// Whether a device is the one that a number is of.
    fn is_number_of(&self, device: usize, number: u16) -> bool {
        let before = self.machine.devices.iter().take(device);
        let place = before.filter(|planned| is_lent_to(planned)).count() as u16;
        let planned = self.machine.device(device);
        planned.is_some_and(is_lent_to) && number == REGISTERED + place
    }

    pub(super) fn use_pool(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        match self.chooser.below(8) {
            0 | 1 => self.register((device, held)),
            2 => self.unregister((device, held)),
            _ => self.map_pool((device, held)),
        }
    }

    fn register(&mut self, (device, held): (usize, Held)) {
        if held.owner.index() == CLIENT {
            return;
        }
        let (pa, len) = pool();
        let lender = self.world.borrow().kernel.id(CLIENT);
        let alive = self.world.borrow().kernel.is_alive(CLIENT);
        let pages = match self.chooser.below(6) {
            0 => LENT_PAGES + 1,
            1 => 1,
            _ => LENT_PAGES,
        };
        // The lease begins behind the pool's first page now and then, or is not to be written.
        let skip = 4096 * u64::from(self.chooser.once_in(8));
        let writable = !self.chooser.once_in(6);
        if alive {
            self.world.borrow_mut().kernel.lease = Some(Lent {
                lender,
                driver: held.owner,
                pa: pa + skip,
                len: len - skip,
                writable,
            });
        }
        let words = |head| {
            let register = Register {
                head,
                extent: Extent {
                    first: 0,
                    pages: pages as u32,
                },
                lease: 0,
                lender: lender.0,
            };
            register.to_words()[..5].to_vec()
        };
        let intent = Intent::map(device, vec![(pa, pages)], true);
        if !writable && self.chooser.once_in(2) {
            // Between the kernel's pin and the server's own look at it.
            self.brief = Some(1);
        }
        let answer = self.change((device, held), Operation::Register, words, &intent);
        self.brief = None;
        self.world.borrow_mut().kernel.lease = None;
        let Some((code, payload)) = answer else {
            return;
        };
        self.changed(device, code);
        if code == 0 {
            let number = payload[0] as u16;
            let pin = self.world.borrow().pool_pin(device);
            let writes = pin.is_some_and(|pin| pin.access.contains(LeaseAttributes::WRITE));
            if device % 3 != 0 && !writes {
                self.note(Check::Protocol, || {
                    format!("device {device}: a lease that is only read was registered")
                });
            }
            if pages > LENT_PAGES || !self.is_number_of(device, number) || !alive {
                self.note(Check::Protocol, || {
                    format!("device {device}: {pages} pages were registered as {number:#x}")
                });
            }
        }
    }

    fn unregister(&mut self, (device, held): (usize, Held)) {
        let number = self.lent_number(device);
        let words = |head| {
            let unregister = Unregister { head, pool: number };
            unregister.to_words()[..3].to_vec()
        };
        let intent = Intent::unmap(device, Vec::new());
        let answer = self.change((device, held), Operation::Unregister, words, &intent);
        let Some((code, _)) = answer else {
            return;
        };
        self.changed(device, code);
        if code == 0 && !self.is_number_of(device, number) {
            self.note(Check::Protocol, || {
                format!("device {device}: pool {number:#x} of another was given back")
            });
        }
    }

    fn map_pool(&mut self, (device, held): (usize, Held)) {
        let number = self.lent_number(device);
        // Granted is only what the plan lends to this device, whatever number was drawn.
        let writable = device % 3 != 0;
        let (pa, _) = pool();
        let first = self.chooser.below(LENT_PAGES as usize + 1) as u64;
        let pages = 1 + self.chooser.below(3) as u64;
        let (flags, write) = self.flags();
        let (flags, iova) = self.place(device, pages, flags);
        let words = |head| {
            let map = Map {
                head,
                extent: Extent {
                    first: first as u32,
                    pages: pages as u32,
                },
                pool: number,
                flags,
                iova,
            };
            map.to_words()[..5].to_vec()
        };
        let maps = vec![(pa + first * 4096, pages)];
        let intent = Intent::map(device, maps, write);
        let Some((code, payload)) = self.change((device, held), Operation::Map, words, &intent)
        else {
            return;
        };
        self.changed(device, code);
        let world = self.world.borrow();
        let end = pa + (first + pages) * 4096;
        let pin = world.pool_pin(device);
        let pinned = pin.is_some_and(|pin| end <= pin.pa + pin.len);
        // Whatever the plan says, and whoever registered it: the lease decides.
        let lent = pin.is_some_and(|pin| !write || pin.access.contains(LeaseAttributes::WRITE));
        let alive = world.kernel.is_alive(CLIENT);
        // A lender that the server knows to be dead lends no more.
        let ended = !alive && !world.kernel.held_death;
        drop(world);
        let inside = first + pages <= LENT_PAGES && self.is_number_of(device, number);
        if code == Error::BadMemory as u32 && inside && pinned && alive {
            self.note(Check::Protocol, || {
                format!("device {device}: pool {number:#x} is registered, and refused")
            });
        }
        if code != 0 {
            return;
        }
        if !inside || !pinned || !lent || ended || write && !writable || !flags.readable() {
            self.note(Check::Protocol, || {
                format!(
                    "device {device}: page {first} and {pages} of pool {number:#x} were granted (pinned {pinned}, lent {lent}, ended {ended}, writable {writable})"
                )
            });
        }
        self.granted(device, payload[0], &intent.maps, write);
    }
}
