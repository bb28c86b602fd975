//! What a driver can change in configuration spaces: its own, by each register, width and value; those of others.

use pci_api::client::{self, Client};
use pci_api::{Error, Width};
use suite::{Case, Failure, Result, Stage, check, check_eq, check_is};
use userlib::server::Server;

use crate::help::claim;
use crate::{HOST_BRIDGE, alone, edu0, edu1, root_port};

/// Bytes of a configuration space.
const SPACE: u16 = 4096;
const WIDTHS: [Width; 3] = [Width::Byte, Width::HalfWord, Width::Word];
const VALUES: [u32; 6] = [
    0,
    u32::MAX,
    0x5555_5555,
    0xaaaa_aaaa,
    0x0000_0006,
    0x1000_0000,
];

/// Registers that an owner may write whole: cache line size and interrupt line (`pci_api::ConfigWrite`).
const FREE: [u16; 2] = [0x0c, 0x3c];
/// Command and status: turning interrupts off, and error bits that a one clears, are the owner's.
const COMMAND: u16 = 0x04;

type Checked<T> = core::result::Result<T, Failure>;

fn pci() -> Checked<Server> {
    Ok(check_is!(Server::named("pci"), Some(server) => server))
}

fn read(server: &Server, offset: u16) -> Checked<u32> {
    let value = Client(server).config_read(edu0() as u32, offset, Width::Word);
    Ok(check_is!(value, Ok(value) => value))
}

/// The word at `offset`, without what an owner may write.
fn guarded(server: &Server, offset: u16) -> Checked<u32> {
    let word = read(server, offset)?;
    Ok(match offset {
        // Interrupts off, and the error bits of status.
        COMMAND => word & !0xf900_0400,
        at if FREE.contains(&at) => word & !0xff,
        _ => word,
    })
}

/// A hash of what may not change (FNV-1a by words).
fn digest(server: &Server) -> Checked<u64> {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for offset in (0..SPACE).step_by(4) {
        hash = (hash ^ u64::from(guarded(server, offset)?)).wrapping_mul(0x100_0000_01b3);
    }
    Ok(hash)
}

fn every_register(_: &Stage) -> Result {
    let _claimed = claim()?;
    let server = pci()?;
    let before = digest(&server)?;
    let originals = [read(&server, FREE[0])?, read(&server, FREE[1])?];
    let mut accepted = 0;
    for width in WIDTHS {
        for offset in (0..SPACE).step_by(width as usize) {
            for value in VALUES {
                let value = value & width.mask();
                let result = Client(&server).config_write(edu0() as u32, offset, width, value);
                match result {
                    Ok(()) => accepted += 1,
                    Err(client::Failure::Refused(Error::WriteRefused)) => {}
                    _ => check!(false),
                }
            }
        }
    }
    check_eq!(digest(&server)?, before);
    // Both free bytes take every value; status takes a word of 0 at the least.
    check!(accepted > 2 * VALUES.len() as u64);
    check!(accepted < 4 * VALUES.len() as u64);
    for (offset, original) in FREE.into_iter().zip(originals) {
        let byte = original & 0xff;
        let restored = Client(&server).config_write(edu0() as u32, offset, Width::Byte, byte);
        check!(restored.is_ok());
    }
    Ok(())
}

/// Whether it was refused by just this name.
fn is_refused<T>(result: core::result::Result<T, client::Failure>, error: Error) -> bool {
    matches!(result, Err(client::Failure::Refused(found)) if found == error)
}

fn of_others(_: &Stage) -> Result {
    let _claimed = claim()?;
    let server = pci()?;
    for device in [HOST_BRIDGE, root_port(), edu1()] {
        let device = device as u32;
        for offset in (0..SPACE).step_by(4) {
            let read = Client(&server).config_read(device, offset, Width::Word);
            check!(is_refused(read, Error::NotOwner));
            let write = Client(&server).config_write(device, offset, Width::Word, 0);
            check!(is_refused(write, Error::NotOwner));
        }
    }
    for device in [HOST_BRIDGE, root_port(), edu0(), edu1()] {
        let device = device as u32;
        for on in [false, true] {
            let answer = Client(&server).bus_master(device, on);
            check!(is_refused(answer, Error::NotAuthority));
        }
        let answer = Client(&server).quiesce_start(device);
        check!(is_refused(answer, Error::NotAuthority));
        let answer = Client(&server).quiesce_result(device);
        check!(is_refused(answer, Error::NotAuthority));
    }
    Ok(())
}

pub const CASES: &[Case] = &[
    alone!(
        "every-configuration-register",
        &["IOMMU-G7-1"],
        every_register
    ),
    alone!("configuration-of-others", &["IOMMU-G7-1"], of_others),
];
