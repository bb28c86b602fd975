//! Requests of tasks that have no claim, in the words of one that has: the right handle, the right number, right after
//! a request of the claimant that was served.

use iommu_api::{Error, Extent, Map, MapFlags, Operation, Sequenced, Unmap};
use userlib::protocol::Wire;

use super::History;
use super::requests::Answer;
use crate::layout::{AUDITOR, CLIENT, DRIVERS};
use smmu_model::Check;

impl History<'_> {
    /// A stranger sends what the claimant would send next.
    pub(super) fn impose(&mut self) {
        self.map();
        let Some((device, held)) = self.driver() else {
            return;
        };
        let strangers = [DRIVERS[0], DRIVERS[1], DRIVERS[2], CLIENT, AUDITOR];
        let stranger = strangers[self.chooser.below(strangers.len())];
        let (id, alive) = {
            let world = self.world.borrow();
            (world.kernel.id(stranger), world.kernel.is_alive(stranger))
        };
        if id == held.owner || !alive || self.is_waiting(id) {
            return;
        }
        let head = Sequenced {
            handle: held.claim.handle,
            sequence: held.sequence + 1,
        };
        let grants = self.world.borrow().oracle.grants(device).to_vec();
        let (operation, words) = match grants.last() {
            Some(grant) if self.chooser.once_in(2) => {
                let unmap = Unmap {
                    head,
                    iova: grant.input,
                    pages: grant.bytes / 4096,
                };
                (Operation::Unmap, unmap.to_words()[..4].to_vec())
            }
            _ => {
                let map = Map {
                    head,
                    extent: Extent { first: 0, pages: 1 },
                    pool: 0,
                    flags: MapFlags::READ_WRITE,
                    iova: 0,
                };
                (Operation::Map, map.to_words()[..5].to_vec())
            }
        };
        let answer = self.ask(id, operation, &words);
        let refused = match answer {
            Answer::Now(code, _) => code == Error::StaleHandle as u32,
            Answer::Later => false,
            // Nobody knows what it would have been answered; what is in reach is looked at anyway.
            Answer::Died => true,
        };
        if !refused {
            self.note(Check::Protocol, || {
                format!("device {device}: {operation:?} of {id:x?}, who has no claim: {answer:x?}")
            });
        }
    }
}
