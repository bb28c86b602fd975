//! Messages of all protocols: whatever decodes, encodes to something that decodes to the same.

use core::fmt::Debug;

use abi::{Lease, LeaseAttributes};
use blk_api::{COMPLETIONS_MAX, Completions, Geometry, Kind};
use iommu_api as iommu_protocol;
use iommu_protocol::{
    Claim, DeviceRequest, Exchange, ExchangeList, Extent, Handle, HandleRequest, Map, MapLease,
    MapList, OldestFault, PAGE, Register, Replacement, Sequenced, Status, Unmap, UnmapList,
    Unregister, Window,
};
use queue_api::desk;
use queue_api::message::{requests_in, requests_to_words};
use queue_api::{REQUESTS_MAX, Request};
use userlib::ipc::Payload;
use userlib::protocol::Wire;

use crate::input::Input;

fn payload(input: &mut Input<'_>) -> Payload {
    core::array::from_fn(|_| input.take())
}

/// `decode` of anything, and of what `encode` makes of it.
fn comes_back<T: PartialEq + Debug>(
    payload: &Payload,
    decode: impl Fn(&Payload) -> Option<T>,
    encode: impl Fn(&T) -> Payload,
) -> Option<T> {
    let value = decode(payload)?;
    assert_eq!(decode(&encode(&value)).as_ref(), Some(&value));
    Some(value)
}

/// The IOMMU server's.
pub fn iommu(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let number: u16 = input.take();
    if let Some(operation) = iommu_protocol::Operation::from_number(number) {
        assert_eq!(operation as u16, number);
    }
    let code: u32 = input.take();
    if let Some(error) = iommu_protocol::Error::from_code(code) {
        assert_eq!(error as u32, code);
        assert!(!error.name().is_empty());
    }
    let words = payload(&mut input);
    requests(&words);
    replies(&words);
    let handle = Handle(words[0]);
    let slot = u16::try_from(handle.slot()).expect("a number below 2^16");
    assert_eq!(Handle::new(slot, handle.generation()), handle);
    assert_eq!(Extent::from_word(words[1]).to_word(), words[1]);
    assert_eq!(Replacement::from_word(words[1]).to_word(), words[1]);
}

fn requests(words: &Payload) {
    comes_back(words, DeviceRequest::from_words, |r| r.to_words());
    comes_back(words, HandleRequest::from_words, |r| r.to_words());
    comes_back(words, Sequenced::from_words, |r| r.to_words());
    comes_back(words, Map::from_words, |r| r.to_words());
    comes_back(words, MapLease::from_words, |r| r.to_words());
    comes_back(words, Unmap::from_words, |r| r.to_words());
    comes_back(words, Exchange::from_words, |r| r.to_words());
    comes_back(words, Register::from_words, |r| r.to_words());
    comes_back(words, Unregister::from_words, |r| r.to_words());
    let &[a, b, c, d, ..] = words;
    if let Some(list) = MapList::from_words(&[a, b, c, d]) {
        assert_eq!(MapList::from_words(&list.to_words()), Some(list));
    }
    if let Some(list) = ExchangeList::from_words(&[a, b, c]) {
        assert_eq!(ExchangeList::from_words(&list.to_words()), Some(list));
    }
    let list = UnmapList::from_words(&[a, b]);
    assert_eq!(UnmapList::from_words(&list.to_words()), list);
}

fn replies(words: &Payload) {
    comes_back(words, Status::from_words, |r| r.to_words());
    comes_back(words, OldestFault::from_words, |r| r.to_words());
    let windows = [
        comes_back(words, Window::from_words, |r| r.to_words()),
        comes_back(words, Claim::from_words, |r| r.to_words()).map(|claim| claim.window),
    ];
    for window in windows.into_iter().flatten() {
        // A driver computes both without a check of its own.
        let pages = window.pages.checked_mul(PAGE);
        assert!(
            pages
                .and_then(|len| window.iova_base.checked_add(len))
                .is_some()
        );
        let blocks = window.blocks.checked_mul(512 * PAGE);
        assert!(
            blocks
                .and_then(|len| window.block_base.checked_add(len))
                .is_some()
        );
    }
}

