//! How long the solver takes, by size of the machine: `cargo run --release -p solver --example growth`.

use std::time::Instant;

use solver::model::*;
use solver::{Machine, Options, solve};

/// Root ports without ACS, each with a switch without ACS: the case with the largest groups. Several owners that
/// do not trust each other make a mistake of every pair.
fn machine(devices: usize, owners: usize) -> Machine {
    let mut machine = Machine::default();
    machine.smmus.push(Smmu {
        name: "smmu".into(),
        stream_bits: 32,
        ..Smmu::default()
    });
    machine.owners.extend((0..owners).map(|number| Owner {
        name: format!("driver{number}"),
        source: Source(0),
    }));
    let node = |name: String, kind, place| Node {
        name,
        place,
        function: Function {
            kind,
            ..Function::default()
        },
        ..Node::default()
    };
    while machine.nodes.len() < devices {
        let segment = machine.roots.len();
        let smmu = SmmuId::new(0);
        machine.roots.push(RootBus {
            name: format!("pcie{segment}"),
            segment: segment as u16,
            bus_last: 255,
            streams: vec![StreamRange {
                requester: 0,
                len: 0x1_0000,
                smmu,
                stream: (segment as u32) << 16,
            }],
            ..RootBus::default()
        });
        for switch in 0..4 {
            let root = Upstream::Root(RootId::new(segment));
            let at = |upstream, device| Place::Slot {
                upstream,
                device,
                function: 0,
            };
            let next = |machine: &Machine| Upstream::Bridge(NodeId::new(machine.nodes.len() - 1));
            machine.nodes.push(node(
                format!("rp{segment}-{switch}"),
                FunctionKind::RootPort,
                at(root, switch),
            ));
            let port = next(&machine);
            machine.nodes.push(node(
                format!("up{segment}-{switch}"),
                FunctionKind::UpstreamPort,
                at(port, 0),
            ));
            let up = next(&machine);
            for slot in 0..31 {
                let name = format!("d{segment}-{switch}-{slot}");
                machine.nodes.push(node(
                    format!("{name}p"),
                    FunctionKind::DownstreamPort,
                    at(up, slot),
                ));
                let down = next(&machine);
                for function in 0..4 {
                    let place = Place::Slot {
                        upstream: down,
                        device: 0,
                        function,
                    };
                    let mut endpoint =
                        node(format!("{name}-{function}"), FunctionKind::Endpoint, place);
                    endpoint.owner = Some(OwnerId::new((slot + function) as usize % owners));
                    machine.nodes.push(endpoint);
                }
            }
        }
    }
    machine.nodes.truncate(devices);
    machine
}

fn main() {
    println!(
        "{:>8} {:>12} {:>14} {:>12} {:>22}",
        "devices", "seconds", "microsec. each", "mistakes", "seconds, with remedies"
    );
    for devices in [1_000, 2_000, 5_000, 10_000, 20_000, 50_000] {
        let (seconds, mistakes) = timed(&machine(devices, 1));
        assert_eq!(mistakes, 0);
        let (with_mistakes, mistakes) = timed(&machine(devices, 4));
        println!(
            "{devices:>8} {seconds:>12.4} {:>14.2} {mistakes:>12} {with_mistakes:>22.4}",
            seconds * 1e6 / devices as f64
        );
    }
}

/// Seconds, and errors.
fn timed(machine: &Machine) -> (f64, usize) {
    let start = Instant::now();
    let solution = solve(machine, &Options::default());
    (start.elapsed().as_secs_f64(), solution.errors().count())
}
