//! A claim is refused: what the log is told of it, and what the task is answered.

use abi::TaskId;
use iommu_api::Error;

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, SmmuIndex, TaskIndex};
use crate::limits::REFUSAL_PAUSE_NS;
use crate::log::{Line, RefusalLine};
use crate::server::Server;
use crate::why::Why;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// A claim is refused: the log may say so. Returns what the task is answered.
    #[cold]
    pub(crate) fn note_refusal(&mut self, index: DeviceIndex, by: TaskId, why: Why) -> Error {
        let (now, pause) = self.refusal_time();
        let told = self.devices[index].refusals_of(by);
        if let Some(times) = told.add(why, now, pause) {
            self.tell_refusal(Some(index), index.number(), by, why, times);
        }
        why.error()
    }

    /// Notes a refused claim of a device that does not exist, by the number that was asked for.
    #[cold]
    pub(crate) fn note_unknown(&mut self, number: u32, by: TaskId) -> Error {
        let (now, pause) = self.refusal_time();
        let why = Why::NoSuchDevice;
        if let Some(times) = self.refusals.add(why, now, pause) {
            self.tell_refusal(None, number, by, why, times);
        }
        why.error()
    }

    /// Now, and the pause between two lines of one device.
    fn refusal_time(&mut self) -> (u64, u64) {
        let hardware = &mut self.smmus[SmmuIndex::FIRST].hardware;
        (hardware.now(), hardware.ticks(REFUSAL_PAUSE_NS))
    }

    fn tell_refusal(
        &mut self,
        index: Option<DeviceIndex>,
        number: u32,
        by: TaskId,
        why: Why,
        times: u64,
    ) {
        self.system.log(Line::ClaimRefused(RefusalLine {
            name: self.plan.name_of(index),
            device: number,
            by: TaskIndex::of(by).number(),
            why,
            other: self.plan.name_of(why.other()),
            times,
        }));
    }
}
