//! Pools that the client lends for longer than a call, and lives of the client.

use abi::{LeaseAttributes, TaskId};
use blk_server::regions;
use blk_server::request::Lent;
use iommu_api::Extent;
use nic_api::{Error, REGIONS_MAX};
use queue_api::client::Region;
use userlib::ipc::Message;
use userlib::memory::Memory;
use userlib::protocol::Wire;
use userlib::registers::Registers;

use crate::service::Service;

/// Why a page or a pool is not mapped, in the words of this protocol.
#[cold]
pub(crate) fn of_data(error: blk_api::Error) -> Error {
    match error {
        blk_api::Error::BadLease => Error::BadLease,
        _ => Error::Busy,
    }
}

impl<R: Registers, M: Memory> Service<'_, R, M> {
    /// Keeps a pool that the client lends for longer than a call.
    pub(crate) fn lend(&mut self, message: &Message) -> Result<(), Error> {
        let region = Region::from_message(&message.payload, message.len);
        let Region(number) = region.ok_or(Error::Malformed)?;
        let client = message.sender;
        if !self.regions.is_free(0, client, number) {
            return Err(Error::Malformed);
        }
        let [lease, _] = message.leases;
        let lent = (message.lease_count > 0).then(|| Lent::of(lease));
        let lent = lent.ok_or(Error::BadLease)?;
        let pages = u32::try_from(lent.pages).map_err(|_| Error::BadLease)?;
        let extent = Extent { first: 0, pages };
        let pool = self.data.register(client, extent).map_err(of_data)?;
        let stays = if self.keeps_mapped {
            let writes = lent.attributes.contains(LeaseAttributes::WRITE);
            let mapped = self.data.map_pool(pool, &[extent], pages, writes);
            mapped.map_err(of_data)?
        } else {
            0
        };
        let region = regions::Region::new(client, pool, lent, stays);
        self.regions.put(0, number, region);
        Ok(())
    }

    /// Gives a pool back.
    pub(crate) fn forget(&mut self, message: &Message) -> Result<(), Error> {
        let region = Region::from_message(&message.payload, message.len);
        let Region(number) = region.ok_or(Error::Malformed)?;
        if !self.nic.is_idle() {
            return Err(Error::Busy);
        }
        let given = self.give_back(message.sender, number);
        given.unwrap_or(Err(Error::BadLease))
    }

    /// Gives a pool back, if there is one of that number.
    fn give_back(&mut self, client: TaskId, number: u8) -> Option<Result<(), Error>> {
        let region = self.regions.take(0, client, number)?;
        if let Some(iova) = region.stays() {
            self.data.unmap(iova, region.lent().pages);
        }
        Some(self.data.unregister(region.pool()).map_err(of_data))
    }

    /// Another life of the client speaks: what the one before gave is taken from the device.
    #[inline(always)]
    pub(crate) fn know(&mut self, sender: TaskId) {
        if sender != self.life {
            self.bury();
            self.life = sender;
        }
    }

    /// The client's life is over: nothing of its memory is left to the device. A page for a frame to come would stay with it
    /// for ever, and hold the client down as long.
    #[cold]
    pub(crate) fn bury(&mut self) {
        let dead = self.life;
        if dead == TaskId::KERNEL {
            return;
        }
        if !self.nic.is_idle() {
            self.reset();
        }
        self.question = None;
        self.desk.forget(dead);
        for number in 1..REGIONS_MAX as u8 {
            // The server may have taken it back already.
            let _ = self.give_back(dead, number);
        }
        self.life = TaskId::KERNEL;
    }
}
