//! SMMUs (bindings `arm,smmu-v3`, `iommu`).

use super::interrupt::sorted;
use super::node::{NodeIndex, ROOT};
use super::{Reader, interrupt};
use crate::board::{Architecture, Range, Smmu};

const V3: &str = "arm,smmu-v3";
/// What the base of an SMMUv3 is a multiple of, and the fewest bytes of one: a page of its registers.
const PAGE: u64 = 64 << 10;

impl Reader<'_> {
    /// All units that translate, those that are SMMUv3 under the names `smmu`, `smmu1` and so on.
    pub(super) fn smmus(&mut self) {
        let tree = self.tree;
        let mut absent = Vec::new();
        let mut others = Vec::new();
        for node in tree.nodes() {
            let v3 = tree.is_compatible(node, V3);
            if !v3 && !tree.has(node, "#iommu-cells") {
                continue;
            }
            let kind = if v3 { V3.to_owned() } else { tree.kinds(node) };
            match tree.disabled_by(node) {
                Some(by) if v3 => absent.push((node, by)),
                Some(_) => {}
                None if v3 => self.smmu_v3(node),
                None => {
                    others.push((node, kind.clone()));
                    self.units.insert(node, self.board.smmus.len());
                    let range = tree.first_region(node).unwrap_or(Range { base: 0, len: 0 });
                    self.board.smmus.push(Smmu {
                        name: tree.name(node).to_owned(),
                        place: tree.place(node),
                        architecture: Architecture::Other(kind),
                        range,
                        interrupts: Vec::new(),
                        coherent: tree.is_coherent(node),
                    });
                }
            }
        }
        let is_v3 = self.board.smmus.iter().any(Smmu::is_v3);
        if !is_v3 && absent.is_empty() && self.errors.is_empty() {
            self.no_v3(&others);
        }
        for (node, by) in absent {
            let status = tree.string(by, "status").unwrap_or_default();
            let of = self.of(node, by);
            let problem = format!("this SMMUv3 is not there: the status of {of} is `{status}`");
            self.word(node, problem, "requests to it are shown without a StreamID");
        }
    }

    /// Nothing that this project drives translates anything: the machine can be looked at, and nothing of it be owned.
    fn no_v3(&mut self, others: &[(NodeIndex, String)]) {
        let tree = self.tree;
        let others = others.iter().map(|(node, kind)| {
            let path = tree.path(*node);
            format!("{path} is `{kind}`, another architecture, which is not supported")
        });
        let others: Vec<String> = others.collect();
        let problem = match others.as_slice() {
            [] => format!(
                "there is no SMMU: no node is compatible with `{V3}`; nothing is translated"
            ),
            _ => format!(
                "there is no SMMUv3: {}; nothing is translated",
                others.join("; ")
            ),
        };
        self.word(
            ROOT,
            problem,
            "every device is shown without a StreamID: an owned one is an error",
        );
    }

    fn of(&self, node: NodeIndex, by: NodeIndex) -> String {
        if node == by {
            "it".to_owned()
        } else {
            self.tree.path(by)
        }
    }

    fn smmu_v3(&mut self, node: NodeIndex) {
        let tree = self.tree;
        let range = match tree.first_region(node) {
            Ok(range) if range.base.is_multiple_of(PAGE) && range.len >= PAGE => range,
            Ok(Range { base, len }) => {
                let problem = format!(
                    "an SMMUv3 has whole frames of 64 KiB, and this one has {len:#x} bytes at {base:#x}"
                );
                self.error(
                    node,
                    problem,
                    "correct `reg`, or the `ranges` of the buses above",
                );
                return;
            }
            Err(why) => {
                let remedy = "correct `reg`, or the `ranges` of the buses above";
                self.error(node, format!("this SMMUv3 cannot be found: {why}"), remedy);
                return;
            }
        };
        if let Some(other) = self
            .board
            .smmus
            .iter()
            .find(|other| other.is_v3() && other.range.overlaps(&range))
        {
            let problem = format!("its registers are those of {} too", other.place);
            self.error(node, problem, "correct `reg` of one of the two");
            return;
        }
        let (mut interrupts, unknown) = sorted(tree.interrupts(node));
        for interrupt in &mut interrupts {
            interrupt.name = plain_name(&interrupt.name);
        }
        for (name, why) in unknown {
            let remedy = "its number is left out; find it in the manual of the SoC";
            self.word(
                node,
                format!("its interrupt `{name}` is not known: {why}"),
                remedy,
            );
        }
        let number = self.board.smmus.iter().filter(|smmu| smmu.is_v3()).count();
        self.units.insert(node, self.board.smmus.len());
        self.board.smmus.push(Smmu {
            name: super::host::numbered("smmu", number),
            place: tree.place(node),
            architecture: Architecture::V3,
            range,
            interrupts,
            coherent: tree.is_coherent(node),
        });
    }
}

/// The name of an interrupt in a description.
fn plain_name(name: &str) -> String {
    match name {
        "eventq" => "event".to_owned(),
        "gerror" => "error".to_owned(),
        other => interrupt::plain(other),
    }
}
