//! Headers of the image.

use abi::boot::{
    ANY_CORE, BOOT_HEADER_OFFSET, BOOT_MAGIC, BOOT_SEMIHOSTING, BOOT_VERSION, BootCore, BootHeader,
    CONDUIT_HVC, CONDUIT_NONE, CONDUIT_SMC,
};
use abi::layout::{KERNEL_VA_BITS, TASK_VA_BITS};
use vmsa::Granule;
use zerocopy::IntoBytes;

use crate::tables::{Tables, console};
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;
use planner::read::Psci;

/// Little endian, 4 KiB pages, close to the start of RAM (Linux, Documentation/arch/arm64/booting.rst).
const FLAGS: u64 = 1 << 1;
const MAGIC: &[u8] = b"ARM\x64";

/// Fills in what the kernel's link leaves open. Its first eight bytes, the branch to the entry, stay.
pub fn write(image: &mut [u8], plan: &Plan, tables: &Tables) -> Outcome<()> {
    let layout = &tables.layout;
    let boot = BootHeader {
        magic: BOOT_MAGIC,
        version: BOOT_VERSION,
        len: size_of::<BootHeader>() as u32,
        image_base: layout.image_base,
        console: console(plan),
        // Without an output size: the kernel takes it from the processor.
        tcr: vmsa::tcr_el1(Granule::Size4K, TASK_VA_BITS, KERNEL_VA_BITS, 0),
        mair: vmsa::MAIR,
        boot_ttbr0: tables.roots.boot,
        el2: layout.el2.pa,
        el2_len: layout.el2.len,
        conduit: match plan.app.platform.psci {
            Psci::None => CONDUIT_NONE,
            Psci::Smc => CONDUIT_SMC,
            Psci::Hvc => CONDUIT_HVC,
        },
        flags: if plan.app.semihosting {
            BOOT_SEMIHOSTING
        } else {
            0
        },
        image_version: 0,
        image_digest: [0; 32],
        core_count: 1,
        reserved: 0,
        cores: [BootCore {
            mpidr: ANY_CORE,
            kernel_ttbr1: tables.roots.kernel,
            plan_len: tables.plans.first().map_or(0, |plan| plan.len() as u64),
        }],
    };
    let memory = layout.memory_end - layout.image_base;
    let fields: [(usize, &[u8]); 7] = [
        (8, &0u64.to_le_bytes()),
        (16, &memory.to_le_bytes()),
        (24, &FLAGS.to_le_bytes()),
        (32, &[0; 24]),
        (56, MAGIC),
        (60, &[0; 4]),
        (BOOT_HEADER_OFFSET, boot.as_bytes()),
    ];
    for (offset, bytes) in fields {
        image
            .get_mut(offset..offset + bytes.len())
            .ok_or_else(|| Failure::new("the kernel is smaller than its header"))?
            .copy_from_slice(bytes);
    }
    Ok(())
}
