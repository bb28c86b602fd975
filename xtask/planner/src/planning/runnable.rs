//! The limits of QEMU: a plan describes more machines than it emulates.

use std::collections::BTreeSet;

use solver::model::{RootBus, SmmuId};

use super::{FunctionKind, Plan};
use crate::report::{Mistake, Report, Reported};

/// QEMU's name of the machine's own root bus.
const MAIN_BUS: &str = "pcie.0";

impl Plan {
    /// Reports every function of a machine for QEMU that QEMU cannot be given.
    pub fn check_runnable(&self, report: &Report) -> Result<(), Reported> {
        let app = &self.app;
        if app.platform.qemu.machine.is_empty() {
            return Ok(());
        }
        let gate = report.gate();
        self.smmus_of_qemu(report);
        let functions = self.fabric.functions.iter().enumerate();
        for (number, function) in functions {
            let mut earlier = self.fabric.functions.iter().take(number);
            if earlier.any(|other| other.is_alternative_of(function)) {
                continue;
            }
            let (name, id, model) = match function.kind {
                FunctionKind::HostBridge | FunctionKind::Expander(_) => continue,
                FunctionKind::Bridge(bridge) => match app.bridges.get(bridge) {
                    Some(bridge) => (&bridge.name, bridge.id, &bridge.qemu),
                    None => continue,
                },
                FunctionKind::Device(device) => match app.devices.get(device) {
                    Some(device) if device.built_in => continue,
                    Some(device) => (&device.name, device.id.value, &device.qemu),
                    None => continue,
                },
            };
            if model.is_none() {
                let (vendor, device) = id;
                let id = format!("{vendor:04x}:{device:04x}");
                let name_of = &name.value;
                report
                    .error(
                        Mistake::NotRunnable,
                        format!("no QEMU model is known for `{name_of}`, which is {id}"),
                    )
                    .at(&name.span, "it would be missing from the machine that is run")
                    .with(&app.platform.span, "a platform that QEMU emulates")
                    .remedy("write its model and properties as `qemu = \"…\"`, as after `-device`; `cargo xtask dist` takes the file as it is");
            }
        }
        gate.pass(())
    }

    /// QEMU's names of the root buses to which the SMMUs belong, by the SMMUs' numbers, where SMMUs are devices of the
    /// command line. None for an SMMU that sees no bus, or several.
    pub fn buses_of_smmus(&self) -> Vec<Option<&str>> {
        let of = |number| {
            let sees = |root: &&RootBus| seen_by(root).contains(&SmmuId::new(number));
            let mut roots = self.machine.roots.iter().filter(sees);
            let root = roots.next()?;
            roots.next().is_none().then(|| self.qemu_name(root))
        };
        (0..self.machine.smmus.len()).map(of).collect()
    }

    fn qemu_name(&self, bus: &RootBus) -> &str {
        let same = |root: &&crate::read::Root| (root.segment, root.bus) == (bus.segment, bus.bus);
        let declared = self.app.roots.iter().find(same);
        let expander = declared.filter(|root| root.slot.is_some());
        expander.map_or(MAIN_BUS, |root| root.name.value.as_str())
    }

    /// An SMMU on QEMU's command line sees one root bus with all below it, and a root bus without one is not translated
    /// at all: a machine that differs from that is not the planned one.
    fn smmus_of_qemu(&self, report: &Report) {
        let platform = &self.app.platform;
        if platform.qemu.smmu_model.is_none() {
            return;
        }
        for root in &self.machine.roots {
            let seen = seen_by(root);
            if seen.len() != 1 {
                let name = self.qemu_name(root);
                let declared = self.app.roots.iter().find(|root| root.name.value == name);
                let span = declared.map_or(&platform.span, |root| &root.name.span);
                report
                    .error(
                        Mistake::NotRunnable,
                        format!(
                            "QEMU gives the root bus `{name}` one SMMU, and {} are planned",
                            seen.len()
                        ),
                    )
                    .at(span, "its requests")
                    .remedy("let its `iommu-map` name one SMMU, which no other root bus names");
            }
        }
        let mut shared = false;
        let mut free = None;
        for (number, smmu) in platform.smmus().into_iter().enumerate() {
            let sees = |root: &&RootBus| seen_by(root).contains(&SmmuId::new(number));
            let roots = self.machine.roots.iter().filter(sees);
            let names: Vec<&str> = roots.map(|root| self.qemu_name(root)).collect();
            let [first, others @ ..] = names.as_slice() else {
                free = free.or(Some(smmu));
                continue;
            };
            for other in others {
                shared = true;
                let declared = self.app.roots.iter().find(|root| root.name.value == *other);
                let span = declared.map_or(&platform.span, |root| &root.name.span);
                report
                    .error(
                        Mistake::NotRunnable,
                        format!(
                            "QEMU gives an SMMU one root bus, and `{}` is planned for `{first}` and `{other}`",
                            smmu.name
                        ),
                    )
                    .at(span, "would not be translated at all")
                    .with(&smmu.span, format!("sees `{first}`"))
                    .remedy(format!("give `{other}` an `iommu-map` whose rows name an SMMU of its own"));
            }
        }
        // Of two that are shared and free, one is the cause.
        if let Some(free) = free.filter(|_| !shared) {
            report
                .error(
                    Mistake::NotRunnable,
                    format!(
                        "QEMU has `{}` only with a root bus, and none is planned",
                        free.name
                    ),
                )
                .at(&free.span, "an SMMU of this platform")
                .with(&platform.span, "QEMU's command line has all of its SMMUs")
                .remedy(format!(
                    "declare an expander with `iommu-map` rows that name `{}`",
                    free.name
                ));
        }
    }
}

/// The SMMUs that see requests of a root bus.
fn seen_by(root: &RootBus) -> BTreeSet<SmmuId> {
    root.streams.iter().map(|range| range.smmu).collect()
}
