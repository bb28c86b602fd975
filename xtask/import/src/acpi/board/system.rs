//! Console, interrupt controller, firmware and cores.

use super::super::{self as acpi, Distributor, Gic as Madt, SERIAL, serial_name};
use super::{Reader, SHARED, table};
use crate::board::{Conduit, Core, Gic, Interrupt, Range, Registers, Uart};

/// Bytes of a core's redistributor (GICv3), and what DBG2 would say of a PL011.
const REDISTRIBUTOR: u64 = 128 << 10;
const UART: u64 = 4096;
/// Interfaces that the kernel and the log task drive: PL011, and the generic UART of SBSA, which is a part of one.
const DRIVEN: [u16; 3] = [0x03, 0x0d, 0x0e];

impl Reader<'_> {
    pub(super) fn system(&mut self) {
        self.console();
        self.interrupt_controller();
        let fadt = self.tables.fadt;
        self.board.conduit = fadt
            .and_then(|fadt| fadt.psci())
            .map(|conduit| match conduit {
                acpi::Conduit::Smc => Conduit::Smc,
                acpi::Conduit::Hvc => Conduit::Hvc,
            });
        if fadt.is_some_and(|fadt| fadt.psci().is_none()) {
            let problem = "firmware says that it has no PSCI";
            self.word(&table("FACP"), problem, "nothing switches the machine off");
        }
        if fadt.is_none() {
            let problem = "there is no FADT: how firmware is called is not known";
            self.word(&table("FACP"), problem, "write `psci` by hand");
        }
        let with_psci = self.board.conduit.is_some();
        let cores = self.tables.gic.iter().flat_map(|gic| &gic.cores);
        let cores = cores.filter(|core| core.enabled).map(|core| Core {
            affinity: core.mpidr,
            started_by: with_psci.then(|| "psci".to_owned()),
        });
        self.board.cores = cores.collect();
    }

    /// The port of the SPCR; without one, the first serial port of DBG2.
    fn console(&mut self) {
        let tables = self.tables;
        let spcr = tables.uart.filter(|uart| uart.base != 0);
        let found = match spcr {
            Some(uart) if uart.space == 0 => {
                let wired = uart.interrupt_type & 8 != 0;
                let gsiv = wired.then_some(uart.gsiv);
                Some(("SPCR", u16::from(uart.kind), uart.base, UART, gsiv))
            }
            Some(_) => {
                let problem = "the console is not in memory";
                self.word(&table("SPCR"), problem, "declare a console by hand");
                None
            }
            None => {
                let mut ports = tables.debug_ports.iter();
                let port =
                    ports.find(|port| port.port_type == SERIAL && !port.registers.is_empty());
                port.and_then(|port| {
                    let (base, size) = port.registers.first()?;
                    Some(("DBG2", port.subtype, *base, u64::from(*size).max(1), None))
                })
            }
        };
        let Some((from, kind, base, len, gsiv)) = found else {
            if spcr.is_none() {
                let problem = "neither SPCR nor DBG2 describes a serial port";
                self.word(&table("SPCR"), problem, "declare the console by hand");
            }
            return;
        };
        let name = serial_name(kind);
        if !DRIVEN.contains(&kind) {
            self.word(
                &table(from),
                format!("the console is a `{name}` (interface type {kind:#x}), and only of a PL011 it is known from here how it is written to"),
                "if it is a 16550, declare `platform.console` by hand",
            );
        }
        let wired = gsiv.filter(|gsiv| SHARED.iter().any(|range| range.contains(gsiv)));
        let interrupts = wired.map(|intid| Interrupt {
            name: "irq".into(),
            intid,
            edge: false,
        });
        let interrupts: Vec<Interrupt> = interrupts.into_iter().collect();
        if interrupts.is_empty() {
            let problem = "the interrupt of the console is not stated";
            self.word(&table(from), problem, "find it in the manual of the SoC");
        }
        if !DRIVEN.contains(&kind) {
            self.board.uart = Uart::Other;
        }
        self.board.console = Some(Registers {
            name: "uart".into(),
            place: table(from),
            kind: match kind {
                0x03 => "arm,pl011".to_owned(),
                0x0d | 0x0e => "arm,sbsa-uart".to_owned(),
                _ => name.to_owned(),
            },
            range: Range { base, len },
            interrupts,
        });
    }

    fn interrupt_controller(&mut self) {
        let place = table("APIC");
        let Some(gic) = &self.tables.gic else {
            let problem = "there is no MADT: the interrupt controller is not known";
            self.word(&place, problem, "declare `platform.gic` by hand");
            return;
        };
        let Some(distributor) = gic.distributor else {
            let problem = "the MADT describes no distributor";
            self.word(&place, problem, "declare `platform.gic` by hand");
            return;
        };
        let redistributors = redistributors(gic);
        let Distributor { base, version } = distributor;
        if version == 1 || version == 2 || redistributors.is_empty() {
            let what = match version {
                0 => "has no redistributor".to_owned(),
                1 | 2 => format!("is a GICv{version}"),
                _ => format!("is a GICv{version} without a redistributor"),
            };
            self.word(
                &place,
                format!(
                    "the interrupt controller at {base:#x} {what}, and the kernel drives a GICv3"
                ),
                "a system can be planned, and no image runs on this board",
            );
            return;
        }
        let frames = gic.frames.iter();
        let frames: Vec<String> = frames.map(|frame| format!("{:#x}", frame.base)).collect();
        if !frames.is_empty() {
            self.word(
                &place,
                format!(
                    "messages are interrupts by frames of GICv2m at {}",
                    frames.join(", ")
                ),
                "nothing here drives them",
            );
        }
        self.board.gic = Some(Gic {
            place,
            distributor: base,
            redistributors,
            services: gic.services.iter().map(|service| service.base).collect(),
        });
    }
}

/// Ranges of redistributors: those of the table, or those of the cores, which may lie side by side.
fn redistributors(gic: &Madt) -> Vec<Range> {
    let stated = gic.redistributors.iter().map(|range| Range {
        base: range.base,
        len: u64::from(range.len),
    });
    let mut found: Vec<Range> = stated.filter(|range| range.len > 0).collect();
    if !found.is_empty() {
        return found;
    }
    for core in gic.cores.iter().filter(|core| core.redistributor != 0) {
        let base = core.redistributor;
        match found.last_mut() {
            Some(last) if last.end() == base => last.len += REDISTRIBUTOR,
            _ => found.push(Range {
                base,
                len: REDISTRIBUTOR,
            }),
        }
    }
    found
}
