//! Bus numbers that several bridges have, or that there were not enough of.
//!
//! What is on such a bus reads as ones, as if it slept: a request for it goes below another bridge, or nowhere.

use crate::error::{Error, ErrorKind};
use crate::function::{Address, Function};

/// A bridge's numbers: its own bus, the first and the last below it.
struct Range<'a> {
    function: &'a Function,
    first: u8,
    last: u8,
}

impl Range<'_> {
    fn has(&self, segment: u16, bus: u8) -> bool {
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

/// What is wrong with the bus numbers, and the functions whose silence that explains; `silent` are those that read
/// as ones.
pub(crate) fn check(functions: &[Function], silent: &[Address]) -> (Vec<Error>, Vec<Address>) {
    let mut errors = Vec::new();
    let numbered = |function: &&Function| {
        function
            .buses
            .is_some_and(|[_, first, last]| first != 0 && first <= last)
    };
    let ranges: Vec<Range<'_>> = functions
        .iter()
        .filter(numbered)
        .filter_map(|function| {
            let [_, first, last] = function.buses?;
            Some(Range {
                function,
                first,
                last,
            })
        })
        .collect();
    let mut explained: Vec<Address> = Vec::new();
    let mut explains = |of: &dyn Fn(&Address) -> bool| {
        explained.extend(silent.iter().filter(|address| of(address)))
    };
    for (index, one) in ranges.iter().enumerate() {
        for two in ranges.iter().skip(index + 1) {
            let apart = one.last < two.first || two.last < one.first;
            if one.function.address.segment != two.function.address.segment || apart {
                continue;
            }
            let (above, below) = match (one.is_above(two), two.is_above(one)) {
                (true, false) => (one, two),
                (false, true) => (two, one),
                _ => {
                    // Two that lead to one bus are told of as a contradiction already.
                    if one.first != two.first {
                        errors.push(error(
                            two,
                            format!(
                                "{}, and {}: requests for a bus of both go below one",
                                one.shown(),
                                two.shown()
                            ),
                        ));
                    }
                    explains(&|at| one.has(at.segment, at.bus) || two.has(at.segment, at.bus));
                    continue;
                }
            };
            if below.last > above.last || below.first < above.first {
                errors.push(error(
                    below,
                    format!(
                        "{}, above it {}: there were not enough",
                        below.shown(),
                        above.shown()
                    ),
                ));
                explains(&|at| below.has(at.segment, at.bus));
            }
        }
    }
    let nowhere = |at: &Address| {
        !ranges.iter().any(|range| range.has(at.segment, at.bus))
            && !functions
                .iter()
                .any(|f| (f.address.segment, f.address.bus) == (at.segment, at.bus))
    };
    if let Some(lost) = silent.iter().find(|at| nowhere(at)) {
        let line = functions
            .iter()
            .find(|f| f.buses.is_some_and(|[_, first, _]| first == 0))
            .map_or(0, |f| f.line);
        errors.push(Error::new(
            line,
            ErrorKind::BusNumbers,
            format!("{lost} reads as ones, and bus {:02x} is below no bridge: there were not enough numbers", lost.bus),
        ));
        explains(&nowhere);
    }
    (errors, explained)
}

fn error(range: &Range<'_>, message: String) -> Error {
    Error::new(range.function.line, ErrorKind::BusNumbers, message)
}
