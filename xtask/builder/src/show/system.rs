//! `plan.txt`: the plan for a person.

use std::fmt::Write;

use crate::layout::Placement;
use planner::planning::Plan;
use planner::read::units::show_size;

/// The plan; with addresses once programs are placed.
pub fn text(plan: &Plan, placement: Option<&Placement>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(plan, placement, &mut out);
    out
}

fn write(plan: &Plan, placement: Option<&Placement>, out: &mut String) -> std::fmt::Result {
    let app = &plan.app;
    writeln!(out, "{} on {}", app.name, app.platform.description)?;
    if app.test_image {
        writeln!(out, "a test image: its tasks may have the right `test`")?;
    }
    if !app.tasks.is_empty() {
        writeln!(out, "\ntasks, by priority")?;
    }
    for (index, task) in app.tasks.iter().enumerate() {
        let list = |names: &[planner::report::Spanned<String>]| {
            let names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
            names.join(" ")
        };
        write!(
            out,
            "  {:>2} {:<14} priority {}",
            index, task.name.value, task.priority.value
        )?;
        for (what, names) in [
            ("calls", list(&task.calls)),
            ("owns", list(&task.owns)),
            ("drives", list(&task.drives)),
            ("audits", list(&task.audits)),
            ("watches", list(&task.watches)),
            ("trusts", list(&task.trusts)),
        ] {
            if !names.is_empty() {
                write!(out, "; {what} {names}")?;
            }
        }
        if task.inspects {
            write!(out, "; inspects all")?;
        }
        let rights: Vec<String> = plan
            .rights(index)
            .iter_names()
            .map(|(name, _)| name.to_lowercase().replace('_', "-"))
            .collect();
        if !rights.is_empty() {
            write!(out, "; rights {}", rights.join(" "))?;
        }
        writeln!(out)?;
    }
    super::time::write(plan, out)?;
    super::relations(plan, placement, out)?;
    if let Some(placement) = placement {
        writeln!(out, "\nmemory")?;
        let size = |from: u64, to: u64| show_size(to - from);
        writeln!(
            out,
            "  image {:#x}, file {}, all memory in use {}",
            placement.image_base,
            size(placement.image_base, placement.file_end),
            size(placement.image_base, placement.memory_end)
        )?;
    }
    Ok(())
}
