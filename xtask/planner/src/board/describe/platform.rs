//! `[platform]`.

use std::fmt::Write;

use import::board::{Board, Conduit, Gic, Interrupt, Range, Smmu, Uart};
use solver::Machine;

use super::claims::{Claims, Names};
use super::memory::{Memory, shown};
use super::pci;
use crate::read::GIC_FRAME;
use crate::read::units::show_size;

/// Bits of an address without a word.
const ADDRESS_BITS: u32 = 48;

/// The platform of a machine of which only the dump is known.
pub fn unknown(machine: &Machine, out: &mut String) -> std::fmt::Result {
    out.push_str(
        "# A system can be built once memory, console, gic and qemu are described as well.\n\
         [platform]\ndescription = \"imported board\"\n\
         # The dump does not tell: whether devices and table walks snoop the caches.\ncoherent = true\n\n\
         # The dump does not tell: where the SMMU is, and which StreamID a requester id becomes. Without an\n\
         # `iommu-map` they are equal, segments above each other. Give `--dtb` to have it from the board.\n",
    );
    for smmu in &machine.smmus {
        writeln!(out, "[platform.devices.{}]", smmu.name)?;
        out.push_str("kind = \"smmu-v3\"\nbase = 0\nsize = \"128 KiB\"\n");
        out.push_str("# The dump does not tell: `stream-bits`.\n\n");
    }
    Ok(())
}

/// SMMUs, interrupt controller, PCI and console: what has its addresses before memory.
pub fn fixed(
    board: &Board,
    claims: &mut Claims,
    notes: &mut Vec<String>,
) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    for smmu in board.smmus.iter().filter(|smmu| smmu.is_v3()) {
        if let Err(why) = claims.claim(&smmu.place.to_string(), smmu.range) {
            notes.push(format!(
                "{}: its registers, {}: {why}",
                smmu.place,
                shown(smmu.range)
            ));
        }
        write_smmu(smmu, claims, &mut out)?;
    }
    if let Some(gic) = &board.gic {
        write_gic(gic, claims, notes, &mut out)?;
    }
    pci::configuration(board, claims, notes, &mut out)?;
    pci::platform(board, claims, notes, &mut out)?;
    console(board, claims, notes, &mut out)?;
    Ok(out)
}

/// The whole table.
pub fn write(
    board: &Board,
    fixed: &str,
    memory: &Memory,
    claims: &mut Claims,
    _notes: &mut Vec<String>,
    out: &mut String,
) -> std::fmt::Result {
    out.push_str(
        "# A system can be built once all keys of a platform are described.\n[platform]\n",
    );
    let model = board.model.as_deref().unwrap_or("imported board");
    let plain: String = model
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
        .collect();
    writeln!(
        out,
        "description = \"{}\"",
        if plain.is_empty() {
            "imported board"
        } else {
            &plain
        }
    )?;
    let bits = claims.address_bits();
    if bits > ADDRESS_BITS {
        writeln!(out, "address-bits = {bits}")?;
    }
    let walks = board
        .smmus
        .iter()
        .filter(|smmu| smmu.is_v3())
        .all(|smmu| smmu.coherent);
    writeln!(
        out,
        "coherent = {}",
        walks && board.hosts.iter().all(|host| host.coherent)
    )?;
    match board.conduit {
        Some(Conduit::Smc) => out.push_str("psci = \"smc\"\n"),
        Some(Conduit::Hvc) => out.push_str("psci = \"hvc\"\n"),
        None => {}
    }
    if let Some(first) = board.cores.first() {
        let how = first
            .started_by
            .as_deref()
            .unwrap_or("nothing that is stated");
        writeln!(
            out,
            "# {} cores, the first with affinity {:#x}, started by {how}.",
            board.cores.len(),
            first.affinity
        )?;
    }
    out.push('\n');
    memory.write(board, out)?;
    out.push_str(fixed);
    Ok(())
}

fn write_smmu(smmu: &Smmu, claims: &mut Claims, out: &mut String) -> std::fmt::Result {
    writeln!(out, "# {}\n[platform.devices.{}]", smmu.place, smmu.name)?;
    writeln!(out, "kind = \"smmu-v3\"\nbase = {:#x}", smmu.range.base)?;
    writeln!(out, "size = \"{}\"", show_size(smmu.range.len))?;
    out.push_str(
        "# The board does not tell: `stream-bits`, which the SMMU says itself (IDR1.SIDSIZE).\n",
    );
    interrupts(&smmu.interrupts, claims, out)?;
    out.push('\n');
    Ok(())
}

