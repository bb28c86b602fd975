//! The limits of an image: a plan describes more machines than the servers drive.

use solver::model::Place;
use solver::quirk;
use solver::solution::Mode;

use super::{Function, FunctionKind, Plan, limits};
use crate::report::{Mistake, Report, Reported, Span, Spanned};

/// Alignment of the SMMU's tables: that of the largest of them, a level-1 or level-2 stream table or a
/// queue.
pub const SMMU_ALIGNMENT: u64 = 64 << 10;

/// Most bits of a StreamID whose level-1 table, of descriptors of 8 bytes, is aligned to its size there
/// (IHI 0070, 6.3.24).
pub const STREAM_BITS_MAX: u32 = (SMMU_ALIGNMENT / 8).ilog2() + smmu::stream::SPLIT;

impl Plan {
    /// Reports everything that can be planned but not built.
    pub fn check_buildable(&self, report: &Report) -> Result<(), Reported> {
        let gate = report.gate();
        self.parts(report);
        self.far(report);
        self.stream_ids(report);
        self.devices(report);
        self.errata(report);
        limits::check(report, self);
        gate.pass(())
    }

    /// Reports ports that `linux` mode takes for isolated by bits that an erratum rules out: Linux works around that, and
    /// the PCI task leaves the bits off.
    fn errata(&self, report: &Report) {
        if self.app.iommu.mode != Mode::Linux {
            return;
        }
        let ruled_out = self.app.bridges.iter().filter_map(|bridge| {
            let mut nodes = self.machine.nodes.iter();
            let node = nodes.find(|node| node.name == bridge.name.value)?;
            let (bits, erratum) = quirk::erratum(&node.function)?;
            let enabled = node.function.acs.map_or(0, |acs| acs.enabled);
            (enabled & bits != 0).then_some((&bridge.name, erratum))
        });
        let ruled_out: Vec<_> = ruled_out.collect();
        if let Some((first, erratum)) = ruled_out.first() {
            let more = match ruled_out.len() {
                1 => String::new(),
                all => format!(", like {} more,", all - 1),
            };
            let message = format!("`{}`{more} is isolated in `linux` mode only", first.value);
            report
                .error(Mistake::NotBuildable, message)
                .at(&first.span, *erratum)
                .with(
                    &self.app.span,
                    "in `linux` mode, which counts on what it rules out",
                )
                .remedy("plan it in `strict` mode, which does not count on that");
        }
    }

    /// Reports what lies beyond the addresses that tables have bits for, whatever the processor has.
    fn far(&self, report: &Report) {
        let platform = &self.app.platform;
        let bits = abi::layout::PHYSICAL_BITS;
        let ranges = platform.ranges();
        for range in ranges.iter().filter(|range| range.end > 1 << bits) {
            report
                .error(
                    Mistake::OutOfReach,
                    format!("`{}` is beyond the addresses of {bits} bits", range.name),
                )
                .at(&range.span, range.shown())
                .note(format!(
                    "the processor has {} bits of address; tables with more than {bits} are not built",
                    platform.address_bits
                ))
                .remedy("leave it out, or use what the board has at lower addresses");
        }
    }

    fn parts(&self, report: &Report) {
        let app = &self.app;
        let refuse = |message: String, (at, label): (&Span, &str), remedy: &str| {
            report
                .error(Mistake::NotBuildable, message)
                .at(at, label)
                .remedy(remedy);
        };
        let apart = |message: &str, [first, second]: [&Span; 2], remedy: &str| {
            report
                .error(Mistake::NotBuildable, message)
                .at(second, "the second")
                .with(first, "the first")
                .remedy(remedy);
        };
        if app.tasks.is_empty() {
            refuse(
                "a system without tasks cannot be built".to_owned(),
                (&app.span, "describes a machine"),
                "declare tasks; `cargo xtask plan` takes the file as it is",
            );
        }
        if !app.platform.missing.is_empty() {
            let missing: Vec<String> = app
                .platform
                .missing
                .iter()
                .map(|p| format!("`{p}`"))
                .collect();
            refuse(
                format!("the platform lacks {}", missing.join(", ")),
                (&app.platform.span, "an image needs all of it"),
                "describe them in [platform], or name a platform of sys/platform",
            );
        }
        let platform = &app.platform;
        let mut apertures = platform.pci.apertures();
        // Of one that is seen where it is the platform's ranges tell.
        let hides = apertures.find(|aperture| {
            let is_memory =
                aperture.start < platform.memory_end() && platform.memory_base < aperture.end;
            aperture.seen_at != aperture.start && is_memory
        });
        if let Some(aperture) = hides {
            let (start, seen_at) = (aperture.start, aperture.seen_at);
            refuse(
                format!(
                    "the {} has bus addresses that are memory for the processor",
                    aperture.name
                ),
                (
                    &aperture.span,
                    &format!("{start:#x} on the bus, {seen_at:#x} for the processor"),
                ),
                "have firmware map it elsewhere, or use less memory; `cargo xtask plan` takes the file as it is",
            );
        }
        let mut roots = app.roots.iter();
        let first = app.roots.first();
        let other = roots.find(|root| first.is_some_and(|first| first.segment != root.segment));
        if let (Some(first), Some(other)) = (first, other) {
            apart(
                "several PCI segments can be planned, but an image serves one",
                [&first.name.span, &other.name.span],
                "leave out the root buses of the others and what is below them; `cargo xtask plan` takes the \
                 file as it is",
            );
        } else if let Some(root) = first.filter(|root| root.segment != 0) {
            report
                .error(
                    Mistake::NotBuildable,
                    "another PCI segment than 0 can be planned, but no image serves it",
                )
                .at(&root.name.span, format!("in segment {}", root.segment))
                .remedy("leave out `segment`");
        }
    }

