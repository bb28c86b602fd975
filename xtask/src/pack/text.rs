//! `plan.txt`: the plan for a person.

use std::fmt::Write;

use crate::place::Layout;
use crate::planning::{Function, FunctionKind, Plan};
use crate::read::Domain;
use crate::read::units::show_size;

/// The plan; with addresses once programs are placed.
pub fn text(plan: &Plan, layout: Option<&Layout>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(plan, layout, &mut out);
    out
}

fn write(plan: &Plan, layout: Option<&Layout>, out: &mut String) -> std::fmt::Result {
    let app = &plan.app;
    writeln!(out, "{} on {}", app.name, app.platform.description)?;
    writeln!(out, "\ntasks, by priority")?;
    for (index, task) in app.tasks.iter().enumerate() {
        let list = |names: &[crate::report::Spanned<String>]| {
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
        ] {
            if !names.is_empty() {
                write!(out, "; {what} {names}")?;
            }
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
    if !plan.fabric.functions.is_empty() {
        fabric(plan, out)?;
        reach(plan, layout, out)?;
    }
    for waiver in &plan.domains.waivers {
        writeln!(out, "\nwaived: {waiver}")?;
    }
    if let Some(layout) = layout {
        writeln!(out, "\nmemory")?;
        let size = |from: u64, to: u64| show_size(to - from);
        writeln!(
            out,
            "  image {:#x}, file {}, all memory in use {}",
            layout.image_base,
            size(layout.image_base, layout.file_end),
            size(layout.image_base, layout.memory_end)
        )?;
    }
    Ok(())
}

fn fabric(plan: &Plan, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nfabric")?;
    for (function, device) in plan.fabric.functions.iter().zip(&plan.domains.devices) {
        let depth = function.parent.map_or(0, |_| 2);
        write!(
            out,
            "  {:depth$}{} {:04x}:{:04x} {:<12}",
            "",
            function.address(),
            function.id.0,
            function.id.1,
            function.name
        )?;
        if let Some((first, last)) = function.buses_below {
            write!(out, " buses {first}..{last}")?;
        }
        let route = plan
            .interrupts
            .iter()
            .find(|route| route.device == function.name);
        if let Some(route) = route {
            write!(out, " INTID {}", route.intid)?;
        }
        for (index, placed) in &function.bars {
            write!(
                out,
                " bar{index} {:#x} {}",
                placed.address,
                show_size(placed.bar.len)
            )?;
        }
        writeln!(out)?;
        if !device.reason.is_empty() {
            writeln!(out, "  {:depth$}        {}", "", device.reason)?;
        }
    }
    Ok(())
}

/// What each device can reach at most, whatever its driver does.
fn reach(plan: &Plan, layout: Option<&Layout>, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nmaximal reach of each device")?;
    let functions = plan.fabric.functions.iter().zip(&plan.domains.devices);
    for (function, device) in functions.filter(|(f, _)| matches!(f.kind, FunctionKind::Device(_))) {
        let streams: Vec<String> = device
            .streams
            .iter()
            .map(|id| format!("{id:#06x}"))
            .collect();
        let domain = device
            .domain
            .and_then(|domain| plan.domains.domains.get(domain));
        let Some(domain) = domain.filter(|domain| domain.kind != Domain::Blocked) else {
            writeln!(
                out,
                "  {:<12} stream {}: nothing, blocked",
                function.name,
                streams.join(" ")
            )?;
            continue;
        };
        writeln!(
            out,
            "  {:<12} stream {}: what `{}` maps, IOVA {:#x} {} by pages{}",
            function.name,
            streams.join(" "),
            owner(plan, function),
            domain.iova_base,
            show_size(domain.page_bytes),
            if domain.block_bytes > 0 {
                format!(
                    ", {:#x} {} by blocks",
                    domain.block_base,
                    show_size(domain.block_bytes)
                )
            } else {
                String::new()
            }
        )?;
        pools(plan, layout, function, out)?;
    }
    Ok(())
}

fn owner<'a>(plan: &'a Plan, function: &Function) -> &'a str {
    plan.app
        .driver(&function.name)
        .and_then(|task| plan.app.tasks.get(task))
        .map_or("nobody", |task| &task.name.value)
}

fn pools(
    plan: &Plan,
    layout: Option<&Layout>,
    function: &Function,
    out: &mut String,
) -> std::fmt::Result {
    let Some(index) = plan.app.driver(&function.name) else {
        return Ok(());
    };
    let Some(task) = plan.app.tasks.get(index) else {
        return Ok(());
    };
    for (number, (name, len)) in task.pools.iter().enumerate() {
        let place = layout
            .and_then(|layout| layout.tasks.get(index))
            .and_then(|task| task.pools.get(number));
        let address = place.map_or(String::new(), |extent| format!(" at {:#x}", extent.pa));
        writeln!(
            out,
            "  {:<12} pool `{}` of {}{address}",
            "",
            name.value,
            show_size(*len)
        )?;
    }
    writeln!(
        out,
        "  {:<12} buffers that its callers lend, while they wait",
        ""
    )
}
