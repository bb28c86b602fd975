//! What `plan.json` says of the hardware, beside what was told.

use std::path::Path;

use builder::show::JSON_VERSION;
use planner::failure::{Failure, Outcome};
use serde::Deserialize;
use smmu::Features;

use super::heard::{Function as Found, Heard};
use super::{Row, Rows, State};

/// The parts of a plan that hardware can differ from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    version: u64,
    pub name: String,
    pub platform: String,
    tasks: Vec<Task>,
    smmus: Vec<Smmu>,
    functions: Vec<Function>,
    board: Board,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Task {
    name: String,
    owns: Vec<String>,
    dma_authority: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Smmu {
    name: String,
    stream_bits: u64,
    address_bits: u64,
    coherent: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Function {
    name: String,
    address: String,
    id: String,
    bars: Vec<Bar>,
    optional: bool,
}

#[derive(Debug, Deserialize)]
struct Bar {
    bar: usize,
    address: String,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Board {
    ram: Extent,
    interrupt_controller: Option<Gic>,
    registers: Vec<Block>,
}

#[derive(Debug, Deserialize)]
struct Extent {
    base: String,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Gic {
    distributor: String,
    redistributor: String,
}

#[derive(Debug, Deserialize)]
struct Block {
    name: String,
    kind: String,
    base: String,
}

impl Planned {
    /// Reads the plan of a folder of `target/dist`.
    pub fn read(folder: &Path) -> Outcome<Self> {
        let file = folder.join("plan.json");
        let cannot = format!("cannot read {}", file.display());
        let text = std::fs::read_to_string(&file).map_err(Failure::when(cannot))?;
        Self::parse(&text).ok_or_else(|| {
            let file = file.display();
            Failure::new(format!(
                "{file} is no plan of version {JSON_VERSION}; build the system again"
            ))
        })
    }

    /// Reads a plan of this version.
    pub fn parse(text: &str) -> Option<Self> {
        let plan: Self = serde_json::from_str(text).ok()?;
        (plan.version == JSON_VERSION).then_some(plan)
    }

    /// A listener for the servers of this plan.
    pub fn heard(&self) -> Heard {
        let mut blocks = self.board.registers.iter();
        let host = blocks.find(|block| block.kind == "pci-host");
        let owner = |task: &&Task| host.is_some_and(|host| task.owns.contains(&host.name));
        let pci = self.tasks.iter().find(owner);
        let iommu = self.tasks.iter().find(|task| task.dma_authority);
        let name = |task: Option<&Task>| task.map(|task| task.name.clone());
        Heard::new(name(pci), name(iommu))
    }

    /// Every fact, in the order of the plan.
    pub fn rows(&self, heard: &Heard) -> Rows {
        let mut rows = Vec::new();
        for smmu in &self.smmus {
            self.of_smmu(smmu, heard, &mut rows);
        }
        for function in &self.functions {
            function.rows(heard.functions.get(&function.name), &mut rows);
        }
        for difference in &heard.differences {
            let planned = difference.planned.clone();
            let state = match planned {
                None => State::NotPlanned,
                Some(_) => State::Different,
            };
            let found = difference.found.clone();
            rows.push(Row {
                what: format!("{} {}", difference.of, difference.what),
                planned,
                found: Some(found.unwrap_or_else(|| "differs, says the PCI task".to_owned())),
                state,
            });
        }
        self.unread(&mut rows);
        Rows(rows)
    }

    fn of_smmu(&self, smmu: &Smmu, heard: &Heard, rows: &mut Vec<Row>) {
        let name = &smmu.name;
        let registers = heard.registers.get(name);
        let features = registers.map(|[idr0, idr1, idr3, idr5, _, aidr]| {
            Features::decode(*idr0, *idr1, *idr3, *idr5, *aidr)
        });
        let features = features.as_ref();
        let row = |what: &str| format!("{name} {what}");
        rows.push(Row::at_least(
            row("IDR1.SIDSIZE, bits of a StreamID"),
            smmu.stream_bits,
            features.map(|features| u64::from(features.stream_bits)),
        ));
        rows.push(Row::at_least(
            row("IDR5.OAS, bits of an address"),
            smmu.address_bits,
            features.map(|features| u64::from(features.output_bits)),
        ));
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let coherent = features.map(|features| yes(features.coherent));
        let what = row("IDR0.COHACC, walks snoop the caches");
        rows.push(Row::same(what, yes(smmu.coherent), coherent));
        for (index, register) in ["IDR0", "IDR1", "IDR3", "IDR5", "IIDR", "AIDR"]
            .iter()
            .enumerate()
        {
            let value = registers.and_then(|registers| registers.get(index));
            let value = value.map(|value| format!("{value:#010x}"));
            rows.push(Row::unplanned(row(register), value));
        }
        rows.push(Row::unplanned(
            row("state"),
            heard.states.get(name).cloned(),
        ));
    }

    /// What no server reads: a board that has less would show it in another way, or not at all.
    fn unread(&self, rows: &mut Vec<Row>) {
        let ram = &self.board.ram;
        let memory = format!("{} and {} bytes more", ram.base, ram.bytes);
        rows.push(Row::same("memory".to_owned(), memory, None));
        if let Some(gic) = &self.board.interrupt_controller {
            let place = gic.distributor.clone();
            rows.push(Row::same("interrupt distributor".to_owned(), place, None));
            let place = gic.redistributor.clone();
            rows.push(Row::same("interrupt redistributor".to_owned(), place, None));
        }
        let others = self
            .board
            .registers
            .iter()
            .filter(|block| block.kind == "registers");
        rows.extend(others.map(|block| {
            Row::same(
                format!("registers of {}", block.name),
                block.base.clone(),
                None,
            )
        }));
    }
}

impl Function {
    fn rows(&self, found: Option<&Found>, rows: &mut Vec<Row>) {
        // What may be absent is a fact only if it is there.
        if self.optional && found.is_none() {
            return;
        }
        let name = &self.name;
        let place = found.map(|found| found.address.clone());
        rows.push(Row::same(
            format!("{name} place"),
            self.address.clone(),
            place,
        ));
        let id = found.map(|found| found.id.clone());
        rows.push(Row::same(format!("{name} id"), self.id.clone(), id));
        for bar in &self.bars {
            let shown = |at: u64, bytes: u64| format!("{bytes:#x} bytes at {at:#x}");
            let at = bar.address.strip_prefix("0x");
            let at = at.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            let found = found.and_then(|found| found.bars.get(&bar.bar));
            let found = found.map(|(at, bytes)| shown(*at, *bytes));
            let planned = shown(at.unwrap_or(0), bar.bytes);
            rows.push(Row::same(format!("{name} BAR{}", bar.bar), planned, found));
        }
    }
}
