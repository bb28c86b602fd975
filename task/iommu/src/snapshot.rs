//! Status snapshots: the state of every device and SMMU, for a task that inspects.

use iommu_api::Error as ProtocolError;
use status_api::{Ask, Claim, Device, Error, Name, Record, Smmu, SmmuUse, Snapshot, Subject};
use userlib::protocol::Wire;

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, SmmuIndex};
use crate::life::{Life, Purpose, State};
use crate::message::{Reply, Request};
use crate::server::Server;

/// As many as fit into the record.
fn clipped(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

const fn claim(state: State) -> Claim {
    match state {
        State::Free => Claim::Free,
        State::Quiescing(Purpose::Claim(_)) => Claim::Claiming,
        State::Quiescing(Purpose::Refusal(..)) => Claim::Refusing,
        State::Quiescing(Purpose::Release(_)) => Claim::Releasing,
        State::Quiescing(Purpose::Death(_) | Purpose::Taken(_)) => Claim::Dying,
        State::Claimed(_) => Claim::Claimed,
        State::HeldForever(_) => Claim::HeldForever,
    }
}

fn flags(life: &Life, blocked: bool) -> u8 {
    let flags = [
        (life.reaches_memory(), Device::OPEN),
        (life.is_always_open(), Device::ALWAYS_OPEN),
        (life.is_revoked(), Device::CUT_OFF),
        (blocked, Device::BLOCKED),
    ];
    let set = flags.into_iter().filter(|flag| flag.0);
    set.fold(0, |all, flag| all | flag.1)
}

impl<'p, H: Hardware, S: System> Server<'p, H, S> {
    /// Answers a request for a record. It changes nothing, but that faults recorded by now are counted.
    #[inline(never)]
    pub(crate) fn snapshot(&mut self, request: &Request<'_>) -> Reply {
        match self.record(request) {
            Ok(snapshot) => Reply::words(snapshot.to_words(), Snapshot::LEN),
            Err(error) => Reply::refusal(error as u32),
        }
    }

    fn record(&mut self, request: &Request<'_>) -> Result<Snapshot, Error> {
        let malformed = |_: ProtocolError| Error::Malformed;
        request.shape(Ask::LEN, Snapshot::LEN).map_err(malformed)?;
        let ask = Ask::from_words(&request.payload).ok_or(Error::Malformed)?;
        let of_another = matches!(ask.subject, Subject::Task | Subject::Function);
        if of_another {
            return Err(Error::Malformed);
        }
        if !self.plan.inspects(request.sender) {
            return Err(Error::NotInspector);
        }
        let index = ask.index as usize;
        let (count, record) = if ask.subject == Subject::Smmu {
            let index = self.smmus.all().nth(index).ok_or(Error::NoSuchRecord)?;
            (self.plan.smmus.len(), Record::Smmu(self.smmu_record(index)))
        } else {
            let index = self.devices.find(index).ok_or(Error::NoSuchRecord)?;
            let record = Record::Device(self.device_record(index));
            (self.plan.devices.len(), record)
        };
        Ok(Snapshot::new(count, record))
    }

    fn device_record(&mut self, index: DeviceIndex) -> Device {
        let smmu = self.smmu_of(index);
        if let Some(smmu) = smmu {
            self.drain(smmu);
        }
        let (device, window) = (&self.devices[index], self.window(index));
        let pins = self.kept.pins.iter().filter(|pin| pin.device == index);
        let life = device.life();
        Device {
            name: Name::new(device.entry().name.as_str()),
            smmu: smmu.map(|smmu| smmu.number() as u8),
            claim: claim(life.state()),
            task: life.held_by().map(|task| task.number() as u8),
            flags: flags(life, device.unusable().is_some()),
            mapped_pages: clipped(self.devices.slot(index).mapped()),
            window_pages: clipped(window.pages),
            window_blocks: clipped(window.blocks),
            pins: pins.count() as u16,
            faults: clipped(device.faults.total),
            claims: clipped(device.session.claims()),
        }
    }

    fn smmu_record(&mut self, index: SmmuIndex) -> Smmu {
        let smmu = &mut self.smmus[index];
        let (used, adopted, waiting) = match &smmu.running {
            None if smmu.refused => (SmmuUse::Refused, false, 0),
            None => (SmmuUse::NotYet, false, 0),
            Some(running) => {
                let broken = running.queue.is_broken();
                let used = if broken {
                    SmmuUse::Broken
                } else {
                    SmmuUse::Running
                };
                let waiting = running.events.waiting(&mut smmu.hardware);
                (used, running.adopted, waiting)
            }
        };
        Smmu {
            name: Name::new(smmu.entry.name.as_str()),
            used,
            adopted,
            commands: 1u32.checked_shl(smmu.entry.command_log2).unwrap_or(0),
            events: 1u32.checked_shl(smmu.entry.event_log2).unwrap_or(0),
            events_waiting: waiting,
            lost: clipped(smmu.lost),
        }
    }
}