fn interrupts(list: &[Interrupt], claims: &mut Claims, out: &mut String) -> std::fmt::Result {
    let mut names = Names::default();
    for interrupt in list {
        match claims.interrupt(interrupt.intid) {
            Ok(()) => writeln!(
                out,
                "interrupts.{} = {{ intid = {}, edge = {} }}",
                names.free(&interrupt.name),
                interrupt.intid,
                interrupt.edge
            )?,
            Err(why) => writeln!(
                out,
                "# Its interrupt `{}` is left out: {why}.",
                interrupt.name
            )?,
        }
    }
    Ok(())
}

fn write_gic(
    gic: &Gic,
    claims: &mut Claims,
    notes: &mut Vec<String>,
    out: &mut String,
) -> std::fmt::Result {
    let frame = |base, frames| Range {
        base,
        len: frames * GIC_FRAME,
    };
    let Some((redistributor, further)) = gic.redistributors.split_first() else {
        return Ok(());
    };
    let bases = [Some(gic.distributor), Some(redistributor.base)];
    let aligned = bases
        .iter()
        .flatten()
        .all(|base| base.is_multiple_of(GIC_FRAME));
    let mut parts = vec![
        ("distributor", frame(gic.distributor, 1)),
        ("redistributor", *redistributor),
    ];
    parts.extend(further.iter().map(|range| ("redistributor", *range)));
    let mut failed = (!aligned || redistributor.len < 2 * GIC_FRAME)
        .then(|| "its frames are not whole".to_owned());
    for (name, range) in parts {
        if let Err(why) = claims.claim(&format!("the {name} of the interrupt controller"), range) {
            failed = Some(format!("its {name} at {:#x}: {why}", range.base));
        }
    }
    if let Some(why) = failed {
        notes.push(format!(
            "{}: the interrupt controller is left out: {why}",
            gic.place
        ));
        return Ok(());
    }
    let mut services = gic
        .services
        .iter()
        .filter(|base| base.is_multiple_of(GIC_FRAME));
    let its = services.find(|base| {
        claims
            .claim("the translation service", frame(**base, 2))
            .is_ok()
    });
    writeln!(
        out,
        "# {}\n[platform.gic]\ndistributor = {:#x}",
        gic.place, gic.distributor
    )?;
    writeln!(out, "redistributor = {:#x}", redistributor.base)?;
    writeln!(
        out,
        "redistributor-size = \"{}\"",
        show_size(redistributor.len)
    )?;
    for range in further {
        writeln!(out, "# Further redistributors: {}", shown(*range))?;
    }
    writeln!(out, "its = {:#x}", its.copied().unwrap_or(0))?;
    for other in gic.services.iter().filter(|base| Some(*base) != its) {
        writeln!(out, "# Another translation service: {other:#x}")?;
    }
    out.push('\n');
    Ok(())
}

fn console(
    board: &Board,
    claims: &mut Claims,
    notes: &mut Vec<String>,
    out: &mut String,
) -> std::fmt::Result {
    let Some(console) = &board.console else {
        return Ok(());
    };
    // A task that has a part of a page has all of it.
    let page = super::claims::pages(console.range);
    if let Err(why) = claims.claim("the console", page) {
        notes.push(format!("{}: the console is left out: {why}", console.place));
        return Ok(());
    }
    if page.base != console.range.base {
        notes.push(format!(
            "{}: the console's registers do not begin a page",
            console.place
        ));
    }
    writeln!(
        out,
        "# {}, `{}`\n[platform.devices.{}]",
        console.place, console.kind, console.name
    )?;
    writeln!(
        out,
        "base = {:#x}\nsize = \"{}\"",
        page.base,
        show_size(page.len)
    )?;
    interrupts(&console.interrupts, claims, out)?;
    out.push('\n');
    match board.uart {
        Uart::Other => {
            out.push_str(
                "# A UART that nothing is written to: an image needs a `platform.console`.\n\n",
            );
            return Ok(());
        }
        Uart::Pl011 => writeln!(out, "[platform.console]\ndevice = \"{}\"", console.name)?,
        Uart::Uart16550 { shift, width } => writeln!(
            out,
            "[platform.console]\ndevice = \"{}\"\nkind = \"16550\"\nregister-shift = {shift}\nregister-width = {width}",
            console.name
        )?,
    }
    out.push('\n');
    Ok(())
}
