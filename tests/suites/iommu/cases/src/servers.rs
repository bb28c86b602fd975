//! Deaths of the servers themselves. A case that ends badly may leave one down, so these come last.

use abi::Code;
use abi::privileged::{Privileged, TaskState};
use edu::Direction;
use iommu_api::{Error, Operation, Status, StatusFlags};
use suite::{Case, PATIENCE, Part, Result, Stage, check, check_eq, check_is};
use userlib::{config, ipc};

use crate::board::{Board, F_TRANSLATION};
use crate::death::{start_again, wait_for_the_end};
use crate::help::{
    BOTH, Claimed, READ, claim, claim_device, claim_words, code, notes, refusal, status,
};
use crate::{FIRST, SECOND, edu0};

/// Bytes of a small transfer.
const FEW: usize = 16;
const CONTENT: u8 = 0x4d;

/// Task index of a peer.
pub fn index(name: &str) -> u64 {
    config::peer(name).map_or(u64::from(u8::MAX), |peer| u64::from(peer.index))
}

fn stop(stage: &Stage, name: &str) -> Result {
    let code = stage.privileged(Privileged::Stop as u64, index(name));
    check_eq!(code.0, 0);
    Ok(())
}

fn start(stage: &Stage, name: &str) -> Result {
    let code = stage.privileged(Privileged::Restart as u64, index(name));
    check_eq!(code.0, 0);
    Ok(())
}

/// Ends a server's life and begins its next.
pub fn restart(stage: &Stage, name: &str) -> Result {
    stop(stage, name)?;
    start(stage, name)
}

/// Claims again, until the new life of the server serves.
pub fn claim_again(stage: &Stage, device: u64) -> core::result::Result<Claimed, suite::Failure> {
    for _ in 0..PATIENCE {
        let code = claim_words(device).code;
        if code != Code::DEAD && code != Code::DOWN && code.0 != Error::Unavailable as u32 {
            break;
        }
        stage.pause(1);
    }
    claim_device(device)
}

/// The state of a device, as soon as the new life of the server serves.
pub fn status_again(stage: &Stage, device: u64) -> core::result::Result<Status, suite::Failure> {
    for _ in 0..PATIENCE {
        if refusal(Operation::Status, device).is_none() {
            break;
        }
        stage.pause(1);
    }
    status(device)
}

fn go_on_after_restart(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, own, 0x55)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    restart(stage, "iommu")?;
    // What was open stays open: the device works while nobody has asked the new life anything.
    board.clear(4);
    board.write(stage, iova, FEW)?;
    board.only(4, 0, FEW)?;
    let before = claimed;
    let mut claimed = claim_again(stage, edu0())?;
    check!(claimed.handle != before.handle);
    check!(claimed.window == before.window);
    check_eq!(claimed.sequence, 0);
    claimed.has_mapped(2)?;
    let mut stale = before;
    check_eq!(code(stale.map(0, 1, READ)), Error::StaleHandle);
    // What translates is not taken for free.
    let more = check_is!(claimed.map(5, 1, READ), Ok(iova) => iova);
    check!(more != own && more != iova);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    board.put(4, CONTENT);
    board.write(stage, iova, FEW)?;
    board.kept(4, CONTENT)?;
    claimed.status()?;
    let fault = check_is!(claimed.next_fault()?, Some(fault) => fault);
    check_eq!(fault.event, F_TRANSLATION);
    check_eq!(fault.iova, iova);
    Ok(())
}

fn nothing_opens(stage: &Stage) -> Result {
    let board = Board::new()?;
    restart(stage, "iommu")?;
    check_eq!(status_again(stage, edu0())?.flags.0, 0);
    let address = check_is!(config::parameter("own-pool"), Some(address) => address);
    board.put(0, CONTENT);
    board.write(stage, address, FEW)?;
    board.kept(0, CONTENT)
}

fn dies_without_a_server(stage: &Stage) -> Result {
    let board = Board::new()?;
    if stage.life == 0 {
        let mut claimed = claim()?;
        let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
        board.put(4, CONTENT);
        board.start(Direction::ToMemory, iova, FEW)?;
        stage.note(iova);
        return wait_for_the_end(stage);
    }
    check!(!board.busy());
    let mut claimed = claim_again(stage, edu0())?;
    claimed.has_mapped(0)?;
    claimed.is_empty()?;
    let [iova, ..] = notes(stage, 1);
    board.put(4, CONTENT);
    board.write(stage, iova, FEW)?;
    board.kept(4, CONTENT)
}

/// The driver dies while the server is down: it stays down until a successor has emptied its device.
fn stop_both(stage: &Stage) -> Result {
    notes(stage, 1);
    stop(stage, "iommu")?;
    check_eq!(stage.stop(FIRST).0, 0);
    check!(stage.restart(FIRST).0 != 0);
    stage.pause(5);
    check_eq!(stage.status(FIRST).state, TaskState::DeadHeld as u64);
    start(stage, "iommu")?;
    start_again(stage, FIRST)?;
    Ok(())
}

