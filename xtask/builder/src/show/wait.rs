//! How long the IOMMU server may keep a more urgent task waiting.

use std::fmt::Write;

use plan::cost::Longest;

use super::name;
use planner::planning::{Plan, longest_message};

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
    let longest = longest_message(&plan.domains)?;
    let what = match longest.what {
        Longest::Map => "a map of the whole window, all of it searched",
        Longest::Unmap => "an unmap of the whole window by the longest list",
        Longest::Empty => "the end of a claim with the whole window mapped",
    };
    let solved = plan.solution.domains.get(longest.domain)?;
    let device = solved.devices.first().map_or("", |node| name(plan, *node));
    let flush = match longest.flushed {
        0 => String::new(),
        pages => format!(", and a flush of {pages} pages"),
    };
    Some(format!(
        "{} instructions, {what} of `{device}` ({} entries){flush}",
        longest.instructions, longest.entries
    ))
}

#[cfg(test)]
mod tests {
    use crate::show::tests::planned;

    #[test]
    fn a_lazy_domain_is_flushed_as_well() {
        let plan = planned("invalidation = { lazy = { pages = 20 } }\n");
        let mut text = String::new();
        super::write(&plan, &mut text).unwrap();
        let instructions = plan::cost::longest(512).0 + 20 * plan::cost::FLUSHED_PAGE;
        assert!(
            text.contains(&format!("  iommu: {instructions} instructions,")),
            "{text}"
        );
        assert!(
            text.contains("(512 entries), and a flush of 20 pages\n"),
            "{text}"
        );
    }

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
