//! Trees of `tests/data/trees`: what import writes, plan takes.

use std::path::Path;

use import::AcsState;
use solver::model::NodeId;

use super::project;
use crate::planning::Plan;
use crate::read::{self, UartKind};
use crate::report::Report;

fn folder() -> std::path::PathBuf {
    project().root.join("tests/data/trees")
}

fn dump() -> String {
    std::fs::read_to_string(folder().join("lspci.txt")).unwrap()
}

/// What import writes for a tree; `None` if the tree is refused.
fn imported(name: &str, with_dump: bool) -> Option<super::super::Description> {
    let blob = std::fs::read(folder().join(format!("{name}.dtb"))).unwrap();
    let dump = dump();
    let dump = with_dump.then_some(dump.as_str());
    super::super::describe(dump, Some(&blob), AcsState::AsIs).ok()
}

/// The plan of a file, or what was said about it.
fn planned(text: String) -> Result<Plan, String> {
    let report = Report::default();
    let app = read::from_text(&report, &project(), Path::new("imported.toml"), text);
    app.and_then(|app| Plan::new(&report, app))
        .map_err(|_| report.text())
}

/// The text of an import, and its plan.
fn whole(name: &str) -> (String, Plan) {
    let description = imported(name, true).unwrap_or_else(|| panic!("{name} is refused"));
    let plan = planned(description.text.clone());
    let plan = plan.unwrap_or_else(|errors| panic!("{name}: {errors}\n{}", description.text));
    (description.text, plan)
}

fn streams(plan: &Plan, name: &str) -> Vec<u32> {
    let node = plan.machine.nodes.iter().position(|node| node.name == name);
    let device = plan.solution.device(NodeId::new(node.unwrap()));
    device.streams.iter().map(|stream| stream.id).collect()
}

const DISK: &str = "nvme-01-00-0";

#[test]
fn every_tree_that_is_accepted_plans() {
    let mut refused = Vec::new();
    let mut accepted = 0;
    for entry in std::fs::read_dir(folder()).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|end| end != "dtb") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        for with_dump in [true, false] {
            let Some(description) = imported(name, with_dump) else {
                refused.push(name.to_owned());
                continue;
            };
            accepted += 1;
            let plan = planned(description.text.clone());
            assert!(
                plan.is_ok(),
                "{name}, {with_dump}:\n{}\n{}",
                plan.err().unwrap(),
                description.text
            );
        }
    }
    refused.sort();
    refused.dedup();
    let expected = ["beyond-ranges", "half-frame", "no-ranges", "same-buses"];
    assert_eq!(refused, expected);
    assert!(accepted >= 2 * 30, "{accepted}");
}

/// The disk's StreamID is what the tree states, and none where it states none.
#[test]
fn a_function_has_the_stream_that_the_tree_states() {
    let expected: [(&str, &[u32]); 12] = [
        ("port-node", &[0x100]),
        ("disabled-nodes", &[0x100]),
        ("dbi-before-config", &[0x100]),
        ("bus-address", &[0x100]),
        ("several-hosts", &[0x2_0100]),
        ("mask-of-nothing", &[0x77]),
        ("rows-overlap", &[0x500]),
        ("no-iommu-map", &[]),
        ("map-to-nothing", &[]),
        ("parent-disabled", &[]),
        ("smmu-500", &[]),
        ("no-smmu", &[]),
    ];
    for (name, ids) in expected {
        let (_, plan) = whole(name);
        assert_eq!(streams(&plan, DISK), ids, "{name}");
    }
}

/// A device whose requests no SMMU sees cannot be owned.
#[test]
fn an_owned_device_without_a_stream_is_an_error() {
    for name in [
        "no-iommu-map",
        "map-to-nothing",
        "parent-disabled",
        "smmu-500",
        "no-smmu",
    ] {
        let text = imported(name, true).unwrap().text;
        let owned = format!(
            "{}\n[tasks.disk]\ncrate = \"../disk\"\npriority = 5\ndrives = [\"{DISK}\"]\n",
            text.replace(
                &format!("[devices.{DISK}]"),
                &format!("[devices.{DISK}]\nquiesce = \"bus\"")
            )
        );
        let owned = match text.contains("quiesce = \"flr\"") {
            true => owned.replace("quiesce = \"bus\"\n", ""),
            false => owned,
        };
        let errors = planned(owned).err().unwrap();
        assert!(errors.contains("P0306"), "{name}: {errors}");
    }
}

