//! Opening and closing streams, and what the SMMU must forget with them.

use smmu::stream::abort_word;
use smmu::{Command, Features};

use crate::hardware::Hardware;
use crate::limits::SINGLE_INVALIDATIONS_MAX;
use crate::queue::{Broken, CommandQueue};
use crate::space::{Part, Run};

/// Opens streams: `word` is word 0 of their entries then. Only that word changes, so the SMMU
/// sees an entry either closed or open, never half; it may have cached the closed one.
pub fn open<H: Hardware>(
    hardware: &mut H,
    queue: &mut CommandQueue,
    streams: impl Iterator<Item = (u32, u64)>,
    word: u64,
    asid: u16,
) -> Result<(), Broken> {
    change(hardware, queue, streams, word, asid)
}

/// Makes streams abort. When it returns, nothing of theirs is translated any more and everything that
/// was translated before is visible.
pub fn close<H: Hardware>(
    hardware: &mut H,
    queue: &mut CommandQueue,
    streams: impl Iterator<Item = (u32, u64)>,
    asid: u16,
) -> Result<(), Broken> {
    change(hardware, queue, streams, abort_word(), asid)
}

/// Entries first, then configuration, then translations, a CMD_SYNC after each: a translation could be
/// fetched again through a configuration that is still cached (§4.3.6, §4.7.3).
fn change<H: Hardware>(
    hardware: &mut H,
    queue: &mut CommandQueue,
    streams: impl Iterator<Item = (u32, u64)>,
    word: u64,
    asid: u16,
) -> Result<(), Broken> {
    for (stream, entry) in streams {
        hardware.store(entry, word);
        // The entry is visible before the command is: the queue publishes both.
        queue.push(hardware, Command::ConfigStream { stream, leaf: true })?;
    }
    queue.push(hardware, Command::Sync)?;
    queue.push(hardware, Command::TlbAsid { asid })?;
    queue.sync(hardware)
}

/// Makes the SMMU forget the translations of a run, whose entries were stored as invalid before: when it returns nothing
/// is translated by them any more.
#[inline(always)]
pub fn forget_now<H: Hardware>(
    hardware: &mut H,
    queue: &mut CommandQueue,
    features: &Features,
    part: &Part,
    run: Run,
    asid: u16,
) -> Result<(), Broken> {
    if run.count == 1 {
        let address = part.iova(run.first);
        return queue.do_one(hardware, Command::TlbAddress { asid, address });
    }
    forget_run(hardware, queue, features, part, run, asid)?;
    queue.sync(hardware)
}

/// Queues what makes the SMMU forget the translations of a run; a later [`CommandQueue::sync`] completes it.
/// The entries are stored as invalid before.
#[inline(always)]
pub fn forget<H: Hardware>(
    hardware: &mut H,
    queue: &mut CommandQueue,
    features: &Features,
    part: &Part,
    run: Run,
    asid: u16,
) -> Result<(), Broken> {
    if run.count == 1 {
        let address = part.iova(run.first);
        return queue.push(hardware, Command::TlbAddress { asid, address });
    }
    forget_run(hardware, queue, features, part, run, asid)
}

fn forget_run<H: Hardware>(
    hardware: &mut H,
    queue: &mut CommandQueue,
    features: &Features,
    part: &Part,
    run: Run,
    asid: u16,
) -> Result<(), Broken> {
    if !features.range_invalidation {
        if run.count > SINGLE_INVALIDATIONS_MAX {
            return queue.push(hardware, Command::TlbAsid { asid });
        }
        for entry in run.first..run.first + run.count {
            let address = part.iova(entry);
            queue.push(hardware, Command::TlbAddress { asid, address })?;
        }
        return Ok(());
    }
    // A command covers (num + 1) << scale pages; the lowest five bits of the count go first.
    let mut left = run.count * part.entry_pages();
    let mut address = part.iova(run.first);
    while left > 0 {
        let scale = left.trailing_zeros();
        let multiple = (left >> scale) & 31;
        queue.push(
            hardware,
            Command::TlbRange {
                asid,
                address,
                num: multiple as u32 - 1,
                scale,
                level: part.level(),
            },
        )?;
        let covered = multiple << scale;
        left -= covered;
        address += covered << 12;
    }
    Ok(())
}
