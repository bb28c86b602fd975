//! What a driver asks of the server.

use abi::TaskId;
use iommu_api::*;
use userlib::ipc::Payload;
use userlib::protocol::Wire;

use super::Rig;
use super::image::*;
use crate::Reply;

/// A claimant.
#[derive(Clone, Copy)]
pub struct Driver {
    pub id: TaskId,
    pub handle: Handle,
    pub sequence: u64,
}

impl Driver {
    pub fn head(&mut self) -> Sequenced {
        self.sequence += 1;
        Sequenced {
            handle: self.handle,
            sequence: self.sequence,
        }
    }
    pub fn map(
        &mut self,
        rig: &mut Rig,
        pool: u16,
        first: u32,
        pages: u32,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Error> {
        let request = Map {
            head: self.head(),
            extent: Extent { first, pages },
            pool,
            flags,
            iova,
        };
        result(rig.now(self.id, Operation::Map, &request.to_words()[..5]))
    }
    pub fn map_any(&mut self, rig: &mut Rig, first: u32, pages: u32) -> u64 {
        self.map(rig, 0, first, pages, MapFlags::READ_WRITE, 0)
            .unwrap()
    }
    pub fn unmap(&mut self, rig: &mut Rig, iova: u64, pages: u64) -> Result<u64, Error> {
        let request = Unmap {
            head: self.head(),
            iova,
            pages,
        };
        result(rig.now(self.id, Operation::Unmap, &request.to_words()[..4]))
    }
    pub fn map_list(&mut self, rig: &mut Rig, extents: &[(u32, u32)]) -> Result<u64, Error> {
        let header = MapList {
            head: self.head(),
            pool: 0,
            flags: MapFlags::READ_WRITE,
            iova: 0,
        };
        let mut words = header.to_words().to_vec();
        words.extend(pairs(extents));
        result(rig.now(self.id, Operation::MapList, &words))
    }
    pub fn unmap_list(&mut self, rig: &mut Rig, extents: &[(u32, u32)]) -> Result<u64, Error> {
        let header = UnmapList { head: self.head() };
        let mut words = header.to_words().to_vec();
        words.extend(pairs(extents));
        result(rig.now(self.id, Operation::UnmapList, &words))
    }
    pub fn exchange(
        &mut self,
        rig: &mut Rig,
        extent: (u32, u32),
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Error> {
        let request = Exchange {
            head: self.head(),
            extent: Extent {
                first: extent.0,
                pages: extent.1,
            },
            pool: 0,
            flags,
            iova,
        };
        result(rig.now(self.id, Operation::Exchange, &request.to_words()[..5]))
    }
    /// Each pair is a page of the pool and the IOVA at which it takes the place of another.
    pub fn exchange_list(&mut self, rig: &mut Rig, pages: &[(u32, u64)]) -> Result<u64, Error> {
        let header = ExchangeList {
            head: self.head(),
            pool: 0,
            flags: MapFlags::READ_WRITE,
        };
        let word = |&(page, iova): &(u32, u64)| {
            let at = (iova >> 12) as u32;
            Replacement { page, at }.to_word()
        };
        let mut words = header.to_words().to_vec();
        words.extend(pages.iter().map(word));
        result(rig.now(self.id, Operation::ExchangeList, &words))
    }
    pub fn map_lease(&mut self, rig: &mut Rig, pages: u32, flags: MapFlags) -> Result<u64, Error> {
        self.map_lease_part(rig, Extent { first: 0, pages }, flags)
    }
    pub fn map_lease_part(
        &mut self,
        rig: &mut Rig,
        extent: Extent,
        flags: MapFlags,
    ) -> Result<u64, Error> {
        let request = MapLease {
            head: self.head(),
            extent,
            lease: 0,
            flags,
            iova: 0,
            lender: task(7).0,
        };
        result(rig.now(self.id, Operation::MapLease, &request.to_words()[..6]))
    }
    pub fn register(&mut self, rig: &mut Rig, pages: u32) -> Result<u64, Error> {
        let request = Register {
            head: self.head(),
            extent: Extent { first: 0, pages },
            lease: 0,
            lender: task(7).0,
        };
        result(rig.now(self.id, Operation::Register, &request.to_words()[..5]))
    }
    pub fn unregister(&mut self, rig: &mut Rig, pool: u16) -> Result<u64, Error> {
        let request = Unregister {
            head: self.head(),
            pool,
        };
        result(rig.now(self.id, Operation::Unregister, &request.to_words()[..3]))
    }
    pub fn release(&mut self, rig: &mut Rig) -> Reply {
        let request = self.head();
        rig.ask(self.id, Operation::Release, &request.to_words()[..2])
    }
    pub fn fault(&mut self, rig: &mut Rig) -> Option<FaultRecord> {
        let (code, payload) = rig.now(self.id, Operation::NextFault, &[self.handle.0]);
        assert_eq!(code, 0);
        OldestFault::from_words(&payload).unwrap().0
    }
}

fn pairs(extents: &[(u32, u32)]) -> impl Iterator<Item = u64> + '_ {
    extents
        .iter()
        .map(|&(first, pages)| Extent { first, pages }.to_word())
}

fn result((code, payload): (u32, Payload)) -> Result<u64, Error> {
    match code {
        0 => Ok(payload[0]),
        code => Err(Error::from_code(code).unwrap()),
    }
}
