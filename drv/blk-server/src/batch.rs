//! Requests whose data is mapped by one message: they lie in one region, and the device does the same with them.

use blk_api::{Kind, REQUESTS_MAX, Request};
use heapless::Vec;
use iommu_api::Extent;

/// Such requests of one client's message.
#[derive(Debug, Default)]
pub struct Batch {
    requests: Vec<Request, REQUESTS_MAX>,
    pool: u16,
    writes: bool,
    pages: u32,
    /// The pages in their order; those that go on where others end are one.
    extents: Vec<Extent, REQUESTS_MAX>,
}

impl Batch {
    /// No requests.
    pub const fn new() -> Self {
        Self {
            requests: Vec::new(),
            pool: 0,
            writes: false,
            pages: 0,
            extents: Vec::new(),
        }
    }

    /// Adds a request; false if it does not go with those that are there, or there is no room.
    #[inline]
    pub fn add(&mut self, pool: u16, kind: Kind, request: Request) -> bool {
        // What the device reads from the disk it writes to memory.
        let writes = kind == Kind::Read;
        if self.requests.is_empty() {
            self.pool = pool;
            self.writes = writes;
        }
        if self.pool != pool || self.writes != writes || self.requests.push(request).is_err() {
            return false;
        }
        let (first, pages) = (request.page(), request.pages());
        self.pages += pages;
        match self.extents.last_mut() {
            Some(last) if last.first + last.pages == first => last.pages += pages,
            // Cannot fail: there are no more extents than requests.
            _ => drop(self.extents.push(Extent { first, pages })),
        }
        true
    }

    /// Takes the requests out.
    #[inline]
    pub fn take(&mut self) -> Vec<Request, REQUESTS_MAX> {
        self.pages = 0;
        self.extents.clear();
        core::mem::take(&mut self.requests)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
    /// The pool that all of them lie in.
    pub const fn pool(&self) -> u16 {
        self.pool
    }
    /// The kind of all of them.
    pub const fn kind(&self) -> Kind {
        if self.writes { Kind::Read } else { Kind::Write }
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.requests.len()
    }
    /// Whether the device writes to their pages.
    pub const fn writes(&self) -> bool {
        self.writes
    }
    /// How many pages that are.
    pub const fn pages(&self) -> u32 {
        self.pages
    }
    /// The pages, in the order of the requests.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_api::Fields;

    fn request(page: u32, length: u32) -> Request {
        Request::new(&Fields {
            page,
            length,
            ..Fields::default()
        })
    }

    #[test]
    fn pages_in_a_row_are_one_extent() {
        let mut batch = Batch::new();
        for (page, length) in [(4, 4096), (5, 8192), (9, 512), (2, 4096)] {
            assert!(batch.add(7, Kind::Read, request(page, length)));
        }
        let extent = |first, pages| Extent { first, pages };
        assert_eq!(batch.extents(), [extent(4, 3), extent(9, 1), extent(2, 1)]);
        assert_eq!((batch.pages(), batch.pool(), batch.writes()), (5, 7, true));
        assert!(!batch.add(7, Kind::Read, request(0, 512)), "no room");
        assert_eq!(batch.take().len(), 4);
        assert!(batch.is_empty() && batch.extents().is_empty() && batch.pages() == 0);
    }

    #[test]
    fn what_is_mapped_otherwise_does_not_go_with_it() {
        let mut batch = Batch::new();
        assert!(batch.add(7, Kind::Write, request(0, 512)));
        assert!(!batch.add(7, Kind::Read, request(1, 512)));
        assert!(!batch.add(8, Kind::Write, request(1, 512)));
        assert!(batch.add(7, Kind::Write, request(1, 512)));
        assert!(!batch.writes());
        batch.take();
        assert!(batch.add(8, Kind::Read, request(1, 512)));
    }
}
