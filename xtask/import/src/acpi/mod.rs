//! ACPI's static tables, which say what a device tree says on machines that have none.
//!
//! [`read`] takes the files of `/sys/firmware/acpi/tables`, or those that `acpidump -b` writes, and returns
//! what the tables say: bytes in, typed tables out. Tables written in AML (DSDT, SSDT) are not read, so
//! windows of PCI hosts and registers of named components are not known, and no table says where RAM is.

mod board;
mod bytes;
mod console;
mod fadt;
mod finding;
mod header;
mod iort;
mod madt;
mod mcfg;
mod timers;

pub use board::board;
pub use console::{DebugPort, SERIAL, Uart, serial_name};
pub use fadt::{Conduit, Fadt};
pub use finding::Finding;
pub use header::Header;
pub use iort::{
    Access, Head, Iort, ItsGroup, Mapping, Messages, NamedComponent, Note, OldSmmu, Path, Pmcg,
    Requester, ReservedRange, Rmr, RootComplex, SmmuInterrupts, SmmuV3, Target, Way,
};
pub use madt::{Core, Distributor, Gic, MessageFrame, Redistributors, Service};
pub use mcfg::Ecam;
pub use timers::{Timer, Timers};

use finding::{COPY_AGAIN, Findings};

/// What the tables say.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tables {
    /// Headers of the tables that were read.
    pub headers: Vec<Header>,
    /// SMMUs, requesters and translation services.
    pub iort: Iort,
    /// Configuration spaces; none without an MCFG.
    pub ecam: Vec<Ecam>,
    /// Interrupt controller.
    pub gic: Option<Gic>,
    /// The console, by the SPCR.
    pub uart: Option<Uart>,
    /// Ports by DBG2.
    pub debug_ports: Vec<DebugPort>,
    /// How firmware is called.
    pub fadt: Option<Fadt>,
    /// Timers.
    pub timers: Option<Timers>,
    /// What is odd and does not keep the tables from being used.
    pub warnings: Vec<Finding>,
}

/// Signatures of the tables that are read.
const READ: [&str; 7] = ["IORT", "MCFG", "APIC", "SPCR", "DBG2", "GTDT", "FACP"];

/// The signature of the table that a file of this name has, if the table is read: `IORT`, `IORT1`, `iort.dat`.
#[must_use]
pub fn signature(file_name: &str) -> Option<&'static str> {
    let upper = file_name.to_ascii_uppercase();
    let stem = upper.strip_suffix(".DAT").unwrap_or(&upper);
    READ.into_iter().find(|signature| {
        let number = stem.strip_prefix(signature);
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Reads files: name and contents each. Files of other tables are passed over.
///
/// # Errors
/// Everything that was found, with at least one error. Tables with an error give nothing at all, since a
/// part of them would be wrong without looking wrong.
pub fn read(files: &[(String, Vec<u8>)]) -> Result<Tables, Vec<Finding>> {
    let mut tables = Tables::default();
    let mut findings = Vec::new();
    let mut seen: Vec<(&'static str, &String, &[u8])> = Vec::new();
    for (name, contents) in files {
        let Some(signature) = signature(name) else {
            continue;
        };
        let mut found = Findings {
            table: name,
            list: Vec::new(),
        };
        let before = seen.iter().find(|before| before.0 == signature);
        match before {
            Some((_, _, same)) if *same == contents.as_slice() => {}
            Some((_, other, _)) => found.error(
                0,
                format!("the files {other} and {name} are two different {signature} tables"),
                "leave the one that the machine uses: the kernel's log names its address",
            ),
            None => {
                seen.push((signature, name, contents));
                tables.add(signature, contents, &mut found);
            }
        }
        findings.append(&mut found.list);
    }
    if !seen.iter().any(|table| table.0 == "IORT") {
        findings.push(Finding {
            error: true,
            table: "IORT".into(),
            offset: None,
            message: "there is no such table: nothing says which SMMU a device is behind".into(),
            remedy: COPY_AGAIN,
        });
    }
    if findings.iter().any(|finding| finding.error) {
        return Err(findings);
    }
    tables.warnings = findings;
    Ok(tables)
}

impl Tables {
    fn add(&mut self, signature: &str, contents: &[u8], findings: &mut Findings<'_>) {
        let Some((header, table)) = header::read(signature, contents, findings) else {
            return;
        };
        match signature {
            "IORT" => self.iort = iort::read(&header, table, findings),
            "MCFG" => self.ecam = mcfg::read(table, findings),
            "APIC" => self.gic = Some(madt::read(table, findings)),
            "SPCR" => self.uart = console::spcr(table, findings),
            "DBG2" => self.debug_ports = console::dbg2(table, findings),
            "GTDT" => self.timers = timers::read(table, header.revision, findings),
            _ => self.fadt = fadt::read(table, findings),
        }
        self.headers.push(header);
    }
}
