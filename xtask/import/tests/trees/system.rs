//! Memory, console, interrupt controller, cores.

use super::{board, says};
use import::board::{Conduit, Range};

#[test]
fn memory_and_what_is_somebodys() {
    let board = board("memory");
    let expected = [
        Range {
            base: 0x8000_0000,
            len: 0x6000_0000,
        },
        Range {
            base: 0x9_0000_0000,
            len: 0x1000_0000,
        },
    ];
    assert_eq!(board.memory, expected);
    let reserved: Vec<(&str, u64)> = board
        .reserved
        .iter()
        .map(|part| (part.name.as_str(), part.range.base))
        .collect();
    let expected = [
        ("memreserve", 0xd000_0000),
        ("secure", 0x8000_0000),
        ("framebuffer", 0xa000_0000),
        ("moved", 0xa100_0000),
        ("far", 0x9_0000_0000),
    ];
    assert_eq!(reserved, expected);
    let direct: Vec<u64> = board.masters[0]
        .direct
        .iter()
        .map(|part| part.range.base)
        .collect();
    assert_eq!(direct, [0xa000_0000, 0x9_0000_0000]);
    assert!(says(
        &board,
        "/reserved-memory/moved@a1000000",
        "uses it at 0x1000000"
    ));
}

#[test]
fn the_console_is_that_of_stdout_path() {
    let found = board("console");
    let console = found.console.unwrap();
    assert_eq!(
        console.range,
        Range {
            base: 0x900_0000,
            len: 0x1000
        }
    );
    assert_eq!(console.interrupts[0].intid, 33);
    let off = board("console-disabled");
    assert_eq!(off.console, None);
    assert!(says(
        &off,
        "/chosen",
        "`/serial@9000000`, which is not there"
    ));
}

#[test]
fn interrupt_controller_firmware_and_cores() {
    let board = board("redistributors");
    let gic = board.gic.unwrap();
    assert_eq!(gic.distributor, 0x100_0000);
    let expected = [
        Range {
            base: 0x110_0000,
            len: 0x8_0000,
        },
        Range {
            base: 0x120_0000,
            len: 0x4_0000,
        },
    ];
    assert_eq!(gic.redistributors, expected);
    assert_eq!(gic.services, [0x106_0000]);
    assert_eq!(board.conduit, Some(Conduit::Smc));
    let cores: Vec<u64> = board.cores.iter().map(|core| core.affinity).collect();
    assert_eq!(cores, [0, 0x1_0000_0100]);
}
