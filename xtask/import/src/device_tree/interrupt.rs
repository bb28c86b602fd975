//! Interrupts down to the interrupt controller (`interrupts`, `interrupts-extended`, `interrupt-map`).

use super::address::row;
use super::node::{NodeIndex, Tree};
use crate::board::Interrupt;

/// An interrupt's name, and its INTID and whether it is edge-triggered, or why it has none.
pub type Named = (String, Result<(u32, bool), String>);

/// An interrupt of a node, by the cells of a controller.
struct Specifier {
    controller: NodeIndex,
    cells: Vec<u32>,
}

/// Controllers whose cells are type, number, flags, and perhaps a partition.
const GIC: [&str; 5] = [
    "arm,gic-v3",
    "arm,gic-400",
    "arm,cortex-a15-gic",
    "arm,cortex-a9-gic",
    "arm,cortex-a7-gic",
];
/// Controllers that an interrupt may pass on its way; Linux takes no longer chain either.
const WAY: usize = 16;

impl Tree<'_> {
    /// The interrupts of a node in its order, each with its name or why it has no number.
    pub fn interrupts(&self, node: NodeIndex) -> Vec<Named> {
        let names = self.strings(node, "interrupt-names");
        let found = self.specifiers(node).into_iter().enumerate();
        found
            .map(|(index, specifier)| {
                let name = names.get(index).map(|name| (*name).to_owned());
                let name = name.unwrap_or_else(|| format!("irq{index}"));
                (
                    name,
                    specifier.and_then(|specifier| self.at_gic(&specifier)),
                )
            })
            .collect()
    }

    fn specifiers(&self, node: NodeIndex) -> Vec<Result<Specifier, String>> {
        if let Some(cells) = self.cells(node, "interrupts-extended") {
            return self.extended(&cells);
        }
        let Some(cells) = self.cells(node, "interrupts") else {
            return Vec::new();
        };
        let parent = self.interrupt_parent(node);
        let Some((parent, count)) = parent.filter(|parent| parent.1 > 0) else {
            return vec![Err("no node above it is an interrupt parent".into())];
        };
        let unit = self.raw_regions(node, "reg").into_iter().next();
        let unit = unit.map(|region| region.0).unwrap_or_default();
        let specifiers = cells.chunks_exact(count);
        specifiers
            .map(|cells| self.follow(parent, &unit, cells.to_vec()))
            .collect()
    }

    fn extended(&self, mut cells: &[u32]) -> Vec<Result<Specifier, String>> {
        let mut found = Vec::new();
        while let Some((phandle, rest)) = cells.split_first() {
            // An entry of 0 is an interrupt that is not wired.
            if *phandle == 0 {
                found.push(Err("it is not wired".into()));
                cells = rest;
                continue;
            }
            let parent = self.of_phandle(*phandle);
            let count = parent.and_then(|node| self.cell(node, "#interrupt-cells"));
            let split = count.and_then(|count| rest.split_at_checked(count as usize));
            let (Some(parent), Some((specifier, rest))) = (parent, split) else {
                found.push(Err(format!(
                    "its `interrupts-extended` names phandle {phandle:#x}, which is no interrupt controller, or ends early"
                )));
                return found;
            };
            found.push(self.follow(parent, &[], specifier.to_vec()));
            cells = rest;
        }
        found
    }

    /// The nearest interrupt parent of a node, and how many cells its specifiers have.
    fn interrupt_parent(&self, node: NodeIndex) -> Option<(NodeIndex, usize)> {
        let mut node = node;
        for _ in 0..2 * WAY * WAY {
            let named = self.cell(node, "interrupt-parent");
            node = match named {
                Some(phandle) => self.of_phandle(phandle)?,
                None => self.parent(node)?,
            };
            if let Some(count) = self.cell(node, "#interrupt-cells") {
                return Some((node, count as usize));
            }
        }
        None
    }

    /// Follows `interrupt-map`s to a controller.
    fn follow(
        &self,
        mut parent: NodeIndex,
        unit: &[u32],
        mut cells: Vec<u32>,
    ) -> Result<Specifier, String> {
        let mut unit = unit.to_vec();
        for _ in 0..WAY {
            let Some(map) = self.cells(parent, "interrupt-map") else {
                if self.has(parent, "interrupt-controller") {
                    return Ok(Specifier {
                        controller: parent,
                        cells,
                    });
                }
                let above = self.interrupt_parent(parent);
                let (above, _) =
                    above.ok_or_else(|| format!("{} passes no interrupt on", self.path(parent)))?;
                parent = above;
                continue;
            };
            (parent, unit, cells) = self.mapped(parent, &map, &unit, &cells).ok_or_else(|| {
                format!(
                    "the interrupt-map of {} does not have it",
                    self.path(parent)
                )
            })?;
        }
        Err("its way to an interrupt controller has no end".into())
    }

    /// One row of an `interrupt-map`: controller, unit address and specifier there.
    fn mapped(
        &self,
        nexus: NodeIndex,
        mut map: &[u32],
        unit: &[u32],
        cells: &[u32],
    ) -> Option<(NodeIndex, Vec<u32>, Vec<u32>)> {
        let addressed = self.address_cells(nexus);
        let specified = self.cell(nexus, "#interrupt-cells")? as usize;
        row(&[addressed, specified])?;
        let mask = self.cells(nexus, "interrupt-map-mask");
        let masked = |index: usize, value: u32| {
            let mask = mask.as_ref().map(|mask| mask.get(index).copied());
            value & mask.map_or(u32::MAX, Option::unwrap_or_default)
        };
        let unit = (0..addressed).map(|index| unit.get(index).copied().unwrap_or(0));
        let wanted: Vec<u32> = unit.chain(cells.iter().copied()).collect();
        while !map.is_empty() {
            let (own, rest) = map.split_at_checked(addressed + specified)?;
            let (phandle, rest) = rest.split_first()?;
            let parent = self.of_phandle(*phandle)?;
            let address = self.cell(parent, "#address-cells").unwrap_or(0) as usize;
            let count = self.cell(parent, "#interrupt-cells")? as usize;
            row(&[address, count])?;
            let (address, rest) = rest.split_at_checked(address)?;
            let (specifier, rest) = rest.split_at_checked(count)?;
            map = rest;
            let mut both = own.iter().zip(&wanted).enumerate();
            let same =
                both.all(|(index, (own, wanted))| masked(index, *own) == masked(index, *wanted));
            if same {
                return Some((parent, address.to_vec(), specifier.to_vec()));
            }
        }
        None
    }

    /// INTID and edge of a specifier, if the controller is a GIC.
    fn at_gic(&self, specifier: &Specifier) -> Result<(u32, bool), String> {
        let controller = specifier.controller;
        if !self.is_gic(controller) {
            return Err(format!(
                "its interrupt controller {} is a `{}`, whose numbers are no INTIDs",
                self.path(controller),
                self.kind(controller)
            ));
        }
        let &[kind, number, flags, ..] = specifier.cells.as_slice() else {
            return Err(format!(
                "{} has {} cells an interrupt, and 3 or 4 are known",
                self.path(controller),
                specifier.cells.len()
            ));
        };
        let (first, most) = match kind {
            0 => (32, 988),
            1 => (16, 16),
            2 => (4096, 1024),
            3 => (1056, 64),
            _ => return Err(format!("there is no interrupt of type {kind} at a GIC")),
        };
        if number >= most {
            return Err(format!("a GIC has no interrupt {number} of type {kind}"));
        }
        // Bits 1 and 0 are rising and falling edges.
        Ok((first + number, flags & 3 != 0))
    }

    /// Whether a node is a GIC of those that number interrupts like a GICv3.
    pub fn is_gic(&self, node: NodeIndex) -> bool {
        let kinds = self.strings(node, "compatible");
        kinds.iter().any(|kind| GIC.contains(kind))
    }

    /// Which line pin `pin` of a slot of a PCI host is on.
    pub fn line(&self, host: NodeIndex, slot: u8, pin: u8) -> Option<u32> {
        let unit = [u32::from(slot) << 11, 0, 0];
        let specifier = self.follow(host, &unit, vec![u32::from(pin)]).ok()?;
        self.at_gic(&specifier).ok().map(|found| found.0)
    }
}

/// The interrupts that have a number, under names for a description; and why the others have none.
pub fn sorted(found: Vec<Named>) -> (Vec<Interrupt>, Vec<(String, String)>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for (name, number) in found {
        match number {
            Ok((intid, edge)) => known.push(Interrupt { name, intid, edge }),
            Err(why) => unknown.push((name, why)),
        }
    }
    (known, unknown)
}

/// A name with nothing but letters, digits and `-`.
pub fn plain(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}
