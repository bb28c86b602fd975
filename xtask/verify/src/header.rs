//! The image's headers: what a loader and the first instructions read (`docs/reference/image.md`).

use crate::Verified;
use crate::expected::Plan;
use crate::image::Image;

/// `TCR_EL1` but for the sizes of both halves: 4 KiB pages, walks write-back and inner shareable, ASIDs of 16 bits, those of
/// `TTBR0_EL1`; every address is compared whole, and attributes of tables count.
const TCR: u64 = 1 << 36 | 0xb500_3500;
const TCR_SIZES: u64 = 0x3f << 16 | 0x3f;
/// Write-back, device-nGnRE, non-cacheable, device-nGnRnE, by index.
const MAIR: u64 = 0x0044_04ff;
/// Offset of the part of Linux's header that follows the branch.
const LINUX: u64 = 8;
const LINUX_FLAGS: u64 = 2;
const LINUX_MAGIC: u64 = 0x644d_5241;
const HEADER_BYTES: u64 = 152;

/// Compares both headers, but for the branch to the first instruction and the roots of tables, which are walked.
pub fn check(image: &Image<'_>, plan: &Plan, verified: &mut Verified) {
    let header = image.header;
    let memory = &plan.memory;
    let place = (header.base, header.base.saturating_add(image.len()));
    verified.compare(
        "image",
        "its place is",
        &place,
        &(memory.image, memory.file_end),
    );
    let word = |at: u64| {
        image
            .word(header.base.saturating_add(at))
            .unwrap_or_default()
    };
    let linux = (0..7).map(|index| word(LINUX + index * 8));
    let bytes = memory.end.saturating_sub(memory.image);
    let planned = [0, bytes, LINUX_FLAGS, 0, 0, 0, LINUX_MAGIC];
    verified.compare(
        "image",
        "Linux's header is",
        &linux.collect::<Vec<_>>(),
        &planned.to_vec(),
    );
    let mut consoles = plan
        .kernel
        .memory
        .iter()
        .filter(|range| range.name == "console");
    let console = consoles.next().map(|range| range.address);
    verified.compare(
        "image",
        "its console is at",
        &Some(header.console),
        &console,
    );
    verified.compare("image", "TCR_EL1 is", &(header.tcr & !TCR_SIZES), &TCR);
    verified.compare("image", "MAIR_EL1 is", &header.mair, &MAIR);
    let el2 = (memory.el2.address, memory.el2.bytes);
    verified.compare("image", "the program of EL2 is", &header.el2, &el2);
    let conduit = ["none", "smc", "hvc"]
        .iter()
        .position(|way| *way == plan.firmware);
    let conduit = conduit.map_or(u64::MAX, |way| way as u64);
    let planned = conduit | u64::from(plan.semihosting) << 32;
    verified.compare(
        "image",
        "the ways to firmware and out are",
        &word(136),
        &planned,
    );
    // The length and the version of the header; no version and no digest of the image; one core, whichever it is.
    let told: Vec<u64> = [72, 144, 152, 160, 168, 176, 184, 192].map(word).to_vec();
    let console = plan.board.console_access.as_ref();
    let cores = console.map_or(u64::MAX, |console| 1 | console.word() << 32);
    let planned = vec![3 | HEADER_BYTES << 32, 0, 0, 0, 0, 0, cores, u64::MAX];
    verified.compare(
        "image",
        "version, digest, the console's kind and cores are",
        &told,
        &planned,
    );
}
