//! How long the server lives: a fuse counts its operations, which are stores, barriers, accesses to registers and calls
//! to the system.

use smmu_model::Chooser;

/// Operations that the server lives for; for ever if there is no number.
#[derive(Clone, Copy, Default, Debug)]
pub struct Fuse(Option<usize>);

/// Longest lives that a fuse chooses from: requests make about ten operations, lists some hundred, a start
/// up to a thousand.
const SCALES: [usize; 4] = [12, 40, 150, 1000];

impl Fuse {
    /// Once in `rarity` one that burns.
    pub fn light(&mut self, chooser: &mut Chooser, rarity: u32) {
        self.0 = None;
        if chooser.once_in(rarity) {
            let scale = chooser.pick(&SCALES).copied().unwrap_or(1);
            self.0 = Some(chooser.below(scale));
        }
    }

    /// One that burns after so many operations.
    pub fn cut(&mut self, operations: usize) {
        self.0 = Some(operations);
    }

    /// Counts an operation: whether the server dies before it.
    pub(crate) fn burns_out(&mut self) -> bool {
        match &mut self.0 {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}
