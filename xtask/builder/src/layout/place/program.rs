//! The kernel's segments: at the same distances in physical memory as in its program.

use abi::layout::{KERNEL_IMAGE_BASE, KERNEL_PLAN_BASE, PAGE};

use super::task::{PlacedSegment, Rights};
use crate::compile::Program;
use planner::report::{Mistake, Report, Reported};

/// Places the kernel. Its first instructions run where it is loaded, before the MMU is on, so nothing may
/// be moved against the rest.
///
/// The segment without any right is not the kernel's but the program for EL2; it is returned apart.
pub fn kernel(
    report: &Report,
    program: &Program,
    image_base: u64,
) -> Result<(Vec<PlacedSegment>, PlacedSegment), Reported> {
    let mut places = Vec::new();
    let mut el2 = None;
    let mut end = KERNEL_IMAGE_BASE;
    for segment in &program.segments {
        if !segment.is_within(end, KERNEL_PLAN_BASE) {
            report
                .error(Mistake::Program, "the kernel's segments do not fit")
                .note(format!(
                    "segment at {:#x}, {:#x} bytes: expected whole pages from {end:#x} up",
                    segment.va, segment.len
                ));
            return Err(Reported);
        }
        let len = segment.len.next_multiple_of(PAGE);
        end = segment.va + len;
        let mut bytes = segment.bytes.clone();
        bytes.resize(usize::try_from(len).unwrap_or(0), 0);
        let place = PlacedSegment {
            va: segment.va,
            pa: segment.va - KERNEL_IMAGE_BASE + image_base,
            len,
            bytes,
            rights: Rights {
                write: segment.write,
                execute: segment.execute,
            },
        };
        if segment.hidden {
            el2 = Some(place);
        } else {
            places.push(place);
        }
    }
    if places
        .first()
        .is_none_or(|place| place.va != KERNEL_IMAGE_BASE)
    {
        report.error(
            Mistake::Program,
            "the kernel's first segment is not where the image begins",
        );
        return Err(Reported);
    }
    let Some(el2) = el2 else {
        report.error(
            Mistake::Program,
            "the kernel has no segment without rights: the program for EL2",
        );
        return Err(Reported);
    };
    Ok((places, el2))
}
