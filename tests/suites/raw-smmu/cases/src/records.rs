//! What the event queue has, compared.

use heapless::Vec;
use iommu::events::Turn;
use smmu::{Event, EventKind};
use suite::{Failure, Result, check, check_eq, check_is};
use userlib::defmt;

use crate::board::ACCESS;
use crate::machine::{FIRST, Got, Machine};

/// Most records of one look, twice what the queue holds.
pub const MOST: usize = 32;

/// One expected record.
#[derive(Clone, Copy)]
pub struct Record {
    /// What happened.
    pub kind: EventKind,
    /// The stream.
    pub stream: u32,
    /// The device read.
    pub read: bool,
    /// Input address, 0 if the kind has none.
    pub iova: u64,
    /// What could not be fetched, or 0.
    pub fetch: u64,
}

impl Record {
    /// Of a fault that tells neither an input address nor what could not be fetched.
    pub fn plain(kind: EventKind, stream: u32) -> Self {
        Self {
            kind,
            stream,
            read: false,
            iova: 0,
            fetch: 0,
        }
    }

    /// Of a refused write.
    pub fn write(kind: EventKind, stream: u32, iova: u64) -> Self {
        Self {
            iova,
            ..Self::plain(kind, stream)
        }
    }

    /// Fails unless this is what was decoded.
    pub fn is(&self, event: &Event) -> Result {
        check_eq!(event.number, self.kind as u8);
        check!(event.kind == self.kind);
        check_eq!(event.stream, self.stream);
        check_eq!(event.address, self.iova);
        check_eq!(event.fetch, self.fetch);
        check!(event.read == self.read || !self.kind.has_access());
        Ok(())
    }
}

impl Machine {
    /// Takes everything from the event queue by the server's own code.
    pub fn take(&mut self) -> Got<(Vec<Event, MOST>, Turn)> {
        let mut found = Vec::new();
        let mut too_many = false;
        let turn = self.events.turn(&mut self.smmu, |event| {
            defmt::info!(
                "{=str}: stream {=u32:#x}, class {=u8}, read {=bool}, at {=u64:#x}, fetch {=u64:#x}",
                event.kind.name(),
                event.stream,
                event.class as u8,
                event.read,
                event.address,
                event.fetch
            );
            too_many |= found.push(event).is_err();
        });
        check!(!too_many && !turn.more);
        Ok((found, turn))
    }

    /// The only record there is.
    pub fn only(&mut self) -> Got<Event> {
        let (found, turn) = self.take()?;
        check!(!turn.lost);
        check_eq!(found.len(), 1);
        Ok(check_is!(found.first(), Some(event) => *event))
    }

    /// Fails unless exactly this was recorded.
    pub fn recorded(&mut self, record: &Record) -> Result {
        let event = self.only()?;
        record.is(&event)
    }

    /// Fails unless nothing was recorded.
    pub fn silent(&mut self) -> Result {
        let (found, turn) = self.take()?;
        check!(!turn.lost);
        check_eq!(found.len(), 0);
        Ok(())
    }

    /// Fails unless records of the first device's refused writes from `iova` on, one for each access, are all
    /// that was found.
    pub fn in_a_row(&self, found: &[Event], count: usize, iova: u64) -> Result {
        check_eq!(found.len(), count);
        let stream = self.stream(FIRST)?;
        for (event, at) in found.iter().zip((iova..).step_by(ACCESS)) {
            Record::write(EventKind::Translation, stream, at).is(event)?;
        }
        Ok(())
    }
}

/// The case cannot be run here.
pub fn skip(reason: &'static str) -> Result {
    Err(Failure::skip(reason))
}
