//! What the IOMMU server and the PCI task have room for. Their tables have fixed sizes, so a plan that does
//! not fit would be refused at boot; here it is a mistake with a place.

use plan::limits::{DEVICES_MAX, DOMAINS_MAX, MEMBERS_MAX, SMMUS_MAX, STREAMS_MAX};
use solver::Machine;
use solver::solution::Solution;

use crate::read::App;
use crate::report::{Mistake, Report};

/// Reports what is too much. A machine without an IOMMU server is only looked at.
pub fn check(report: &Report, app: &App, machine: &Machine, solution: &Solution) {
    let server = app.authority().and_then(|index| app.tasks.get(index));
    let Some(server) = server else {
        return;
    };
    let streams = solution.devices.iter().map(|device| device.streams.len());
    for (what, found, most) in [
        ("SMMUs", machine.smmus.len(), SMMUS_MAX),
        (
            "devices, bridges included,",
            machine.nodes.len(),
            DEVICES_MAX,
        ),
        ("domains", solution.domains.len(), DOMAINS_MAX),
        ("streams", streams.sum(), STREAMS_MAX),
    ] {
        if found > most {
            report
                .error(
                    Mistake::TooMany,
                    format!("{found} {what} are more than the IOMMU server serves"),
                )
                .at(&server.name.span, format!("it has room for {most}"))
                .remedy("leave out devices that nobody drives, below a bridge that is not declared either");
        }
    }
    for domain in &solution.domains {
        let name = |node: &solver::model::NodeId| machine.nodes.get(node.index());
        let Some(first) = domain.devices.first().and_then(name) else {
            continue;
        };
        if domain.devices.len() > MEMBERS_MAX {
            let device = app
                .devices
                .iter()
                .find(|device| device.name.value == first.name);
            let draft = report.error(
                Mistake::TooMany,
                format!(
                    "{} devices share one domain with `{}`",
                    domain.devices.len(),
                    first.name
                ),
            );
            let draft = match device {
                Some(device) => draft.at(&device.name.span, "the first of them"),
                None => draft,
            };
            drop(
                draft
                    .with(
                        &server.name.span,
                        format!("it has room for {MEMBERS_MAX} in one"),
                    )
                    .remedy("put some of them behind a bridge of their own"),
            );
        }
    }
}
