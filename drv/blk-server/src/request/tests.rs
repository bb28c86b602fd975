//! Admission.

use super::*;
use blk_api::{LEASE, Transfer};

const GEOMETRY: Geometry = Geometry {
    sectors: 1000,
    sector_bytes: 512,
    transfer_max: 65536,
    depth: 32,
    block_bytes: 512,
    read_only: false,
    flush: true,
    zeroes: false,
};

fn transfer(kind: Kind, sector: u64, count: u32) -> Transfer {
    Transfer {
        kind,
        tag: 7,
        region: LEASE,
        page: 0,
        sector,
        count,
    }
}

fn lent(len: u32, attributes: LeaseAttributes) -> Option<Lent> {
    Some(Lent::of(Lease::new(len, attributes)))
}

#[test]
fn admission_names_what_is_wrong() {
    let all = LeaseAttributes::all();
    let admitted =
        |transfer: &Transfer, geometry: &Geometry, lent| admit(transfer.request(), geometry, lent);
    let read =
        |sector, count, lent| admitted(&transfer(Kind::Read, sector, count), &GEOMETRY, lent);
    assert_eq!(read(0, 8, lent(4096, all)), Ok(Kind::Read));
    assert_eq!(read(999, 1, lent(4096, all)), Ok(Kind::Read));
    assert_eq!(read(999, 2, lent(4096, all)), Err(Error::OutOfRange));
    assert_eq!(read(1000, 1, lent(4096, all)), Err(Error::OutOfRange));
    assert_eq!(read(u64::MAX, 1, lent(4096, all)), Err(Error::OutOfRange));
    assert_eq!(read(0, 0, lent(4096, all)), Err(Error::OutOfRange));
    assert_eq!(read(0, 129, lent(1 << 20, all)), Err(Error::TooLarge));
    assert_eq!(read(0, 900, lent(1 << 20, all)), Err(Error::TooLarge));
    assert_eq!(read(0, 8, None), Err(Error::BadLease));
    assert_eq!(read(0, 1, lent(512, all)), Err(Error::BadLease));
    assert_eq!(read(0, 9, lent(4096, all)), Err(Error::BadLease));
    assert_eq!(
        read(0, 8, lent(4096, LeaseAttributes::READ)),
        Err(Error::BadLease)
    );
    let write = transfer(Kind::Write, 0, 8);
    assert_eq!(
        admitted(&write, &GEOMETRY, lent(4096, LeaseAttributes::READ)),
        Ok(Kind::Write)
    );
    assert_eq!(
        admitted(&write, &GEOMETRY, lent(4096, LeaseAttributes::WRITE)),
        Err(Error::BadLease)
    );
    let read_only = Geometry {
        read_only: true,
        flush: false,
        ..GEOMETRY
    };
    assert_eq!(
        admitted(&write, &read_only, lent(4096, all)),
        Err(Error::ReadOnly)
    );
    let flush = Transfer::flush(0);
    assert_eq!(admitted(&flush, &GEOMETRY, None), Ok(Kind::Flush));
    assert_eq!(admitted(&flush, &read_only, None), Err(Error::Unsupported));
}

#[test]
fn a_request_stays_in_what_was_lent() {
    let fields = queue_api::Fields {
        length: 4096,
        ..queue_api::Fields::default()
    };
    let at = |page, offset| {
        let fields = queue_api::Fields {
            page,
            offset,
            ..fields
        };
        admit(
            queue_api::Request::new(&fields),
            &GEOMETRY,
            lent(3 * 4096, LeaseAttributes::all()),
        )
    };
    assert_eq!([at(0, 0), at(2, 0), at(1, 4095)], [Ok(Kind::Read); 3]);
    for (page, offset) in [(2, 1), (3, 0), (0xf_ffff, 0xfff)] {
        assert_eq!(at(page, offset), Err(Error::BadLease), "{page} {offset}");
    }
    for (operation, length) in [(4, 4096), (15, 4096), (0, 100), (2, 1)] {
        let odd = queue_api::Fields {
            operation,
            length,
            ..fields
        };
        assert_eq!(
            admit(
                queue_api::Request::new(&odd),
                &GEOMETRY,
                lent(4096, LeaseAttributes::all())
            ),
            Err(Error::Malformed)
        );
    }
}

#[test]
fn zeroes_need_a_disk_that_writes_them_and_no_buffer() {
    let zeroes = |geometry, sector, count| {
        admit(Transfer::zeroes(1, sector, count).request(), geometry, None)
    };
    let able = Geometry {
        zeroes: true,
        ..GEOMETRY
    };
    assert_eq!(zeroes(&GEOMETRY, 0, 8), Err(Error::Unsupported));
    assert_eq!(zeroes(&able, 0, 8), Ok(Kind::WriteZeroes));
    assert_eq!(zeroes(&able, 992, 8), Ok(Kind::WriteZeroes));
    assert_eq!(zeroes(&able, 993, 8), Err(Error::OutOfRange));
    assert_eq!(zeroes(&able, 0, 0), Err(Error::OutOfRange));
    assert_eq!(zeroes(&able, 0, 129), Err(Error::TooLarge));
    let kept = Geometry {
        read_only: true,
        ..able
    };
    assert_eq!(zeroes(&kept, 0, 8), Err(Error::ReadOnly));
}

#[test]
fn a_request_is_whole_blocks_of_the_disk() {
    let large = Geometry {
        block_bytes: 4096,
        ..GEOMETRY
    };
    let read = |geometry, sector, count| {
        let lent = lent(1 << 20, LeaseAttributes::all());
        admit(
            transfer(Kind::Read, sector, count).request(),
            geometry,
            lent,
        )
    };
    assert_eq!(read(&large, 8, 16), Ok(Kind::Read));
    for (sector, count) in [(1, 8), (8, 9), (4, 4), (0, 1)] {
        assert_eq!(read(&large, sector, count), Err(Error::OutOfRange));
        assert_eq!(read(&GEOMETRY, sector, count), Ok(Kind::Read));
    }
}
