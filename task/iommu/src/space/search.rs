//! Finding free entries.

use core::ops::Range;

use super::{Part, Run};
use crate::hardware::Hardware;

/// Entries beyond a request that a search looks at to make the next one cheap.
const LOOK_AHEAD: u64 = 256;

/// The result of a search in a range.
enum Searched {
    Found(Run),
    /// Nothing; so many entries are free from its beginning on.
    None {
        leading: u64,
    },
}

impl Part {
    /// Finds `count` free entries in a row. They stay free until written.
    #[inline(always)]
    pub fn find<H: Hardware>(&mut self, hardware: &mut H, count: u64) -> Option<Run> {
        if self.free_end - self.free_first < count {
            self.search(hardware, count)?;
        }
        Some(Run {
            first: self.free_first,
            count,
        })
    }

    /// Looks for a run of at least `count` free entries, once around from the end of the last one. Each entry is
    /// read once at most, and none if there cannot be such a run.
    #[cold]
    fn search<H: Hardware>(&mut self, hardware: &mut H, count: u64) -> Option<()> {
        if count > self.most_free.min(self.longest_free) {
            return None;
        }
        let start = if self.free_end < self.count {
            self.free_end
        } else {
            0
        };
        let found = match self.search_between(hardware, start..self.count, 0, count) {
            Searched::Found(run) => run,
            Searched::None { leading } => {
                // A run may begin before `start` and reach beyond it.
                match self.search_between(hardware, 0..start, leading, count) {
                    Searched::Found(run) => run,
                    Searched::None { .. } => {
                        self.longest_free = count - 1;
                        return None;
                    }
                }
            }
        };
        self.free_first = found.first;
        self.free_end = found.end();
        Some(())
    }

    /// Looks in a range of entries, of which `behind` more are known to be free behind its end.
    fn search_between<H: Hardware>(
        &self,
        hardware: &mut H,
        range: Range<u64>,
        behind: u64,
        count: u64,
    ) -> Searched {
        let (from, to) = (range.start, range.end);
        let enough = count + LOOK_AHEAD;
        let mut first = from;
        let mut leading = None;
        for entry in from..to {
            if hardware.load(self.at(entry)) != 0 {
                let run = entry - first;
                if run >= count {
                    return Searched::Found(Run { first, count: run });
                }
                leading.get_or_insert(run);
                first = entry + 1;
            } else if entry - first + 1 >= enough {
                return Searched::Found(Run {
                    first,
                    count: enough,
                });
            }
        }
        let run = to - first + behind;
        if run >= count && run > 0 {
            return Searched::Found(Run { first, count: run });
        }
        Searched::None {
            leading: leading.unwrap_or(run),
        }
    }
}
