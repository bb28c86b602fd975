//! Devices outside PCI, and memory that devices use from the start.

use std::fmt::Write;

use import::Function;
use import::board::{Board, Master, Part, Smmu};

use super::claims::{Claims, Names};
use super::memory::{Memory, shown};
use super::pci::host_of;
use crate::read::units::show_size;

/// `[devices.NAME]` of every device outside PCI, one for each SMMU that it is behind.
pub fn devices(
    board: &Board,
    memory: &mut Memory,
    claims: &mut Claims,
    names: &mut Names,
    notes: &mut Vec<String>,
    out: &mut String,
) -> std::fmt::Result {
    for master in &board.masters {
        for (number, (smmu, streams)) in master.streams.iter().enumerate() {
            let Some(smmu) = board.smmus.get(*smmu).filter(|smmu| smmu.is_v3()) else {
                continue;
            };
            let name = names.free(&master.name);
            let mut parts: Vec<Part> = Vec::new();
            if number == 0 {
                parts.extend(master.direct.iter().cloned());
            }
            let stated = board.direct.iter().filter(|direct| {
                let ids =
                    u64::from(direct.stream)..u64::from(direct.stream) + u64::from(direct.len);
                board
                    .smmus
                    .get(direct.smmu)
                    .is_some_and(|of| of.name == smmu.name)
                    && streams
                        .iter()
                        .any(|stream| ids.contains(&u64::from(*stream)))
            });
            parts.extend(stated.map(|direct| direct.part.clone()));
            device(master, &name, smmu, streams, out)?;
            out.push_str(&regions(&name, &parts, memory, claims, notes));
            out.push('\n');
        }
    }
    Ok(())
}

fn device(
    master: &Master,
    name: &str,
    smmu: &Smmu,
    streams: &[u32],
    out: &mut String,
) -> std::fmt::Result {
    writeln!(out, "# {}, `{}`", master.place, master.kind)?;
    if let Some(range) = master.range.filter(|range| range.len > 0) {
        writeln!(out, "# Registers: {}", shown(range))?;
    }
    writeln!(out, "[devices.{name}]")?;
    let streams: Vec<String> = streams
        .iter()
        .map(|stream| format!("{stream:#x}"))
        .collect();
    writeln!(out, "streams = [{}]", streams.join(", "))?;
    writeln!(out, "smmu = \"{}\"", smmu.name)?;
    writeln!(out, "coherent = {}", master.coherent)
}

/// `direct` of each function, in their order, by the StreamID that it has.
pub fn of_functions(
    board: &Board,
    functions: &[Function],
    memory: &mut Memory,
    claims: &mut Claims,
    notes: &mut Vec<String>,
) -> Vec<String> {
    let of = |function: &Function| {
        let address = function.address;
        let host = host_of(board, u16::try_from(address.segment).ok()?, address.bus)?;
        let requester = u32::from(address.requester() & host.stream_mask);
        let row = host
            .streams
            .iter()
            .find(|row| (row.requester..row.requester + row.len).contains(&requester))?;
        Some((row.smmu, row.stream + (requester - row.requester)))
    };
    let mut all = Vec::new();
    for function in functions {
        let parts: Vec<Part> = match of(function) {
            Some((smmu, stream)) => {
                let same = board.direct.iter().filter(|direct| {
                    direct.smmu == smmu
                        && stream
                            .checked_sub(direct.stream)
                            .is_some_and(|offset| offset < direct.len)
                });
                same.map(|direct| direct.part.clone()).collect()
            }
            None => Vec::new(),
        };
        all.push(regions(
            &function.address.to_string(),
            &parts,
            memory,
            claims,
            notes,
        ));
    }
    all
}

/// The keys `direct.NAME`; regions that touch or overlap are one.
fn regions(
    device: &str,
    parts: &[Part],
    memory: &mut Memory,
    claims: &mut Claims,
    notes: &mut Vec<String>,
) -> String {
    let mut text = String::new();
    let mut names = Names::default();
    let mut written = Vec::new();
    for part in parts {
        match memory.direct(part, claims) {
            Ok(range) if written.contains(&range) => {}
            Ok(range) => {
                let name = names.free(&part.name);
                let size = show_size(range.len);
                text.push_str(&format!(
                    "direct.{name} = {{ base = {:#x}, size = \"{size}\" }}\n",
                    range.base
                ));
                written.push(range);
            }
            Err(why) => notes.push(format!(
                "{device}: its direct region `{}` is left out: {why}",
                part.name
            )),
        }
    }
    text
}
