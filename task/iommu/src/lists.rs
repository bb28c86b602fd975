//! Lists that name a page of the window twice.

use heapless::BinaryHeap;
use heapless::binary_heap::Min;
use iommu_api::{Extent, Sequenced};
use userlib::protocol::Wire;

/// Most extents of a list that unmaps.
const EXTENTS_MAX: usize = (abi::MESSAGE_MAX - Sequenced::LEN) / size_of::<u64>();

/// Whether a page is in two extents of a list: sorts them, as comparing each with each would take as long as
/// unmapping a large window.
#[cold]
pub(crate) fn name_a_page_twice(extents: impl Iterator<Item = Extent>) -> bool {
    let mut sorted: BinaryHeap<u64, Min, EXTENTS_MAX> = BinaryHeap::new();
    for extent in extents {
        // First page and pages change places, so that the first page decides.
        if sorted.push(extent.to_word().rotate_left(32)).is_err() {
            return true;
        }
    }
    let mut end = 0;
    while let Some(word) = sorted.pop() {
        let Extent { first, pages } = Extent::from_word(word.rotate_left(32));
        if u64::from(first) < end {
            return true;
        }
        end = u64::from(first) + u64::from(pages);
    }
    false
}
