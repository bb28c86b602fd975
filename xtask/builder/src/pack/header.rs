//! Headers of the image.

use abi::boot::{
    ANY_CORE, BOOT_HEADER_OFFSET, BOOT_MAGIC, BOOT_SEMIHOSTING, BOOT_VERSION, BootCore, BootHeader,
    CONDUIT_HVC, CONDUIT_NONE, CONDUIT_SMC, CORES_MAX,
};
use abi::layout::{KERNEL_VA_BITS, TASK_VA_BITS};
use vmsa::Granule;
use zerocopy::IntoBytes;

use crate::layout::{Layout, console};
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;
use planner::read::Psci;

/// Little endian, 4 KiB pages, close to the start of RAM (Linux, Documentation/arch/arm64/booting.rst).
const FLAGS: u64 = 1 << 1;
const MAGIC: &[u8] = b"ARM\x64";

/// Fills in what the kernel's link leaves open. Its first eight bytes, the branch to the entry, stay.
pub fn write(image: &mut [u8], plan: &Plan, layout: &Layout) -> Outcome<()> {
    let (placement, tables) = (layout.placement(), layout.tables());
    let cores = cores(layout)?;
    let boot = BootHeader {
        magic: BOOT_MAGIC,
        version: BOOT_VERSION,
        len: size_of::<BootHeader>() as u32,
        image_base: placement.image_base,
        console: console(plan),
        // Without an output size: the kernel takes it from the processor.
        tcr: vmsa::tcr_el1(Granule::Size4K, TASK_VA_BITS, KERNEL_VA_BITS, 0),
        mair: vmsa::MAIR,
        boot_ttbr0: tables.roots.boot,
        el2: placement.el2.pa,
        el2_len: placement.el2.len,
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
        core_count: cores.len() as u32,
        console_access: plan.app.platform.console.kind.access(),
        cores,
    };
    let memory = placement.memory_end - placement.image_base;
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

/// The facts with which each core starts.
fn cores(layout: &Layout) -> Outcome<[BootCore; CORES_MAX]> {
    let tables = layout.tables();
    let kernels = tables.roots.kernels.iter().zip(&tables.plans.kernels);
    let cores: Vec<BootCore> = kernels
        .map(|(&kernel_ttbr1, plan)| BootCore {
            mpidr: ANY_CORE,
            kernel_ttbr1,
            plan_len: plan.len() as u64,
        })
        .collect();
    cores
        .try_into()
        .map_err(|_| Failure::new("the image's header has no room for so many cores"))
}
