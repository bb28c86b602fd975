//! Messages: dispatch, and the requests that change nothing.

use abi::TaskId;
use iommu_api::{Error, HandleRequest, OldestFault, Operation, Status, StatusFlags, Window};
use userlib::protocol::Wire;

use crate::device::Device;
use crate::hardware::{Hardware, System};
use crate::life::State;
use crate::message::{Reply, Request, is_exchange, is_list, is_map, is_unmap};
use crate::server::Server;

impl<'p, H: Hardware, S: System> Server<'p, H, S> {
    /// Serves one message. Nothing it contains is trusted.
    pub fn handle(&mut self, request: &Request<'_>) -> Reply {
        let form = request.form();
        let [a, b, c, d, e, ..] = request.payload;
        if is_map(form) {
            Reply::recorded(self.map(request.sender, [a, b, c, d, e]))
        } else if is_unmap(form) {
            Reply::recorded(self.unmap(request.sender, [a, b, c, d]))
        } else if is_exchange(form) {
            Reply::recorded(self.exchange(request.sender, [a, b, c, d, e]))
        } else if is_list(form) {
            Reply::recorded(self.serve_list(request.sender, form, request.words()))
        } else {
            self.handle_other(request)
        }
    }

    /// Serves every message that is not one of those above, of the right form. It is not inlined, so that
    /// these do not pay for the registers and stack that the others need.
    #[inline(never)]
    pub fn handle_other(&mut self, request: &Request<'_>) -> Reply {
        let done = self.handle_once(request);
        if self.take_anew() {
            return self.handle_once(request);
        }
        done
    }

    fn handle_once(&mut self, request: &Request<'_>) -> Reply {
        let recorded = Reply::recorded;
        let done = match Operation::from_number(request.operation) {
            Some(Operation::MapLease) => self.map_lease(request).map(recorded),
            Some(Operation::Register) => self.register(request).map(recorded),
            Some(Operation::Unregister) => self.unregister(request).map(recorded),
            Some(Operation::Flush) => self.flush(request).map(recorded),
            Some(Operation::Claim) => self.claim(request),
            Some(Operation::Release) => self.release(request),
            Some(Operation::Describe) => self.describe(request),
            Some(Operation::NextFault) => self.next_fault(request),
            Some(Operation::Status) => self.status(request),
            None if request.operation == status_api::OPERATION => Ok(self.snapshot(request)),
            // Those of the right form have been served.
            Some(
                Operation::Map
                | Operation::Unmap
                | Operation::Exchange
                | Operation::MapList
                | Operation::UnmapList
                | Operation::ExchangeList,
            )
            | None => Err(Error::Malformed),
        };
        done.unwrap_or_else(Reply::error)
    }

    fn describe(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let index = self.device_of(request, Window::LEN)?;
        self.may_look(&self.devices[index], request.sender)?;
        Ok(Reply::words(self.window(index).to_words(), Window::LEN))
    }

    /// Whether `sender` may know the state of a device.
    fn may_look(&self, device: &Device<'p>, sender: TaskId) -> Result<(), Error> {
        if self.plan.audits(device.entry(), sender) {
            return Ok(());
        }
        device.may_claim(sender)
    }

    fn next_fault(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        request.shape(HandleRequest::LEN, OldestFault::LEN)?;
        let HandleRequest { handle } =
            HandleRequest::from_words(&request.payload).ok_or(Error::Malformed)?;
        let claimed = self.devices.claimed(handle, request.sender);
        let index = claimed.ok_or(Error::StaleHandle)?;
        let record = self.devices[index].faults.take();
        Ok(Reply::words(
            OldestFault(record).to_words(),
            OldestFault::LEN,
        ))
    }

    /// State of a device. Its SMMU's event queue is looked at first, so that a fault whose effect the asker
    /// has already seen is counted, if it was recorded at all.
    fn status(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let index = self.device_of(request, Status::LEN)?;
        let device = &self.devices[index];
        self.may_look(device, request.sender)?;
        let smmu = self.smmu_of(index);
        if let Some(smmu) = smmu {
            self.drain(smmu);
        }
        let lost = smmu.map_or(0, |smmu| self.smmus[smmu].lost);
        let device = &self.devices[index];
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(
            matches!(device.life().state(), State::Claimed(_)),
            StatusFlags::CLAIMED,
        ) | flag(device.life().reaches_memory(), StatusFlags::OPEN)
            | flag(device.life().is_revoked(), StatusFlags::STORM)
            | flag(
                matches!(device.life().state(), State::Quiescing(_)),
                StatusFlags::QUIESCING,
            )
            | flag(
                matches!(device.life().state(), State::HeldForever(_)),
                StatusFlags::STUCK,
            )
            | flag(device.unusable().is_some(), StatusFlags::BLOCKED);
        let last = device.faults.last;
        let status = Status {
            flags: StatusFlags(flags),
            last_event: last.map_or(0, |event| event.number),
            last_read: last.is_some_and(|event| event.read),
            last_stream: last.map_or(0, |event| event.stream),
            last_iova: last.map_or(0, |event| event.address),
            faults: device.faults.total,
            lost,
            mapped_pages: self.devices.slot(index).mapped(),
            claims: device.session.claims(),
        };
        Ok(Reply::words(status.to_words(), Status::LEN))
    }
}
