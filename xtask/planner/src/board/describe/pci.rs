//! PCI hosts: apertures, lines and root buses.

use std::fmt::Write;

use import::board::{Aperture, ApertureKind, Board, Host, Range};
use solver::Machine;

use super::claims::{Claims, Names};
use super::memory::shown;
use crate::read::units::show_size;

/// One above the last address that a BAR of 32 bits can have.
const NARROW_END: u64 = 1 << 32;

/// The host whose apertures BARs are placed in: that of segment 0, or the first.
pub fn main_host(board: &Board) -> Option<&Host> {
    let zero = board.hosts.iter().find(|host| host.segment == 0);
    zero.or_else(|| board.hosts.first())
}

/// The configuration space of the host, which is a device of the platform.
pub fn configuration(
    board: &Board,
    claims: &mut Claims,
    notes: &mut Vec<String>,
    out: &mut String,
) -> std::fmt::Result {
    let Some(host) = main_host(board) else {
        return Ok(());
    };
    let Ok(range) = &host.configuration else {
        return Ok(());
    };
    if let Err(why) = claims.claim(
        &format!("the configuration space of {}", host.place),
        *range,
    ) {
        notes.push(format!(
            "{}: its configuration space is left out: {why}",
            host.place
        ));
        return Ok(());
    }
    writeln!(out, "# {}\n[platform.devices.{}]", host.place, host.name)?;
    writeln!(out, "kind = \"pci-host\"\nbase = {:#x}", range.base)?;
    writeln!(out, "size = \"{}\"", show_size(range.len))?;
    let others: Vec<&Host> = board
        .hosts
        .iter()
        .filter(|other| other.place != host.place)
        .collect();
    if !others.is_empty() {
        let others: Vec<String> = others
            .iter()
            .map(|other| format!("{}, segment {}", other.place, other.segment))
            .collect();
        notes.push(format!(
            "{}: a platform has one `pci-host`, which is this one, segment {}. What is below the others is planned with its \
             groups and StreamIDs, its BARs get no address, and no image drives it: {}",
            host.place,
            host.segment,
            others.join("; ")
        ));
    }
    for other in others {
        if let Ok(range) = &other.configuration {
            let [first, last] = other.buses;
            writeln!(
                out,
                "# Configuration space of segment {}, buses {first} to {last}: {}",
                other.segment,
                shown(*range)
            )?;
        }
    }
    out.push('\n');
    Ok(())
}

/// `[platform.pci]`.
pub fn platform(
    board: &Board,
    claims: &mut Claims,
    notes: &mut Vec<String>,
    out: &mut String,
) -> std::fmt::Result {
    let Some(host) = main_host(board) else {
        return Ok(());
    };
    writeln!(out, "# Of {}\n[platform.pci]", host.place)?;
    let written = used_apertures(host, claims, notes, out)?;
    further_apertures(board, host, &written, notes, out)?;
    match lines(host) {
        Some(first) => writeln!(out, "intx = {first}")?,
        None if host.lines.is_empty() => {}
        None => out.push_str(
            "# Its INTx lines are not four in a row, swizzled by slot: `intx` cannot say them.\n",
        ),
    }
    out.push('\n');
    Ok(())
}

/// The apertures that BARs are placed in, the largest of each kind; those that were written.
fn used_apertures(
    host: &Host,
    claims: &mut Claims,
    notes: &mut Vec<String>,
    out: &mut String,
) -> Result<Vec<Aperture>, std::fmt::Error> {
    let ranges = joined(&host.apertures);
    let narrow = |range: &&Aperture| {
        range.kind == ApertureKind::Narrow && range.on_bus().end() <= NARROW_END
    };
    let wide = |range: &&Aperture| range.kind == ApertureKind::Wide;
    let largest = |kind: &dyn Fn(&&Aperture) -> bool| {
        ranges
            .iter()
            .filter(kind)
            .max_by_key(|range| range.len)
            .copied()
    };
    let mut written: Vec<Aperture> = Vec::new();
    for (key, name, chosen) in [
        ("memory", "32-bit", largest(&narrow)),
        ("prefetch", "64-bit", largest(&wide)),
    ] {
        let Some(range) = chosen else { continue };
        let seen = Range {
            base: range.processor,
            len: range.len,
        };
        let fits = (range.bus | range.len | range.processor).is_multiple_of(abi::layout::PAGE);
        let taken = if fits {
            claims.claim(&format!("the {name} aperture"), seen)
        } else {
            Err("it is not whole pages".into())
        };
        if let Err(why) = taken.and_then(|()| {
            i64::try_from(range.on_bus().end())
                .map(|_| ())
                .map_err(|_| "it ends beyond 63 bits".into())
        }) {
            notes.push(format!(
                "{}: its {name} aperture at {:#x} is left out: {why}",
                host.place, range.processor
            ));
            continue;
        }
        writeln!(
            out,
            "{key} = [{:#x}, {:#x}]",
            range.bus,
            range.on_bus().end()
        )?;
        if range.bus != range.processor {
            writeln!(out, "{key}-at = {:#x}", range.processor)?;
        }
        written.push(range);
    }
    Ok(written)
}

