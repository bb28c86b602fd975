//! What the tables state of a board, in the words that a device tree uses too.
//!
//! A requester is behind an SMMU only where a mapping leads it there. What goes straight to a translation
//! service, to an SMMU of another architecture, or nowhere, has no StreamID, and a word says so.

mod hosts;
mod masters;
mod names;
mod system;

use super::{NamedComponent, Requester, RootComplex, SmmuV3, Tables};
use crate::board::{Architecture, Board, Interrupt, Place, Range, Smmu, Word};

/// What the tables state.
#[must_use]
pub fn board(tables: &Tables) -> Board {
    let mut reader = Reader {
        tables,
        board: Board {
            model: model(tables),
            ..Board::default()
        },
    };
    for warning in &tables.warnings {
        let at = warning.offset.map(|at| format!(", offset {at:#x}"));
        let place = Place(format!("{}{}", warning.table, at.unwrap_or_default()));
        let word = Word::new(&place, warning.message.clone(), warning.remedy);
        reader.board.words.push(word);
    }
    reader.smmus();
    reader.hosts();
    reader.masters();
    reader.direct();
    reader.system();
    reader.board
}

/// Tables while a board is made of them.
struct Reader<'a> {
    tables: &'a Tables,
    board: Board,
}

/// What the maker of the tables calls the machine, or itself.
fn model(tables: &Tables) -> Option<String> {
    let mut headers = tables.headers.iter();
    let iort = headers.find(|header| header.signature == "IORT")?;
    let name = format!("{} {}", iort.oem_id, iort.oem_table_id);
    (!name.trim().is_empty()).then(|| name.trim().to_owned())
}

/// A place in the IORT.
fn node(offset: usize) -> Place {
    Place(format!("IORT, offset {offset:#x}"))
}

/// A whole table.
fn table(name: &str) -> Place {
    Place(name.to_owned())
}

/// INTIDs that a wired interrupt of a peripheral can have, the extended ones included.
const SHARED: [std::ops::RangeInclusive<u32>; 2] = [32..=1019, 4096..=5119];

/// Lines that count, under their names. An SMMU's are edges (IHI 0070, 3.18).
fn lines(smmu: &SmmuV3) -> Vec<Interrupt> {
    let named = smmu.interrupts.named().into_iter();
    let wired = named.filter(|(_, gsiv)| SHARED.iter().any(|range| range.contains(gsiv)));
    wired
        .map(|(name, intid)| Interrupt {
            name: name.to_owned(),
            intid,
            edge: true,
        })
        .collect()
}

impl Reader<'_> {
    fn word(&mut self, place: &Place, problem: impl Into<String>, remedy: &str) {
        self.board.words.push(Word::new(place, problem, remedy));
    }

    /// The SMMUv3s, so that their indices are those of the table, and then the others.
    fn smmus(&mut self) {
        let mut unsure = Vec::new();
        let mut unwired = Vec::new();
        for (number, smmu) in self.tables.iort.smmus.iter().enumerate() {
            let place = node(smmu.head.offset);
            let name = names::numbered("smmu", number);
            self.interrupts(smmu, &place, &name);
            if smmu.interrupts.event == 0 || smmu.interrupts.error == 0 {
                unwired.push(name.clone());
            }
            if !smmu.coherent_override() {
                unsure.push(name.clone());
            }
            if smmu.model != 0 {
                self.word(
                    &place,
                    format!(
                        "`{name}` is of model {}, {}, which has errata",
                        smmu.model,
                        smmu.model_name()
                    ),
                    "compare them with what the IOMMU server does before you rely on it",
                );
            }
            self.board.smmus.push(Smmu {
                name,
                place,
                architecture: Architecture::V3,
                range: Range {
                    base: smmu.base,
                    len: smmu.register_bytes(),
                },
                interrupts: lines(smmu),
                coherent: true,
            });
        }
        if !unwired.is_empty() {
            self.word(
                &table("IORT"),
                format!(
                    "no wired interrupt for events or errors is stated of {}",
                    unwired.join(", ")
                ),
                "an SMMU without sends messages, if it interrupts at all; the IOMMU server needs wired ones today",
            );
        }
        if !unsure.is_empty() {
            self.word(
                &table("IORT"),
                format!(
                    "whether table walks of {} snoop the caches is not stated (COHACC override 0)",
                    unsure.join(", ")
                ),
                "`SMMU_IDR0.COHACC` says it: the IOMMU server looks at each start, and refuses an SMMU without",
            );
        }
        self.other_smmus();
    }

    fn interrupts(&mut self, smmu: &SmmuV3, place: &Place, name: &str) {
        let odd = smmu.interrupts.named().into_iter();
        let odd =
            odd.filter(|(_, gsiv)| *gsiv != 0 && !SHARED.iter().any(|range| range.contains(gsiv)));
        for (line, gsiv) in odd {
            self.word(
                place,
                format!(
                    "interrupt `{line}` of `{name}` has GSIV {gsiv}, which is no shared interrupt"
                ),
                "it is left out; find its number in the manual of the SoC",
            );
        }
    }

    /// SMMUs of other architectures: they are named, and nothing is behind them.
    fn other_smmus(&mut self) {
        let iort = &self.tables.iort;
        if iort.smmus.is_empty() {
            let old = iort.old_smmus.iter();
            let old: Vec<String> = old
                .map(|old| format!("{} at {:#x}", old.model_name(), old.base))
                .collect();
            let instead = if old.is_empty() {
                "no SMMU of any kind is described".to_owned()
            } else {
                format!("there is {}, which is not supported", old.join(" and "))
            };
            self.word(
                &table("IORT"),
                format!("there is no SMMUv3: {instead}; nothing is translated"),
                "every device is shown without a StreamID: an owned one is an error",
            );
        }
        for (number, old) in iort.old_smmus.iter().enumerate() {
            let place = node(old.head.offset);
            let behind = self.behind(number);
            let behind = if behind.is_empty() {
                "nothing is behind it".to_owned()
            } else {
                format!("behind it are {}", behind.join(", "))
            };
            self.word(
                &place,
                format!(
                    "the SMMU at {:#x} is an {}, another architecture than SMMUv3, and not supported; {behind}",
                    old.base,
                    old.model_name()
                ),
                "what is behind it is shown without a StreamID: an owned device there is an error",
            );
            self.board.smmus.push(Smmu {
                name: format!("smmu-{:x}", old.base),
                place,
                architecture: Architecture::Other(old.model_name().to_owned()),
                range: Range {
                    base: old.base,
                    len: old.span,
                },
                interrupts: Vec::new(),
                coherent: old.flags & 2 != 0,
            });
        }
    }

    /// Who is behind an SMMU of another architecture.
    fn behind(&self, number: usize) -> Vec<String> {
        let iort = &self.tables.iort;
        let mut found = Vec::new();
        for path in &iort.paths {
            let there = matches!(&path.way, super::Way::OldSmmu { smmu, .. } if *smmu == number);
            let name = match path.requester {
                Requester::RootComplex(index) => {
                    let root: Option<&RootComplex> = iort.root_complexes.get(index);
                    root.map(|root| format!("segment {}", root.segment))
                }
                Requester::NamedComponent(index) => {
                    let component: Option<&NamedComponent> = iort.named_components.get(index);
                    component.map(|component| component.path.clone())
                }
                Requester::Rmr(_) => None,
            };
            found.extend(name.filter(|name| there && found.last() != Some(name)));
        }
        found
    }
}
