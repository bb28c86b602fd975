//! The image's bytes.

use super::header;
use crate::layout::{Extent, Layout, Placement};
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;

/// Puts everything that has first contents in its place.
pub fn build(plan: &Plan, layout: &Layout) -> Outcome<Vec<u8>> {
    let (placement, tables) = (layout.placement(), layout.tables());
    let len = usize::try_from(placement.file_end - placement.image_base)
        .map_err(Failure::when("the image is too large"))?;
    let mut image = vec![0; len];
    let programs = placement.kernels.iter().flat_map(|kernel| &kernel.program);
    for place in programs.chain([&placement.el2]) {
        put(&mut image, placement, place.pa, &place.bytes)?;
    }
    for task in &placement.tasks {
        for place in task.program.iter().filter(|place| !place.rights.write) {
            put(&mut image, placement, place.pa, &place.bytes)?;
        }
    }
    let kernels = placement.kernels.iter().map(|kernel| kernel.plan);
    let tasks = placement.tasks.iter().map(|task| task.plan);
    let plans: Vec<Extent> = kernels.chain(tasks).collect();
    let contents = tables.plans.kernels.iter().chain(&tables.plans.tasks);
    for (extent, bytes) in plans.iter().zip(contents) {
        put(&mut image, placement, extent.pa, bytes)?;
    }
    let pages: Vec<u8> = tables
        .pages
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    put(&mut image, placement, placement.page_tables.pa, &pages)?;
    for (extent, bytes) in placement.smmus.iter().zip(&tables.smmus) {
        put(&mut image, placement, extent.pa, bytes)?;
    }
    header::write(&mut image, plan, layout)?;
    Ok(image)
}

fn put(image: &mut [u8], placement: &Placement, pa: u64, bytes: &[u8]) -> Outcome<()> {
    let outside = || Failure::new(format!("address {pa:#x} is outside the image"));
    let offset = pa
        .checked_sub(placement.image_base)
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or_else(outside)?;
    image
        .get_mut(offset..)
        .and_then(|rest| rest.get_mut(..bytes.len()))
        .ok_or_else(outside)?
        .copy_from_slice(bytes);
    Ok(())
}
