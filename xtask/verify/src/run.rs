//! Runs of addresses that lead to memory in a row, with the same rights.

use std::fmt;

/// The rights in a range, beside reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    pub write: bool,
    pub execute: bool,
    pub memory: &'static str,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let write = if self.write { 'w' } else { '-' };
        let execute = if self.execute { 'x' } else { '-' };
        write!(f, "r{write}{execute} {}", self.memory)
    }
}

/// A run; `A` is what its addresses have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run<A> {
    pub input: u64,
    pub output: u64,
    /// Bytes, not 0.
    pub len: u64,
    pub access: A,
}

impl<A> Run<A> {
    pub fn output_end(&self) -> u64 {
        self.output.saturating_add(self.len)
    }

    /// Whether both lead to a common byte.
    pub fn meets<B>(&self, other: &Run<B>) -> bool {
        self.output < other.output_end() && other.output < self.output_end()
    }
}

impl<A: fmt::Display> fmt::Display for Run<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (input, output, len) = (self.input, self.output, self.len);
        write!(
            f,
            "{input:#x} to {:#x}, {} ({len:#x} bytes)",
            output, self.access
        )
    }
}

/// Runs in the order of their addresses, those that continue each other as one.
pub fn merged<A: Copy + PartialEq>(mut runs: Vec<Run<A>>) -> Vec<Run<A>> {
    runs.retain(|run| run.len > 0);
    runs.sort_by_key(|run| run.input);
    let mut merged: Vec<Run<A>> = Vec::new();
    for run in runs {
        match merged.last_mut() {
            Some(last)
                if last.access == run.access
                    && last.input.checked_add(last.len) == Some(run.input)
                    && last.output.checked_add(last.len) == Some(run.output) =>
            {
                last.len += run.len;
            }
            _ => merged.push(run),
        }
    }
    merged
}

/// The differences between what is and what `plan.json` says, as lines; `whose` begins them.
pub fn differences<A: Copy + PartialEq + fmt::Display>(
    whose: &str,
    found: Vec<Run<A>>,
    planned: Vec<Run<A>>,
) -> Vec<String> {
    let (found, planned) = (merged(found), merged(planned));
    let only = |these: &[Run<A>], those: &[Run<A>], what: &str| -> Vec<String> {
        let these = these.iter().filter(|run| !those.contains(run));
        these.map(|run| format!("{whose}: {run}: {what}")).collect()
    };
    let mut lines = only(&found, &planned, "in the tables, not in plan.json");
    lines.extend(only(&planned, &found, "in plan.json, not in the tables"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: u64, output: u64, len: u64, access: &str) -> Run<&str> {
        Run {
            input,
            output,
            len,
            access,
        }
    }

    #[test]
    fn what_continues_is_one_run() {
        let parts = vec![
            run(0x3000, 0x13000, 0x1000, "a"),
            run(0x1000, 0x11000, 0x1000, "a"),
            run(0x2000, 0x12000, 0x1000, "a"),
            run(0x4000, 0x14000, 0x1000, "b"),
            run(0x5000, 0x25000, 0x1000, "b"),
            run(0x9000, 0, 0, "b"),
        ];
        let whole = [
            run(0x1000, 0x11000, 0x3000, "a"),
            run(0x4000, 0x14000, 0x1000, "b"),
            run(0x5000, 0x25000, 0x1000, "b"),
        ];
        assert_eq!(merged(parts.clone()), whole);
        assert!(differences("x", parts, whole.to_vec()).is_empty());
    }

    #[test]
    fn differences_are_said_from_both_sides() {
        let found = vec![run(0x1000, 0x2000, 0x1000, "a")];
        let planned = vec![run(0x1000, 0x3000, 0x1000, "a")];
        let lines = differences("task t", found.clone(), planned);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("task t: 0x1000 to 0x2000, a (0x1000 bytes)"));
        assert!(lines[1].contains("in plan.json, not in the tables"));
        assert_eq!(differences("t", found, vec![]).len(), 1);
    }

    #[test]
    fn runs_meet_in_what_they_lead_to() {
        let page = run(0, 0x2000, 0x1000, "");
        assert!(page.meets(&run(9, 0x2fff, 1, "")));
        assert!(!page.meets(&run(0, 0x3000, 0x1000, "")));
        assert!(!page.meets(&run(0, 0x1000, 0x1000, "")));
        assert!(page.meets(&run(0, 0x1000, u64::MAX, "")));
    }
}
