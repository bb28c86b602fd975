//! Step 4: the layout. Everything gets its place, and the tables that tell of the places are filled.
//!
//! Tables have sizes that depend on addresses, and take room themselves. So both are done together, again and again
//! until nothing moves. [`Layout`] is what comes out: places without tables, or tables for other places, do not exist
//! outside of this step.

mod place;
mod tables;

#[cfg(test)]
mod tests;

use crate::compile::Programs;
use planner::planning::Plan;
use planner::report::{Mistake, Report, Reported};

pub use place::{
    Extent, KernelLayout, Mapping, MappingKind, MessageMemory, PlacedSegment, Placement, Rights,
    Sizes, TaskLayout,
};
pub use tables::{DISTRIBUTOR, Piece, Plans, Roots, Tables, console, table_pages, window_of};

/// The places of everything in an image, and tables that take exactly the room which they have there.
pub struct Layout {
    placement: Placement,
    tables: Tables,
}

/// Rounds until sizes and addresses agree. The first begins without sizes, so that everything moves in the second;
/// later only what crosses a page does. More rounds would mean that two sizes chase each other, which is refused.
const ROUNDS: usize = 8;

impl Layout {
    /// Places everything and fills the tables.
    pub fn new(report: &Report, plan: &Plan, programs: &Programs) -> Result<Self, Reported> {
        let mut sizes = Sizes::default();
        for _ in 0..ROUNDS {
            let placement = Placement::new(report, plan, programs, sizes)?;
            let tables = Tables::new(report, plan, &placement)?;
            match Self::settled(placement, tables) {
                Ok(layout) => return Ok(layout),
                Err(needed) => sizes = needed,
            }
        }
        report.error(
            Mistake::Program,
            "sizes and addresses of the tables do not settle",
        );
        Err(Reported)
    }

    /// The two as one, or the room that the tables need instead of what they have.
    fn settled(placement: Placement, tables: Tables) -> Result<Self, Sizes> {
        let needed = tables.sizes();
        if needed == *placement.sizes() {
            Ok(Self { placement, tables })
        } else {
            Err(needed)
        }
    }

    /// The places.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }
}
