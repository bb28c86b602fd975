//! How long the IOMMU server may keep a more urgent task waiting.

use std::fmt::Write;

use plan::cost::{self, Longest};

use super::name;
use planner::planning::{DomainPlan, Plan};

/// Bytes that an entry of each part of a window maps.
const PAGE: u64 = 4096;
const BLOCK: u64 = 2 << 20;

fn entries(domain: &DomainPlan) -> u64 {
    domain.page_bytes / PAGE + domain.block_bytes / BLOCK
}

/// Writes the longest time that the server is busy without looking at anything else, and what for.
pub fn write(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let tasks = &plan.app.tasks;
    let server = plan.app.authority().and_then(|index| tasks.get(index));
    let (Some(server), Some(line)) = (server, longest(plan)) else {
        return Ok(());
    };
    writeln!(out, "\nlongest wait of a more urgent task for a server")?;
    writeln!(out, "  {}: {line}", server.name.value)
}

fn longest(plan: &Plan) -> Option<String> {
    let domains = plan.domains.domains.iter().enumerate();
    let (number, domain) = domains.max_by_key(|(number, domain)| {
        // Of several, the first.
        (entries(domain), std::cmp::Reverse(*number))
    })?;
    let entries = entries(domain);
    let (instructions, what) = cost::longest(entries);
    let what = match what {
        Longest::Map => "a map of the whole window, all of it searched",
        Longest::Unmap => "an unmap of the whole window by the longest list",
        Longest::Empty => "the end of a claim with the whole window mapped",
    };
    let solved = plan.solution.domains.get(number)?;
    let device = solved.devices.first().map_or("", |node| name(plan, *node));
    Some(format!(
        "{instructions} instructions, {what} of `{device}` ({entries} entries)"
    ))
}

#[cfg(test)]
mod tests {
    use crate::show::tests::planned;

    #[test]
    fn the_largest_window_decides() {
        for (window, entries) in [("32 MiB", 8192), ("64 MiB", 16384)] {
            let plan = planned(&format!("window = \"{window}\"\n"));
            let mut text = String::new();
            super::write(&plan, &mut text).unwrap();
            let (instructions, _) = plan::cost::longest(entries);
            let expected =
                format!("  iommu: {instructions} instructions, a map of the whole window");
            assert!(text.contains(&expected), "{text}");
            let of = format!("`edu0` ({entries} entries)");
            assert!(text.contains(&of), "{text}");
        }
    }
}
