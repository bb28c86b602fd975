//! The tasks that have the registers of each device.

use std::fmt::Write;

use planner::planning::Plan;

/// Writes a line for each device that has registers.
pub fn write(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let holders = plan.register_holders();
    if holders.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nregisters: who writes to them can use whatever their device reaches"
    )?;
    for (device, of) in &holders {
        let of: Vec<String> = of
            .iter()
            .map(|(access, task)| format!("{task} {}", access.text()))
            .collect();
        writeln!(out, "  {device}: {}", of.join(", "))?;
    }
    Ok(())
}
