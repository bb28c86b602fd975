//! `import`: a board's `lspci` output as an `app.toml`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::output::say_text;
use planner::board;
use planner::failure::{Failure, Outcome};

/// Arguments of `import`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Output of `lspci -Dnxxxx` or `lspci -Dnnvvvxxxx`, run as root
    #[arg(long, value_name = "FILE", required_unless_present_any = ["dtb", "acpi"])]
    pub lspci: Option<PathBuf>,
    /// The board's device tree blob (/sys/firmware/fdt): SMMUs, StreamIDs, memory, devices outside PCI
    #[arg(long, value_name = "FILE")]
    pub dtb: Option<PathBuf>,
    /// The board's ACPI tables (/sys/firmware/acpi/tables, or what `acpidump -b` wrote), if it has no device tree
    #[arg(long, value_name = "DIR", conflicts_with = "dtb")]
    pub acpi: Option<PathBuf>,
    /// Which access control the plan relies on
    #[arg(long, value_enum, default_value_t = Acs::AsIs)]
    pub acs: Acs,
    /// Write to this file instead of standard output
    #[arg(short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Acs {
    /// What was enabled when the dump was made
    AsIs,
    /// Everything the ports implement; the PCI task enables it
    Enabled,
}

pub fn run(arguments: &Arguments) -> Outcome<u8> {
    let cannot_read = |file: &PathBuf| format!("cannot read {}", file.display());
    let read = |file: &PathBuf| std::fs::read(file).map_err(Failure::when(cannot_read(file)));
    let lspci = arguments.lspci.as_ref().map(read).transpose()?;
    let blob = arguments.dtb.as_ref().map(read).transpose()?;
    let acs = match arguments.acs {
        Acs::AsIs => import::AcsState::AsIs,
        Acs::Enabled => import::AcsState::Enabled,
    };
    let lspci = lspci.as_deref().map(import::decode);
    let lspci = lspci.as_deref();
    let board::Description { text, notes } = match &arguments.acpi {
        Some(folder) => board::acpi::describe(lspci, &board::acpi::files(folder)?, acs)?,
        None => board::describe(lspci, blob.as_deref(), acs)?,
    };
    let of_dump = lspci.map(board::warnings);
    for note in of_dump.into_iter().flatten().chain(notes) {
        eprintln!("warning: {note}");
    }
    match &arguments.output {
        Some(file) => std::fs::write(file, text)
            .map_err(Failure::when(format!("cannot write {}", file.display())))?,
        None => say_text!("{text}"),
    }
    Ok(0)
}