#[test]
fn masters_are_devices_and_what_shares_a_stream_is_seen() {
    let (text, plan) = whole("platform-masters");
    assert!(
        text.contains("streams = [0x20000, 0x20001]\nsmmu = \"smmu\"\ncoherent = true"),
        "{text}"
    );
    assert_eq!(streams(&plan, "usb-4000000"), [0x100]);
    let node = |name: &str| {
        let index = plan.machine.nodes.iter().position(|node| node.name == name);
        plan.solution.device(NodeId::new(index.unwrap())).alias_set
    };
    assert_eq!(node("usb-4000000"), node(DISK));
    assert_ne!(node("net-5000000"), node(DISK));
}

/// Registers are compared with the processor's addresses, and windows with those of the bus.
#[test]
fn an_aperture_has_two_places() {
    let (text, plan) = whole("bus-address");
    assert!(
        text.contains("memory = [0x1000000, 0x80000000]\nmemory-at = 0x4001000000"),
        "{text}"
    );
    let aperture = plan.app.platform.pci.memory.as_ref().unwrap();
    assert_eq!(
        (aperture.start, aperture.seen_at),
        (0x100_0000, 0x40_0100_0000)
    );
    let reserved: Vec<(u64, u64)> = plan
        .machine
        .reserved
        .iter()
        .map(|region| (region.base, region.len))
        .collect();
    assert!(
        reserved.contains(&(0x100_0000, 0x7f00_0000)),
        "{reserved:x?}"
    );
    let moved = text.replace("memory-at = 0x4001000000", "memory-at = 0x1f00000");
    let errors = planned(moved).err().unwrap();
    assert!(errors.contains("P0050"), "{errors}");
}

/// Of several apertures the largest is used, rows that go on are one, and windows keep clear of the others.
#[test]
fn further_apertures_are_kept_clear() {
    let (text, plan) = whole("many-ranges");
    assert!(
        text.contains("memory = [0x40000000, 0x50000000]\n"),
        "{text}"
    );
    assert!(
        text.contains("prefetch = [0x1000000000, 0x1100000000]\nprefetch-at = 0x5000000000"),
        "{text}"
    );
    assert!(
        text.contains("keep-clear.pci = { base = 0x60000000, size = \"16 MiB\" }"),
        "{text}"
    );
    let bases: Vec<u64> = plan
        .machine
        .reserved
        .iter()
        .map(|region| region.base)
        .collect();
    assert!(bases.contains(&0x6000_0000), "{bases:x?}");
    let (text, _) = whole("several-hosts");
    assert!(text.contains("memory = [0x60000000, 0x70000000]"), "{text}");
    assert!(
        text.contains("keep-clear.pci2 = { base = 0x70000000, size = \"256 MiB\" }"),
        "{text}"
    );
}

#[test]
fn memory_is_described_with_what_is_somebodys() {
    let (text, plan) = whole("memory");
    let platform = &plan.app.platform;
    assert_eq!(
        (platform.memory_base, platform.memory_len),
        (0x8000_0000, 0x6000_0000)
    );
    assert_eq!(platform.image_base, 0x8040_0000);
    let reserved: Vec<(u64, u64)> = platform
        .reserved
        .iter()
        .map(|part| (part.base, part.len))
        .collect();
    assert_eq!(
        reserved,
        [
            (0x8000_0000, 0x40_0000),
            (0xa100_0000, 0x1_0000),
            (0xd000_0000, 0x1_0000)
        ]
    );
    assert!(
        text.contains("direct.framebuffer = { base = 0xa0000000, size = \"8 MiB\" }"),
        "{text}"
    );
    assert!(
        text.contains("direct.far = { base = 0x900000000, size = \"64 KiB\" }"),
        "{text}"
    );
    assert_eq!(platform.other_memory.len(), 1);
}