fn a_call_finds_no_server(stage: &Stage) -> Result {
    claim()?;
    stop(stage, "iommu")?;
    let answer = claim_words(edu0());
    start(stage, "iommu")?;
    check_eq!(answer.code.0, Code::DOWN.0);
    check_eq!(claim_again(stage, edu0())?.sequence, 0);
    check_eq!(ipc::refresh(index("iommu") as usize).1.0, 0);
    Ok(())
}

/// A server that starts while the PCI task is down leaves the living as they are and gives nobody anything new, until
/// it is up.
fn starts_without_the_pci_task(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, own, 0x55)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    stop(stage, "pci")?;
    restart(stage, "iommu")?;
    board.clear(4);
    board.write(stage, iova, FEW)?;
    board.only(4, 0, FEW)?;
    let mut claimed = claim_again(stage, edu0())?;
    claimed.has_mapped(2)?;
    let works = StatusFlags::CLAIMED | StatusFlags::OPEN;
    check_eq!(claimed.status()?.flags.0, works | StatusFlags::BLOCKED);
    board.clear(4);
    board.write(stage, iova, FEW)?;
    board.only(4, 0, FEW)?;
    check_eq!(code(claimed.unmap(own, 1)), 0);
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check_eq!(code(claimed.release()), 0);
    check_eq!(claim_words(edu0()).code.0, Error::Unavailable as u32);
    check_eq!(status(edu0())?.flags.0, StatusFlags::BLOCKED);
    start(stage, "pci")?;
    claimed = claim_again(stage, edu0())?;
    claimed.has_mapped(0)?;
    check_eq!(code(claimed.release()), 0);
    Ok(())
}

/// The driver dies while neither server is there. The SMMU's is the first to come back, and cuts its device off; it
/// stays down until the other one has made that quiet.
fn stop_all(stage: &Stage) -> Result {
    notes(stage, 1);
    stop(stage, "pci")?;
    stop(stage, "iommu")?;
    check_eq!(stage.stop(FIRST).0, 0);
    start(stage, "iommu")?;
    stage.pause(20);
    check!(stage.restart(FIRST).0 != 0);
    check_eq!(stage.status(FIRST).state, TaskState::DeadHeld as u64);
    start(stage, "pci")?;
    start_again(stage, FIRST)?;
    Ok(())
}

fn bus_mastering_comes_back(stage: &Stage) -> Result {
    let mut claimed = claim()?;
    let board = Board::new()?;
    let own = check_is!(claimed.map(0, 1, READ), Ok(iova) => iova);
    board.load(stage, own, 0x55)?;
    let iova = check_is!(claimed.map(4, 1, BOTH), Ok(iova) => iova);
    restart(stage, "pci")?;
    stage.pause(20);
    let flags = claimed.status()?.flags.0;
    check_eq!(flags, StatusFlags::CLAIMED | StatusFlags::OPEN);
    board.clear(4);
    board.write(stage, iova, FEW)?;
    board.only(4, 0, FEW)?;
    check_eq!(code(claimed.unmap(iova, 1)), 0);
    check_eq!(code(claimed.release()), 0);
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "server-starts-without-pci",
        &["IOMMU-BOOT-4", "IOMMU-BOOT-1", "IOMMU-ADOPT-7"],
        &[Part::returns(FIRST, starts_without_the_pci_task)],
    ),
    Case::new(
        "all-three-die",
        &["IOMMU-ADOPT-4", "IOMMU-ADOPT-7", "IOMMU-G4-1"],
        &[
            Part::returns(FIRST, dies_without_a_server),
            Part::returns(SECOND, stop_all),
        ],
    ),
    Case::new(
        "pci-restarts",
        &["IOMMU-DEATH-5"],
        &[Part::returns(FIRST, bus_mastering_comes_back)],
    ),
    Case::new(
        "server-restarts-with-a-claim",
        &[
            "IOMMU-ADOPT-1",
            "IOMMU-ADOPT-3",
            "IOMMU-ADOPT-6",
            "IOMMU-G6-1",
        ],
        &[Part::returns(FIRST, go_on_after_restart)],
    ),
    Case::new(
        "server-restarts-without-a-claim",
        &["IOMMU-ADOPT-1", "IOMMU-ADOPT-5", "IOMMU-G6-1"],
        &[Part::returns(FIRST, nothing_opens)],
    ),
    Case::new(
        "server-restarts-after-a-driver-died",
        &["IOMMU-ADOPT-4", "IOMMU-G4-1"],
        &[
            Part::returns(FIRST, dies_without_a_server),
            Part::returns(SECOND, stop_both),
        ],
    ),
    Case::new(
        "server-is-down",
        &["IOMMU-G6-1"],
        &[Part::returns(FIRST, a_call_finds_no_server)],
    ),
];
