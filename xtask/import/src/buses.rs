//! Bus numbers that several bridges have, or that there were not enough of.
//!
//! What is on such a bus reads as ones, as if it slept: a request for it goes below another bridge, or nowhere.

use crate::address::Address;
use crate::error::{Error, ErrorKind};
use crate::function::Function;

/// A bridge's numbers: its own bus, the first and the last below it.
struct Range<'a> {
    function: &'a Function,
    first: u8,
    last: u8,
}

impl Range<'_> {
    fn has(&self, segment: u32, bus: u8) -> bool {
        self.function.address.segment == segment && (self.first..=self.last).contains(&bus)
    }

    /// Whether a bridge lies on one of the buses below this one.
    fn is_above(&self, other: &Range<'_>) -> bool {
        let address = other.function.address;
        self.has(address.segment, address.bus)
    }

    fn shown(&self) -> String {
        format!(
            "{} has buses {:02x} to {:02x}",
            self.function.address, self.first, self.last
        )
    }
}

/// Takes numbers from bridges that got more than the bridge above them passes on. Nothing can be there, so nothing is
/// lost; Linux calls such numbers hidden.
pub(crate) fn cut_hidden(functions: &mut [Function], silent: &[Address]) {
    let mut bridges: Vec<usize> = (0..functions.len()).collect();
    let first = |f: &Function| (f.address.segment, f.buses.map_or(0, |[_, first, _]| first));
    bridges.retain(|index| first(&functions[*index]).1 != 0);
    bridges.sort_by_key(|index| first(&functions[*index]));
    for index in bridges {
        let bridge = &functions[index];
        let Address { segment, bus, .. } = bridge.address;
        let Some([_, own, last]) = bridge.buses else {
            continue;
        };
        let above = functions
            .iter()
            .find(|above| first(above) == (segment, bus) && bus != 0);
        let Some((above, [_, _, end])) = above.and_then(|above| Some((above, above.buses?))) else {
            continue;
        };
        let is_hidden = |at: &Address| at.segment == segment && at.bus > end && at.bus <= last;
        let mut there = functions.iter().map(|f| &f.address).chain(silent);
        if last <= end || own > end || own <= bus || there.any(is_hidden) {
            continue;
        }
        let note = format!(
            "{} has buses {own:02x} to {last:02x}, but {} above it passes on {:02x} to {end:02x} only: the numbers from {:02x} \
             are hidden, and left out",
            bridge.address,
            above.address,
            bus,
            end + 1
        );
        let bridge = &mut functions[index];
        if let Some(buses) = &mut bridge.buses {
            buses[2] = end;
        }
        bridge.notes.push(note);
    }
}

/// Checks the bus numbers. Also returns the functions whose silence that explains; `silent` are those that read as
/// ones.
pub(crate) fn check(functions: &[Function], silent: &[Address]) -> (Vec<Error>, Vec<Address>) {
    let ranges = ranges(functions);
    let mut found = Found::default();
    for (index, one) in ranges.iter().enumerate() {
        for two in ranges.iter().skip(index + 1) {
            found.compare(one, two, silent);
        }
    }
    found.lost(functions, &ranges, silent);
    (found.errors, found.explained)
}

/// The bridges that have numbers.
fn ranges(functions: &[Function]) -> Vec<Range<'_>> {
    let mut ranges = Vec::new();
    for function in functions {
        if let Some([_, first, last]) = function.buses
            && first != 0
            && first <= last
        {
            ranges.push(Range {
                function,
                first,
                last,
            });
        }
    }
    ranges
}

/// The findings so far.
#[derive(Default)]
struct Found {
    errors: Vec<Error>,
    explained: Vec<Address>,
}

impl Found {
    /// Two bridges of a segment have no bus in common, or all of one's are among the other's.
    fn compare(&mut self, one: &Range<'_>, two: &Range<'_>, silent: &[Address]) {
        let apart = one.last < two.first || two.last < one.first;
        let beside = !one.is_above(two) && !two.is_above(one);
        if one.function.address.segment != two.function.address.segment || apart && beside {
            return;
        }
        let (above, below) = match (one.is_above(two), two.is_above(one)) {
            (true, false) => (one, two),
            (false, true) => (two, one),
            _ => {
                // Two that lead to one bus are told of as a contradiction already.
                if one.first != two.first {
                    let (one, other) = (one.shown(), two.shown());
                    let what =
                        format!("{one}, and {other}: requests for a bus of both go below one");
                    self.errors.push(error(two, what));
                }
                self.explain(silent, |at| {
                    one.has(at.segment, at.bus) || two.has(at.segment, at.bus)
                });
                return;
            }
        };
        if below.last > above.last || below.first < above.first {
            let what = format!(
                "{}, above it {}: there were not enough",
                below.shown(),
                above.shown()
            );
            self.errors.push(error(below, what));
            self.explain(silent, |at| below.has(at.segment, at.bus));
        }
    }

    /// A bus that no bridge leads to is a root bus, unless a bridge of its segment got no numbers.
    fn lost(&mut self, functions: &[Function], ranges: &[Range<'_>], silent: &[Address]) {
        let is_known = |at: &Address| {
            ranges.iter().any(|range| range.has(at.segment, at.bus))
                || functions
                    .iter()
                    .any(|f| (f.address.segment, f.address.bus) == (at.segment, at.bus))
        };
        for bridge in functions {
            let numberless = bridge.buses.is_some_and(|[_, first, _]| first == 0);
            let below =
                |at: &Address| at.segment == bridge.address.segment && at.bus != 0 && !is_known(at);
            let Some(lost) = silent.iter().find(|at| numberless && below(at)) else {
                continue;
            };
            self.errors.push(Error::new(
                bridge.line,
                ErrorKind::BusNumbers,
                format!(
                    "{} has no bus numbers, and {lost} reads as ones: there were not enough",
                    bridge.address
                ),
            ));
            self.explain(silent, below);
            return;
        }
    }

    fn explain(&mut self, silent: &[Address], of: impl Fn(&Address) -> bool) {
        self.explained
            .extend(silent.iter().filter(|address| of(address)));
    }
}

fn error(range: &Range<'_>, message: String) -> Error {
    Error::new(range.function.line, ErrorKind::BusNumbers, message)
}
