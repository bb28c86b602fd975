//! The part of a trace that a row counted: what lies between two looks at the counter.

use std::ops::Range;

use super::trace::Trace;
use crate::bench::counted::Counted;

/// `MRS Xt, PMEVCNTR0_EL0`, by which tasks look at the counter; Arm ARM DDI 0487, D24.5.
const LOOK: (u32, u32) = (0xffff_ffe0, 0xd53b_e800);
/// `MSR PMCR_EL0, Xt`, by which the kernel sets it to 0.
const RESET: (u32, u32) = (0xffff_ffe0, 0xd51b_9c00);
/// The most that looking at the counter costs a row; samples take it off by two looks with nothing between.
pub const LOOKS_MAX: usize = 4;

/// Steps at which the counter was 0 or was looked at.
pub fn looks(trace: &Trace) -> Vec<usize> {
    let is = |(mask, value): (u32, u32), word: u32| word & mask == value;
    let looks: Vec<bool> = trace
        .places
        .iter()
        .map(|place| is(LOOK, place.word) || is(RESET, place.word))
        .collect();
    let steps = trace.steps.iter().enumerate();
    let looks = steps.filter(|(_, place)| looks.get(**place as usize) == Some(&true));
    looks.map(|(step, _)| step).collect()
}

/// The last stretch before `report` that counts as the figure; none if there is no such stretch. The figure is of the
/// same run, so that it has to be met exactly: all instructions of it, and of the looks no more than were taken off.
pub fn find(looks: &[usize], report: usize, counted: Counted, figure: u64) -> Option<Range<usize>> {
    let before = looks.partition_point(|look| *look < report);
    let looks = looks.get(..before)?;
    (1..looks.len()).rev().find_map(|at| {
        let (from, to) = (*looks.get(at - 1)?, *looks.get(at)?);
        // Two looks before, with nothing between.
        let empty = at
            .checked_sub(3)
            .and_then(|at| Some(looks.get(at + 1)? - looks.get(at)?));
        let looking = empty.filter(|empty| *empty <= LOOKS_MAX).unwrap_or(0);
        let is = |taken: usize| counted.figure(taken as u64) == Some(figure);
        let all = to - from;
        (is(all) || is(all.saturating_sub(looking))).then_some(from + 1..to)
    })
}

#[cfg(test)]
mod tests {
    use super::super::trace::tests::trace;
    use super::*;

    const CODE: (u64, u32) = (0x40_0000, 0xd503_201f);
    const SEE: (u64, u32) = (0x40_0004, 0xd53b_e805);

    fn run(parts: &[usize]) -> Vec<usize> {
        let mut steps = vec![SEE];
        for &part in parts {
            steps.extend(vec![CODE; part - 1]);
            steps.push(SEE);
        }
        looks(&trace(&steps))
    }

    #[test]
    fn the_last_that_counts_as_the_figure() {
        // Nothing; between; a sample of 9 - 2. The same again, and a third that is longer.
        let seen = run(&[2, 2, 9, 5, 2, 2, 9, 5, 2, 2, 12]);
        let last = *seen.last().unwrap();
        let find = |report, figure| find(&seen, report, Counted::Once, figure);
        let second = 2 + 2 + 9 + 5 + 2 + 2;
        assert_eq!(find(last + 1, 7), Some(second + 1..second + 9));
        assert_eq!(find(second, 7), Some(5..4 + 9), "of before the report");
        assert_eq!(find(last + 1, 10), Some(last - 11..last));
        // From one task's look to another's: nothing was taken off.
        assert_eq!(find(last + 1, 12), Some(last - 11..last));
        // None is so long: neither is what is off by one.
        for wrong in [6, 8, 11, 13] {
            assert_eq!(find(last + 1, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_row_for_each_of_many() {
        let seen = run(&[2, 2, 2 + 4 * 25 + 3]);
        let last = *seen.last().unwrap();
        assert!(find(&seen, last + 1, Counted::Each(4), 25).is_some());
        assert!(find(&seen, last + 1, Counted::Each(4), 27).is_none());
        assert!(find(&seen, last + 1, Counted::Apart, 25).is_none());
    }

    #[test]
    fn other_registers_are_no_look() {
        // `PMEVCNTR1_EL0`, and a write of the counter.
        let steps = [
            SEE,
            (0, 0xd53b_e825),
            (0, 0xd51b_e805),
            SEE,
            (0, 0xd51b_9c08),
        ];
        assert_eq!(looks(&trace(&steps)), [0, 3, 4]);
    }
}
