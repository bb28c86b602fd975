//! What a plan must not have to become an image: it describes more machines than the servers drive.

use solver::model::Place;

use super::{FunctionKind, Plan};
use crate::report::{Mistake, Report, Reported};

impl Plan {
    /// Reports everything that can be planned but not built.
    pub fn check_buildable(&self, report: &Report) -> Result<(), Reported> {
        let before = report.errors();
        self.parts(report);
        self.devices(report);
        if report.errors() > before {
            Err(Reported)
        } else {
            Ok(())
        }
    }

    fn parts(&self, report: &Report) {
        let app = &self.app;
        let refuse = |message: String, remedy: &str| {
            drop(report.error(Mistake::NotBuildable, message).remedy(remedy));
        };
        if app.tasks.is_empty() {
            refuse(
                "a system without tasks cannot be built".to_owned(),
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
                "describe them in [platform], or name a platform of sys/platform",
            );
        }
        if app.platform.smmus().len() > 1 {
            refuse(
                "an image serves one SMMU".to_owned(),
                "declare the one whose devices are driven",
            );
        }
        if app.roots.iter().any(|root| root.segment != 0) {
            refuse(
                "an image serves one PCI segment".to_owned(),
                "leave out the functions of the others",
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
                _ if node.unsafe_bypass.is_some() => {
                    "a bypass can be planned, but no server opens one"
                }
                _ if !node.direct.is_empty() => {
                    "direct regions can be planned, but no image maps them"
                }
                _ => continue,
            };
            report
                .error(Mistake::NotBuildable, problem)
                .at(&device.name.span, "declared here");
        }
        for (index, function) in self.fabric.functions.iter().enumerate() {
            let FunctionKind::Device(device) = function.kind else {
                continue;
            };
            let same = |other: &&super::Function| {
                other.rid() == function.rid() && other.segment == function.segment
            };
            let earlier = self
                .fabric
                .functions
                .iter()
                .take(index)
                .any(|other| same(&other));
            if let (true, Some(device)) = (earlier, self.app.devices.get(device)) {
                report
                    .error(
                        Mistake::NotBuildable,
                        "alternatives of a slot can be planned, but an image expects one",
                    )
                    .at(
                        &device.name.span,
                        "another device is expected in the same slot",
                    );
            }
        }
    }
}
