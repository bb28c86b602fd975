//! Pools that clients lend for longer than a call.

use abi::{Code, LeaseAttributes, TaskId};
use blk_api::Error;
use iommu_api::Extent;
use queue_api::client::Region;
use userlib::ipc::{self, Message};
use userlib::protocol::Wire;

use crate::controller::Controller;
use crate::regions;
use crate::request::Lent;
use crate::service::Service;

impl<C: Controller> Service<'_, C> {
    /// Keeps a pool that a client lends for longer than a call.
    pub(crate) fn lend(&mut self, message: &Message) -> Result<(), Error> {
        let region = Region::from_message(&message.payload, message.len);
        let Region(number) = region.ok_or(Error::Malformed)?;
        let client = message.sender;
        let place = self.desk.place_of(client)?.number();
        if !self.regions.is_free(place, client, number) {
            return Err(Error::Malformed);
        }
        let [lease, _] = message.leases;
        let lent = (message.lease_count > 0).then(|| Lent::of(lease));
        let lent = lent.ok_or(Error::BadLease)?;
        let pages = u32::try_from(lent.pages).map_err(|_| Error::BadLease)?;
        let extent = Extent { first: 0, pages };
        let pool = self.data.register(client, extent)?;
        let stays = if self.keeps_mapped {
            let writes = lent.attributes.contains(LeaseAttributes::WRITE);
            self.data.map_pool(pool, &[extent], pages, writes)?
        } else {
            0
        };
        let region = regions::Region::new(client, pool, lent, stays);
        self.regions.put(place, number, region);
        Ok(())
    }

    /// Unmaps what is kept mapped of clients that died, as soon as the device is done with their requests. The IOMMU server
    /// takes the device away from a driver that does not within a second.
    #[cold]
    pub(crate) fn forget_the_dead(&mut self) {
        let is_dead = |client: TaskId| ipc::refresh(client.index()) != (client, Code::OK);
        loop {
            let controller = &self.controller;
            let goes = |client| !controller.any_of(client) && is_dead(client);
            let Some(region) = self.regions.take_mapped(goes) else {
                break;
            };
            if let Some(iova) = region.stays() {
                // With its last page the server gives the pool back.
                self.data.unmap(iova, region.lent().pages);
            }
        }
        self.keeps_of_dead = self.regions.any_mapped(is_dead);
    }

    /// Gives a pool back.
    pub(crate) fn forget(&mut self, message: &Message) -> Result<(), Error> {
        let region = Region::from_message(&message.payload, message.len);
        let Region(number) = region.ok_or(Error::Malformed)?;
        let client = message.sender;
        if self.controller.any_of(client) {
            return Err(Error::Busy);
        }
        let place = self.desk.place_of(client)?.number();
        let region = self.regions.take(place, client, number);
        let region = region.ok_or(Error::BadLease)?;
        if let Some(iova) = region.stays() {
            self.data.unmap(iova, region.lent().pages);
        }
        self.data.unregister(region.pool())
    }
}