    /// Reports StreamIDs that the tables of their SMMU would have no entry for, and domains that would need the tables
    /// of several.
    fn stream_ids(&self, report: &Report) {
        let smmus = self.app.platform.smmus();
        for smmu in smmus.iter().filter(|smmu| smmu.stream_bits.is_none()) {
            report
                .error(
                    Mistake::NotBuildable,
                    format!(
                        "the number of bits of a StreamID is not given for `{}`",
                        smmu.name
                    ),
                )
                .at(&smmu.span, "has no `stream-bits`")
                .remedy("write what its `IDR1.SIDSIZE` says as `stream-bits`");
        }
        for (node, found) in self.machine.nodes.iter().zip(&self.solution.devices) {
            let device = self.app.devices.iter().find(|d| d.name.value == node.name);
            let mut streams = found.streams.iter();
            let large = streams.find(|stream| stream.id >> STREAM_BITS_MAX != 0);
            if let (Some(device), Some(stream)) = (device, large)
                && let Some(smmu) = smmus.get(stream.smmu.index())
            {
                report
                    .error(
                        Mistake::NotBuildable,
                        format!(
                            "StreamID {:#x} of `{}` can be planned, but not built",
                            stream.id, node.name
                        ),
                    )
                    .at(
                        &device.name.span,
                        format!("has more than {STREAM_BITS_MAX} bits"),
                    )
                    .with(
                        &smmu.span,
                        format!("an image's stream table has {STREAM_BITS_MAX} bits"),
                    )
                    .remedy("leave the device out of a file that is to be built");
            }
        }
        self.domains_of_several(report);
    }

    /// Reports domains whose StreamIDs go to several SMMUs: the server invalidates what it unmaps on one.
    fn domains_of_several(&self, report: &Report) {
        let smmus = self.app.platform.smmus();
        for domain in &self.solution.domains {
            let [first, second, ..] = domain.contexts[..] else {
                continue;
            };
            let nodes = domain.devices.iter();
            let nodes = nodes.filter_map(|node| self.machine.nodes.get(node.index()));
            let names: Vec<_> = nodes.map(|node| format!("`{}`", node.name)).collect();
            let pair = [first, second].map(|context| smmus.get(context.smmu.index()));
            let [Some(first), Some(second)] = pair else {
                continue;
            };
            report
                .error(
                    Mistake::NotBuildable,
                    format!(
                        "{} would be in one domain of `{}` and `{}`, which no image serves",
                        names.join(" and "),
                        first.name,
                        second.name
                    ),
                )
                .at(&second.span, "sees some of their StreamIDs")
                .with(&first.span, "sees the others")
                .remedy(
                    "declare all StreamIDs of a device at one SMMU; `cargo xtask plan` takes the file as it is",
                );
        }
    }

    fn devices(&self, report: &Report) {
        for node in &self.machine.nodes {
            let device = self.app.devices.iter().find(|d| d.name.value == node.name);
            let Some(device) = device else { continue };
            let problem = match node.place {
                Place::Virtual { .. } if node.owner.is_some() => {
                    "virtual functions can be planned, but not driven: SR-IOV is never turned on"
                }
                _ => continue,
            };
            report
                .error(Mistake::NotBuildable, problem)
                .at(&device.name.span, "declared here");
        }
        self.alternatives(report);
    }

    /// The PCI task tells what may appear in one slot apart by its identity, and a bridge's bus numbers are
    /// those of one.
    fn alternatives(&self, report: &Report) {
        let functions = &self.fabric.functions;
        for (index, function) in functions.iter().enumerate() {
            let earlier = functions.iter().take(index);
            let others = earlier.filter(|other| other.is_alternative_of(function));
            for other in others {
                let (Some(name), Some(first)) = (self.declared(function), self.declared(other))
                else {
                    continue;
                };
                let is_bridge = |function: &Function| function.buses_below.is_some();
                let (problem, remedy) = if function.id == other.id {
                    (
                        "two alternatives of a slot have one identity",
                        "declare only one of them: at boot they could not be told apart",
                    )
                } else if is_bridge(function) || is_bridge(other) {
                    (
                        "a bridge as an alternative of a slot can be planned, but not driven",
                        "declare what the slot holds in this image",
                    )
                } else {
                    continue;
                };
                report
                    .error(Mistake::NotBuildable, problem)
                    .at(&name.span, "expected in the slot")
                    .with(&first.span, "expected in the same slot")
                    .remedy(remedy);
            }
        }
    }

    /// Name of a declared function.
    fn declared(&self, function: &Function) -> Option<&Spanned<String>> {
        match function.kind {
            FunctionKind::Device(device) => Some(&self.app.devices.get(device)?.name),
            FunctionKind::Bridge(bridge) => Some(&self.app.bridges.get(bridge)?.name),
            FunctionKind::HostBridge | FunctionKind::Expander(_) => None,
        }
    }
}
