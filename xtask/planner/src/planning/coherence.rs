//! Which devices snoop the caches, and whose memory is therefore handed over to and fro.

use solver::model::{Machine, NodeId};

use super::Plan;
use crate::read::App;

/// Whether a device snoops the caches, by its own word or by the platform's.
pub fn is_coherent(app: &App, machine: &Machine, node: NodeId) -> bool {
    let name = machine.nodes.get(node.index()).map(|node| &node.name);
    let device = app.devices.iter().find(|d| Some(&d.name.value) == name);
    let own = device.and_then(|device| device.coherent);
    own.unwrap_or(app.platform.coherent)
}

impl Plan {
    /// Whether a device snoops the caches.
    pub fn is_coherent(&self, node: NodeId) -> bool {
        is_coherent(&self.app, &self.machine, node)
    }

    /// Whether a device that does not snoop can be given memory of this task's pools. Such a device
    /// shares a domain with a device of the task, or of a driver that the task can lend to.
    pub fn hands_over(&self, task: usize) -> bool {
        let mut apart = self.solution.domains.iter().filter(|domain| {
            let mut devices = domain.devices.iter();
            devices.any(|node| !self.is_coherent(*node))
        });
        apart.any(|domain| {
            let mut owners = domain.owners.iter().map(|owner| owner.index());
            owners.any(|owner| owner == task || self.send_to(task) >> owner & 1 == 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::read;
    use crate::report::Report;

    /// The system at `file` with `line` behind the headers of these devices.
    fn plan(file: &str, line: &str, devices: &[&str]) -> Plan {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut text = std::fs::read_to_string(root.join(file)).unwrap();
        text = text
            .replace("../../../", "")
            .replace("coherent = false\n", "");
        for device in devices {
            let header = format!("[devices.{device}]\n");
            assert!(text.contains(&header));
            text = text.replace(&header, &format!("{header}{line}\n"));
        }
        let report = Report::default();
        let app = read::from_text(&report, &Project::at(root), "app.toml".as_ref(), text);
        app.and_then(|app| Plan::new(&report, app))
            .unwrap_or_else(|_| panic!("{}", report.text()))
    }

    fn hand_over(plan: &Plan) -> Vec<&str> {
        let tasks = plan.app.tasks.iter().enumerate();
        tasks
            .filter(|(index, _)| plan.hands_over(*index))
            .map(|(_, task)| task.name.value.as_str())
            .collect()
    }

    fn snooping(plan: &Plan) -> Vec<bool> {
        let domains = plan.domains.domains.iter();
        domains.map(|domain| domain.snoops).collect()
    }

    #[test]
    fn owners_of_one_domain() {
        let alias = |line, devices: &[&str]| plan("tests/systems/alias/app.toml", line, devices);
        assert_eq!(hand_over(&alias("", &[])), [""; 0]);
        assert_eq!(hand_over(&alias("coherent = true", &["edu0"])), [""; 0]);
        let mixed = alias("coherent = false", &["edu1"]);
        assert_eq!(hand_over(&mixed), ["first", "second"]);
        assert_eq!(snooping(&mixed), [true]);
        let neither = alias("coherent = false", &["edu0", "edu1"]);
        assert_eq!(snooping(&neither), [false]);
    }

    #[test]
    fn a_driver_and_its_client() {
        let demo = plan("app.toml", "coherent = false", &["disk0"]);
        assert_eq!(hand_over(&demo), ["virtio-blk", "digest"]);
        assert_eq!(snooping(&demo), [false, true, true]);
    }
}
