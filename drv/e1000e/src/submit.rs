//! Requests in: each is checked, its page mapped, and it is given to the device.

use abi::TaskId;
use blk_server::request::Lent;
use iommu_api::{Extent, PAGE};
use nic_api::{Completion, Error, LEASE, Request};
use queue_api::desk::{Place, requests};
use userlib::ipc::Message;
use userlib::memory::Memory;
use userlib::registers::Registers;

use crate::admit::{Admitted, admit};
use crate::lending::of_data;
use crate::ring::Page;
use crate::service::{Question, Reply, Service, refuse};

/// The kinds of data that a [`Batch`](blk_server::batch::Batch) knows: what the device fills is to it what a disk reads.
const fn kind_of_data(fills: bool) -> blk_api::Kind {
    if fills {
        blk_api::Kind::Read
    } else {
        blk_api::Kind::Write
    }
}

impl<R: Registers, M: Memory> Service<'_, R, M> {
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
        self.nic.announce();
        let (payload, len) = self.desk.answer(place, waits)?;
        Some((0, payload, len))
    }

    /// The completion of a request that the device does not get.
    #[cold]
    fn refuse(&mut self, client: TaskId, place: Place, request: Request, error: Error) {
        let completion = Completion::new(request.tag(), error as u8, 0, 0);
        self.desk.finished(place, client, completion);
    }

    /// Checks a request, and starts it. One whose page is in a region waits for others, which are mapped with it.
    #[inline]
    fn begin(&mut self, message: &Message, place: Place, request: Request) -> Result<(), Error> {
        if self.ends {
            return Err(Error::ShuttingDown);
        }
        let client = message.sender;
        let number = request.region();
        let region = self.regions.get(place.number(), client, number).copied();
        let lent = match region {
            Some(region) => Some(region.lent()),
            None if number == LEASE && message.lease_count > 0 => {
                let [lease, _] = message.leases;
                Some(Lent::of(lease))
            }
            None => None,
        };
        let fills = match admit(request, lent)? {
            Admitted::Link(known) => return self.ask(client, place, request.tag(), known),
            Admitted::Receive => true,
            Admitted::Send => false,
        };
        if self.nic.room() == 0 {
            return Err(Error::Busy);
        }
        let kind = kind_of_data(fills);
        let Some(region) = region else {
            let extent = Extent {
                first: request.page(),
                pages: 1,
            };
            let iova = self.data.map_lease(client, extent, fills);
            return self.start(client, request, fills, iova.map_err(of_data)?, true);
        };
        if let Some(base) = region.stays() {
            let iova = base + u64::from(request.page()) * PAGE;
            return self.start(client, request, fills, iova, false);
        }
        if self.batch.add(region.pool(), kind, request) {
            return Ok(());
        }
        self.begin_batch(client, place);
        // An empty one takes any request; one that it did not take would never be answered.
        let added = self.batch.add(region.pool(), kind, request);
        added.then_some(()).ok_or(Error::Busy)
    }

    /// Maps the pages of the requests that wait, and starts them.
    #[inline]
    fn begin_batch(&mut self, client: TaskId, place: Place) {
        if self.batch.is_empty() {
            return;
        }
        let mapped = if self.nic.room() < self.batch.len() {
            Err(Error::Busy)
        } else {
            self.data.map_batch(&self.batch).map_err(of_data)
        };
        let fills = self.batch.kind() == kind_of_data(true);
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
            if let Err(error) = self.start(client, *request, fills, iova, true) {
                self.refuse(client, place, *request, error);
            }
            iova += PAGE;
        }
    }

    /// Gives a page to the device, which is mapped at `iova`.
    #[inline]
    fn start(
        &mut self,
        client: TaskId,
        request: Request,
        fills: bool,
        iova: u64,
        mapped: bool,
    ) -> Result<(), Error> {
        let page = Page {
            client,
            iova: iova + u64::from(request.offset()),
            length: request.length(),
            tag: request.tag(),
            mapped,
        };
        if fills {
            self.nic.receive(page)
        } else {
            self.nic.send(page)
        }
    }

    /// Tells of the link, or keeps the question until there is another one.
    #[cold]
    fn ask(
        &mut self,
        client: TaskId,
        place: Place,
        tag: u16,
        known: nic_api::Link,
    ) -> Result<(), Error> {
        let link = self.nic.link();
        if link != known {
            self.desk.finished(place, client, link.completion(tag));
            return Ok(());
        }
        if self.question.is_some() {
            return Err(Error::Busy);
        }
        self.question = Some(Question { tag, known });
        Ok(())
    }
}
