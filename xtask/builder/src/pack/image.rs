//! The image's bytes.

use super::header;
use crate::place::{Extent, Layout};
use crate::tables::Tables;
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;

/// Puts everything that has first contents in its place.
pub fn build(plan: &Plan, tables: &Tables) -> Outcome<Vec<u8>> {
    let layout = &tables.layout;
    let len = usize::try_from(layout.file_end - layout.image_base)
        .map_err(Failure::when("the image is too large"))?;
    let mut image = vec![0; len];
    for place in layout.kernel.iter().chain([&layout.el2]) {
        put(&mut image, layout, place.pa, &place.bytes)?;
    }
    for task in &layout.tasks {
        for place in task.program.iter().filter(|place| !place.rights.write) {
            put(&mut image, layout, place.pa, &place.bytes)?;
        }
    }
    let plans = layout.tasks.iter().map(|task| task.plan);
    let plans: Vec<Extent> = std::iter::once(layout.kernel_plan).chain(plans).collect();
    for (extent, bytes) in plans.iter().zip(&tables.plans) {
        put(&mut image, layout, extent.pa, bytes)?;
    }
    let pages: Vec<u8> = tables
        .pages
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    put(&mut image, layout, layout.page_tables.pa, &pages)?;
    put(&mut image, layout, layout.smmu.pa, &tables.smmu)?;
    header::write(&mut image, plan, tables)?;
    Ok(image)
}

fn put(image: &mut [u8], layout: &Layout, pa: u64, bytes: &[u8]) -> Outcome<()> {
    let outside = || Failure::new(format!("address {pa:#x} is outside the image"));
    let offset = pa
        .checked_sub(layout.image_base)
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or_else(outside)?;
    image
        .get_mut(offset..)
        .and_then(|rest| rest.get_mut(..bytes.len()))
        .ok_or_else(outside)?
        .copy_from_slice(bytes);
    Ok(())
}