/// The distance and the width of a 16550's registers come from the tree; a UART of another kind is no console.
#[test]
fn the_kind_of_uart_is_described() {
    let (text, plan) = whole("console-16550");
    let told = "kind = \"16550\"\nregister-shift = 2\nregister-width = 4\n";
    assert!(text.contains(told), "{text}");
    let kind = UartKind::Uart16550 { shift: 2, width: 4 };
    assert_eq!(plan.app.platform.console.kind, kind);
    let (text, plan) = whole("console-unknown");
    assert!(
        text.contains("# * /serial@9000000: the console is a `board,uart`"),
        "{text}"
    );
    assert!(!text.contains("[platform.console]"), "{text}");
    assert!(plan.app.platform.missing.contains(&"console"));
}

#[test]
fn console_controller_and_lines_are_described() {
    let (text, plan) = whole("console");
    assert_eq!(plan.app.platform.console.device, "uart");
    assert!(
        text.contains("interrupts.irq0 = { intid = 33, edge = false }"),
        "{text}"
    );
    assert!(text.contains("description = \"A board of 2026\""), "{text}");
    let (_, plan) = whole("redistributors");
    let gic = plan.app.platform.gic.as_ref().unwrap();
    assert_eq!(
        (gic.redistributor.value, gic.redistributor_len),
        (0x110_0000, 0x8_0000)
    );
    assert_eq!(gic.its.as_ref().unwrap().value, 0x106_0000);
    let (_, plan) = whole("lines");
    assert_eq!(plan.app.platform.pci.intx, 72);
    let (text, plan) = whole("far-memory");
    assert!(text.contains("address-bits = 52"), "{text}");
    assert_eq!(plan.app.platform.memory_base, 0xf_ffff_c000_0000);
}

/// What does not fit beside the rest is left out with a note, not written to be refused.
#[test]
fn what_is_left_out_is_said() {
    let description = imported("overlap", true).unwrap();
    let notes = description.notes.join("\n");
    assert!(
        notes.contains("RAM at 0x40000000 is left out: it shares pages with the 32-bit aperture"),
        "{notes}"
    );
    assert!(
        description
            .text
            .contains("# * RAM at 0x40000000 is left out"),
        "{}",
        description.text
    );
    let alone = imported("port-node", false).unwrap();
    assert!(alone.notes[0].contains("no dump"), "{:?}", alone.notes);
    assert!(alone.text.contains("[pci.root-0-00]"), "{}", alone.text);
    assert!(super::super::describe(None, None, AcsState::AsIs).is_err());
}

/// Of several hosts one is the platform's: the others are named, and their functions are planned without addresses.
#[test]
fn further_hosts_are_named_and_only_looked_at() {
    let description = imported("several-hosts", false).unwrap();
    let notes = description.notes.join("\n");
    for host in ["/pcie@10000000, segment 1", "/pcie@30000000, segment 2"] {
        assert!(notes.contains(host), "{host}: {notes}");
    }
    let device = |name: &str, root: &str, size: &str| {
        format!(
            "[devices.{name}]\nat = \"{root}\"\nslot = \"1.0\"\nid = \"15b3:101d\"\nform = \"root-complex-endpoint\"\n\
             bars.0 = {{ size = \"{size}\" }}\n"
        )
    };
    // The large one is larger than any aperture.
    let text = description.text
        + &device("large", "root-1-00", "1 GiB")
        + &device("small", "root-0-00", "1 MiB");
    let plan = planned(text).unwrap_or_else(|errors| panic!("{errors}"));
    let bar = |name: &str| {
        let mut functions = plan.fabric.functions.iter();
        let function = functions.find(|function| function.name == name).unwrap();
        function.bars[&0].address
    };
    assert_eq!((bar("large"), bar("small")), (0, 0x6000_0000));
    assert_eq!(streams(&plan, "large"), [8]);
    assert_eq!(streams(&plan, "small"), [0x2_0008]);
}
