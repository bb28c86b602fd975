//! Requests in: each is checked, its data mapped, and it is given to the device.

use abi::TaskId;
use blk_api::{Completion, Error, Kind, LEASE};
use iommu_api::{Extent, PAGE};
use queue_api::desk::{Place, requests};
use userlib::ipc::Message;

use crate::controller::Controller;
use crate::request::{Lent, Request, admit};
use crate::service::{Reply, Service, refuse};

impl<C: Controller> Service<'_, C> {
    /// Takes the requests of a message. The reply is none if the client waits for it.
    #[inline]
    pub(crate) fn run(&mut self, message: &Message, waits: bool) -> Option<Reply> {
        let taken = match self.desk.take(message) {
            Ok(taken) => taken,
            Err(refused) => return Some(refuse(refused.into())),
        };
        let (client, place) = (message.sender, taken.place);
        for request in requests(&message.payload, taken.count) {
            if let Err(error) = self.begin(message, place, request) {
                self.refuse(client, place, request, error);
            }
        }
        self.begin_batch(client, place);
        self.controller.announce();
        let (payload, len) = self.desk.answer(place, waits)?;
        Some((0, payload, len))
    }

    /// The completion of a request that the device does not get.
    #[cold]
    fn refuse(&mut self, client: TaskId, place: Place, request: queue_api::Request, error: Error) {
        let completion = Completion::new(request.tag(), error as u8, 0, 0);
        self.desk.finished(place, client, completion);
    }

    /// Checks a request, and starts it. One whose data is in a region waits for others, which are mapped with it.
    #[inline]
    fn begin(
        &mut self,
        message: &Message,
        place: Place,
        request: queue_api::Request,
    ) -> Result<(), Error> {
        if self.ending.refuses() {
            return Err(Error::ShuttingDown);
        }
        let client = message.sender;
        if request.region() != LEASE {
            let Some(region) = self.regions.get(place.number(), client, request.region()) else {
                // What has no data needs no region; all else is refused.
                let kind = self.admit(client, request, None)?;
                return self.start(client, place, request, kind, 0, false);
            };
            let (pool, stays, lent) = (region.pool(), region.stays(), region.lent());
            let kind = self.admit(client, request, Some(lent))?;
            if let (Some(base), true) = (stays, kind.has_data()) {
                let iova = base + u64::from(request.page()) * PAGE;
                return self.start(client, place, request, kind, iova, false);
            }
            if kind.has_data() {
                if self.batch.add(pool, kind, request) {
                    return Ok(());
                }
                self.begin_batch(client, place);
                // An empty one takes any request; one that it did not take would never be answered.
                let added = self.batch.add(pool, kind, request);
                return added.then_some(()).ok_or(Error::Busy);
            }
        }
        let [lease, _] = message.leases;
        let lent = (message.lease_count > 0).then(|| Lent::of(lease));
        let kind = self.admit(client, request, lent)?;
        if !kind.has_data() {
            return self.start(client, place, request, kind, 0, false);
        }
        if self.controller.room() == 0 {
            return Err(Error::Busy);
        }
        let extent = Extent {
            first: request.page(),
            pages: request.pages(),
        };
        let iova = self.data.map_lease(client, extent, kind == Kind::Read)?;
        self.start(client, place, request, kind, iova, true)
    }

    #[inline]
    fn admit(
        &self,
        client: TaskId,
        request: queue_api::Request,
        lent: Option<Lent>,
    ) -> Result<Kind, Error> {
        let kind = admit(request, self.controller.geometry(client), lent)?;
        if kind.has_data() && !request.offset().is_multiple_of(C::DATA_UNIT) {
            return Err(Error::BadLease);
        }
        Ok(kind)
    }

    /// Maps the data of the requests that wait, and starts them.
    #[inline]
    fn begin_batch(&mut self, client: TaskId, place: Place) {
        if self.batch.is_empty() {
            return;
        }
        let mapped = if self.controller.room() < self.batch.len() {
            Err(Error::Busy)
        } else {
            self.data.map_batch(&self.batch)
        };
        let kind = self.batch.kind();
        let requests = self.batch.take();
        let mut iova = match mapped {
            Ok(iova) => iova,
            Err(error) => {
                for request in requests {
                    self.refuse(client, place, request, error);
                }
                return;
            }
        };
        for request in &requests {
            // There is room; a request that is not started all the same would never be answered.
            if let Err(error) = self.start(client, place, *request, kind, iova, true) {
                self.refuse(client, place, *request, error);
            }
            iova += u64::from(request.pages()) * PAGE;
        }
    }

    /// Gives a request to the device, whose data begins in the page at `iova`.
    #[inline]
    fn start(
        &mut self,
        client: TaskId,
        place: Place,
        request: queue_api::Request,
        kind: Kind,
        iova: u64,
        mapped: bool,
    ) -> Result<(), Error> {
        let started = Request {
            client,
            iova: iova + u64::from(request.offset()),
            place: Some(place),
            tag: request.tag(),
            kind,
            bytes: request.length(),
            mapped,
        };
        self.controller.start(started, request.position())
    }
}