/// The PCI task's.
pub fn pci(bytes: &[u8]) {
    fn wire<T: Wire + PartialEq + Debug>(words: &Payload) {
        assert!(T::LEN <= 64 && T::LEN.is_multiple_of(8));
        if let Some(value) = comes_back(words, T::from_words, T::to_words) {
            let beyond = value.to_words();
            assert!(beyond.iter().skip(T::LEN / 8).all(|word| *word == 0));
        }
    }
    let mut input = Input::new(bytes);
    let number: u16 = input.take();
    if let Ok(operation) = pci_api::Operation::from_number(number) {
        assert_eq!(operation as u16, number);
    }
    let code: u32 = input.take();
    if let Some(error) = pci_api::Error::from_code(code) {
        assert_eq!(error as u32, code);
    }
    let words = payload(&mut input);
    wire::<pci_api::ConfigRead>(&words);
    wire::<pci_api::ConfigWrite>(&words);
    wire::<pci_api::ConfigValue>(&words);
    wire::<pci_api::Describe>(&words);
    wire::<pci_api::Description>(&words);
    wire::<pci_api::BootStatus>(&words);
    wire::<pci_api::BusMaster>(&words);
    wire::<pci_api::QuiesceStart>(&words);
    wire::<pci_api::QuiesceResult>(&words);
    wire::<pci_api::QuiesceState>(&words);
}

/// A disk driver's, its admission of requests, and reports to the supervisor.
pub fn block(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let words = payload(&mut input);
    let len = input.below(72);
    comes_back(&words, Geometry::from_words, Geometry::to_words);
    if let Some(completions) = Completions::from_reply(&words, len) {
        assert!(completions.count() <= COMPLETIONS_MAX);
    }
    if let Some(count) = requests_in(len) {
        assert!(count <= REQUESTS_MAX);
        let (back, back_len) = requests_to_words(desk::requests(&words, count));
        assert_eq!((&back[..2 * count], back_len), (&words[..2 * count], len));
        let geometry = Geometry {
            sectors: input.take(),
            sector_bytes: 512,
            transfer_max: input.take::<u32>() % (1 << 20),
            depth: 32,
            block_bytes: 512,
            read_only: input.take(),
            flush: input.take(),
            zeroes: input.take(),
        };
        let attributes = LeaseAttributes::from_bits_truncate(input.take());
        let lease = Lease::new(input.take(), attributes);
        for request in desk::requests(&words, count) {
            admitted(request, &geometry, lease);
        }
    }
    if let Some(report) = supervisor_api::Report::from_message(&words, len) {
        assert!(!report.detail.as_str().chars().any(char::is_control));
    }
}

/// What the driver lets through lies on the disk and in the lease.
fn admitted(request: Request, geometry: &Geometry, lease: Lease) {
    let lent = blk_server::request::Lent::of(lease);
    let Ok(kind) = blk_server::request::admit(request, geometry, Some(lent)) else {
        return;
    };
    if kind == Kind::Flush {
        return;
    }
    if !kind.has_data() {
        assert!(geometry.zeroes && !geometry.read_only);
        return;
    }
    let bytes = u64::from(request.length());
    assert!(bytes > 0 && bytes <= u64::from(geometry.transfer_max));
    assert!(request.position() + bytes / 512 <= geometry.sectors);
    let first = u64::from(request.page()) * 4096 + u64::from(request.offset());
    assert!((first + bytes).next_multiple_of(4096) <= lease.len());
    assert!(lease.attributes().contains(LeaseAttributes::READ));
    if kind == Kind::Read {
        assert!(lease.attributes().contains(LeaseAttributes::WRITE));
    } else {
        assert!(!geometry.read_only);
    }
}
