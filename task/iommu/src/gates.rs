//! Opening and closing one device: its streams, and its bus mastering with them.

use heapless::Vec;
use plan::iommu::StreamEntry;

use crate::hardware::{Hardware, System};
use crate::indices::DeviceIndex;
use crate::life::State;
use crate::log::Line;
use crate::queue::Broken;
use crate::server::Server;
use crate::stream;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Opens a device's streams to its domain.
    pub(crate) fn open(&mut self, device: DeviceIndex) -> Result<(), Broken> {
        let plan = self.plan;
        let entry = self.devices[device].entry();
        let (Some(_), Some(word)) = (self.behind(device), plan.open_word(entry)) else {
            return Err(Broken);
        };
        let streams = plan.streams_of(entry);
        self.devices.life_mut(device).opening();
        let Some(behind) = self.behind(device) else {
            return Err(Broken);
        };
        let opened = stream::open(
            behind.hardware,
            &mut behind.running.queue,
            streams.iter().map(|s| (s.stream_id, s.entry)),
            word,
            behind.space.asid,
        );
        self.forget_quiet_of_non_pci_sharers(device);
        opened
    }

    /// Closes a device's streams; those that another device uses too, open or always open, only if `shared`
    /// says so.
    pub(crate) fn close(&mut self, device: DeviceIndex, shared: bool) -> Result<(), Broken> {
        let plan = self.plan;
        let entry = self.devices[device].entry();
        let own = plan.streams_of(entry);
        let mut in_use: Vec<(u32, u32), 64> = Vec::new();
        if !shared {
            let neighbours = self.devices[device].neighbours();
            let others = neighbours.filter(|other| self.devices[*other].life().reaches_memory());
            // Of another domain is an alternative of the same hotplug slot.
            for stream in others.flat_map(|other| plan.streams_of(self.devices[other].entry())) {
                let same = |own: &StreamEntry| {
                    (own.smmu, own.stream_id) == (stream.smmu, stream.stream_id)
                };
                if own.iter().any(same) {
                    // A set that is full means that more may be in use than is noted: then a stream is
                    // closed that another device needs, which is safe.
                    let _ = in_use.push((stream.smmu, stream.stream_id));
                }
            }
        }
        if self.behind(device).is_none() {
            return Ok(());
        }
        self.devices.life_mut(device).closed();
        let Some(behind) = self.behind(device) else {
            return Ok(());
        };
        let asid = behind.space.asid;
        let streams = own
            .iter()
            .filter(|stream| !in_use.contains(&(stream.smmu, stream.stream_id)))
            .map(|stream| (stream.stream_id, stream.entry));
        let closed = stream::close(behind.hardware, &mut behind.running.queue, streams, asid);
        let smmu = behind.space.smmu;
        // What the closed streams are blamed for is recorded by now: it is for whoever had them until now.
        self.drain_recorded(smmu);
        closed
    }

    /// Forgets that sharers which are not on PCI are quiet. Such a device has no bus-master bit, so it may have
    /// used the streams that it shares with `index` while they were open, whether or not it was claimed. A
    /// quiesce that is under way does not count for it either.
    pub(crate) fn forget_quiet_of_non_pci_sharers(&mut self, index: DeviceIndex) {
        for other in self.devices.sharers(index) {
            self.devices.life_mut(other).shared_streams_were_open();
        }
    }

    /// Bus mastering of a free device off, its streams closed unless another of its alias set uses them.
    pub(crate) fn end_always_open(&mut self, index: DeviceIndex) -> Result<(), Broken> {
        if self.system.bus_master(index, false).is_err() {
            self.note_still_on(index);
        }
        self.close(index, false)
            .inspect_err(|_| self.note_broken(index))
    }

    /// Bus mastering of a free device could not be turned off, because there is no PCI task. Until its next life begins with it
    /// off, the device can go on through streams that another has open: nobody's word says that it does not.
    pub(crate) fn note_still_on(&mut self, index: DeviceIndex) {
        if !self.devices.sharers(index).is_empty() {
            self.devices.life_mut(index).forget_quiet();
        }
    }

    /// Closes all unclaimed devices that are always open and share streams with a device.
    pub(crate) fn end_always_open_sharers(&mut self, index: DeviceIndex) {
        for other in self.devices.sharers(index) {
            let device = &self.devices[other];
            if device.life().is_always_open() && device.life().state() == State::Free {
                let _ = self.end_always_open(other);
            }
        }
    }

    /// Whether a device that was bus master still is: then it has lost nothing. Else it was set anew, and what it had
    /// under way may be gone. `None` if the PCI task is gone again and has not said.
    pub(crate) fn still_master(&mut self, index: DeviceIndex) -> Option<bool> {
        match self.system.pci_describe(index) {
            Ok(found) => Some(found.bus_master),
            Err(failure) if failure.is_outage() => None,
            Err(_) => Some(false),
        }
    }

    /// The SMMU of a device does not confirm commands any more.
    pub(crate) fn note_broken(&mut self, index: DeviceIndex) {
        // What has no SMMU has no stream that could not be closed.
        if let Some(smmu) = self.smmu_of(index) {
            self.note_refused(smmu);
            self.system.log(Line::CommandTimeout {
                name: self.smmus[smmu].entry.name.as_str(),
            });
        }
    }
}