/// The others, of all hosts: windows keep clear of them.
fn further_apertures(
    board: &Board,
    host: &Host,
    written: &[Aperture],
    notes: &mut Vec<String>,
    out: &mut String,
) -> std::fmt::Result {
    let mut names = Names::default();
    let mut clear: Vec<(String, Range)> = Vec::new();
    for other in &board.hosts {
        for range in joined(&other.apertures) {
            let own = other.place == host.place && written.contains(&range);
            let known = clear.iter().any(|(_, known)| *known == range.on_bus());
            if own
                || known
                || range.kind == ApertureKind::Io
                || i64::try_from(range.on_bus().end()).is_err()
            {
                continue;
            }
            if other.place == host.place {
                notes.push(format!(
                    "{}: one aperture of each kind is used, the largest; windows keep clear of {} too",
                    host.place,
                    shown(range.on_bus())
                ));
            }
            clear.push((names.free(&other.name), range.on_bus()));
        }
    }
    for (name, range) in clear {
        writeln!(
            out,
            "keep-clear.{name} = {{ base = {:#x}, size = \"{}\" }}",
            range.base,
            show_size(range.len)
        )?;
    }
    Ok(())
}

/// The INTID of the first of four lines, if that is how they are wired.
fn lines(host: &Host) -> Option<u32> {
    let at = |slot: u8, pin: u8| {
        host.lines
            .iter()
            .find(|line| (line.slot, line.pin) == (slot, pin))
    };
    let first = at(0, 1)?.intid;
    let expected = |slot: u8, pin: u8| first + u32::from((slot + pin - 1) % 4);
    let known = plan::limits::SHARED_INTERRUPTS;
    let regular = host
        .lines
        .iter()
        .all(|line| line.intid == expected(line.slot, line.pin));
    (regular && host.lines.len() == 128 && known.contains(&first) && known.contains(&(first + 3)))
        .then_some(first)
}

/// Apertures in the order of their addresses, those that go on in both views as one.
fn joined(apertures: &[Aperture]) -> Vec<Aperture> {
    let mut sorted = apertures.to_vec();
    sorted.sort_by_key(|range| (range.kind as u8, range.bus));
    let mut joined: Vec<Aperture> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last)
                if last.kind == range.kind
                    && last.on_bus().end() == range.bus
                    && last.processor.checked_add(last.len) == Some(range.processor) =>
            {
                last.len += range.len;
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// The root buses.
pub fn roots(machine: &Machine, board: Option<&Board>, out: &mut String) -> std::fmt::Result {
    for root in &machine.roots {
        writeln!(out, "[pci.{}]\nkind = \"root-bus\"", root.name)?;
        if root.segment != 0 {
            writeln!(out, "segment = {}", root.segment)?;
        }
        writeln!(out, "bus = {}\nbus-last = {}", root.bus, root.bus_last)?;
        let main = root
            .expander_of
            .and_then(|main| machine.roots.get(main.index()));
        if let Some(main) = main {
            writeln!(out, "expander-of = \"{}\"", main.name)?;
        }
        if board.is_none() && root.streams.is_empty() {
            out.push_str(
                "# An operating system made this segment up: no request passes an SMMU under an id of it.\niommu-map = []\n",
            );
        }
        if let Some(board) = board {
            streams(board, host_of(board, root.segment, root.bus), out)?;
        }
        out.push('\n');
    }
    Ok(())
}

/// The host of a bus.
pub fn host_of(board: &Board, segment: u16, bus: u8) -> Option<&Host> {
    let mut hosts = board.hosts.iter();
    hosts.find(|host| host.segment == segment && (host.buses[0]..=host.buses[1]).contains(&bus))
}

fn streams(board: &Board, host: Option<&Host>, out: &mut String) -> std::fmt::Result {
    let Some(host) = host else {
        out.push_str("# The board states no host for it.\niommu-map = []\n");
        return Ok(());
    };
    writeln!(out, "# {}", host.place)?;
    let rows = host.streams.iter().filter_map(|row| {
        let smmu = board.smmus.get(row.smmu)?;
        smmu.is_v3().then_some((row, smmu))
    });
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        out.push_str("# The board does not lead its requests to an SMMUv3: none of them is translated.\niommu-map = []\n");
    } else {
        out.push_str("iommu-map = [\n");
        for (row, smmu) in rows {
            writeln!(
                out,
                "  {{ requester = {}, length = {}, smmu = \"{}\", stream = {} }},",
                row.requester, row.len, smmu.name, row.stream
            )?;
        }
        out.push_str("]\n");
        if host.stream_mask != u16::MAX {
            writeln!(out, "iommu-map-mask = {:#x}", host.stream_mask)?;
        }
    }
    for row in &host.messages {
        writeln!(
            out,
            "# Messages of requester ids from {:#x}, {:#x} of them, have device ids from {:#x} at {}",
            row.requester, row.len, row.device, row.service
        )?;
    }
    Ok(())
}
