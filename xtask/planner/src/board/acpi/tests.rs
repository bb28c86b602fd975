//! Tables in, `app.toml` out, plan compared with what Linux gave and with the decoded answers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use import::AcsState;
use serde_json::Value;

use super::super::Description;
use crate::failure::Failure;
use crate::planning::Plan;
use crate::project::Project;
use crate::read::{self, Place};
use crate::report::Report;

fn project() -> Project {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Project::at(root.canonicalize().unwrap())
}

fn folder() -> PathBuf {
    project().root.join("tests/data/oracles/acpi")
}

fn answer(set: &str) -> Value {
    let path = folder().join(set).join("expect.json");
    let text = std::fs::read_to_string(path).expect("an answer can be read");
    serde_json::from_str(&text).expect("an answer is JSON")
}

/// All sets of good tables.
fn sets() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the sets can be listed");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut sets: Vec<String> = names
        .filter(|name| !name.ends_with(".md") && name != "constructed-malformed")
        .collect();
    sets.sort();
    sets
}

fn dump(set: &str) -> Option<String> {
    std::fs::read_to_string(folder().join(set).join("lspci.txt")).ok()
}

fn describe(set: &str, lspci: Option<&str>) -> Result<Description, String> {
    let files = super::files(&folder().join(set)).unwrap_or_else(|_| panic!("{set}"));
    super::describe(lspci, &files, AcsState::AsIs).map_err(|failure| match failure {
        Failure::Message(why) => why,
        Failure::Shown => String::new(),
    })
}

fn plan(set: &str, text: String) -> Plan {
    let report = Report::default();
    let app = read::from_text(&report, &project(), "imported.toml".as_ref(), text.clone());
    let plan = app.and_then(|app| Plan::new(&report, app));
    plan.unwrap_or_else(|_| panic!("{set}:\n{text}\n{}", report.text()))
}

fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap(),
        value => value.as_u64().unwrap(),
    }
}

/// Base of the SMMU and StreamID that an answer's paths give an id of a requester.
fn expected(answer: &Value, requester: &str, id: u64) -> Option<(u64, u64)> {
    let paths = answer["paths"].as_array().unwrap().iter();
    let mut paths = paths.filter(|path| path["requester"] == requester);
    let path = paths.find(|path| {
        path.get("own_ids").is_some()
            || (number(&path["id_first"])..=number(&path["id_last"])).contains(&id)
    })?;
    let smmu = path["smmu"].as_u64()?;
    let base = number(&answer["smmus"][usize::try_from(smmu).unwrap()]["base"]);
    let first = path.get("id_first").map_or(id, number);
    Some((base, number(&path["stream_first"]) + (id - first)))
}

/// What a plan's root buses of a segment give a requester id.
fn found(plan: &Plan, segment: u64, id: u64) -> Option<(u64, u64)> {
    let roots = plan.machine.roots.iter();
    let mut roots = roots.filter(|root| {
        let buses = u64::from(root.bus)..=u64::from(root.bus_last);
        u64::from(root.segment) == segment && buses.contains(&(id >> 8))
    });
    let root = roots.next()?;
    let masked = match root.stream_mask {
        0 => id,
        mask => id & u64::from(mask),
    };
    let row = root.streams.iter().find(|row| {
        let first = u64::from(row.requester);
        (first..first + u64::from(row.len)).contains(&masked)
    })?;
    let name = &plan.machine.smmus[row.smmu.index()].name;
    let base = plan.app.platform.device(name).unwrap().base;
    Some((
        base,
        u64::from(row.stream) + masked - u64::from(row.requester),
    ))
}

/// Ends of ranges, and what lies beside them.
fn ids(answer: &Value, requester: &str) -> Vec<u64> {
    let paths = answer["paths"].as_array().unwrap().iter();
    let paths =
        paths.filter(|path| path["requester"] == requester && path.get("id_first").is_some());
    let ends = paths.flat_map(|path| {
        let (first, last) = (number(&path["id_first"]), number(&path["id_last"]));
        [first.saturating_sub(1), first, last, last + 1]
    });
    let mut ids: Vec<u64> = ends.chain([0, 0x7f, 0xffff]).collect();
    ids.retain(|id| *id <= 0xffff);
    ids
}

#[test]
fn every_set_is_planned_as_its_answer_says() {
    let mut segments = 0;
    for set in sets() {
        let answer = answer(&set);
        let plan = plan(&set, describe(&set, None).unwrap().text);
        let bases = |plan: &Plan| -> Vec<u64> {
            let smmus = plan.app.platform.smmus();
            smmus.iter().map(|smmu| smmu.base).collect()
        };
        let smmus: Vec<u64> = {
            let smmus = answer["smmus"].as_array().unwrap().iter();
            smmus.map(|smmu| number(&smmu["base"])).collect()
        };
        assert_eq!(bases(&plan), smmus, "{set}");
        for (index, root) in (0..).zip(answer["root_complexes"].as_array().unwrap()) {
            let segment = root["segment"].as_u64().unwrap();
            let requester = format!("root_complex {index} (segment {segment})");
            // A bus that no configuration space reaches has no function.
            let reached = |id: u64| {
                let mut spaces = answer
                    .get("ecam")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten();
                let of = |ecam: &&Value| ecam["segment"] == segment;
                let any = spaces.clone().any(|ecam| of(&ecam));
                !any || spaces.any(|ecam| {
                    let buses = number(&ecam["bus_first"])..=number(&ecam["bus_last"]);
                    of(&ecam) && buses.contains(&(id >> 8))
                })
            };
            for id in ids(&answer, &requester)
                .into_iter()
                .filter(|id| reached(*id))
            {
                assert_eq!(
                    found(&plan, segment, id),
                    expected(&answer, &requester, id),
                    "{set}: {requester}, {id:#x}"
                );
                segments += 1;
            }
        }
    }
    assert!(segments > 100, "{segments}");
}

/// Named components with a StreamID are devices with all of them, and no others are.
#[test]
fn named_components_are_devices() {
    for set in sets() {
        let answer = answer(&set);
        let plan = plan(&set, describe(&set, None).unwrap().text);
        let mut right: BTreeMap<(u64, String), Vec<u64>> = BTreeMap::new();
        for path in answer["paths"].as_array().unwrap() {
            let requester = path["requester"].as_str().unwrap();
            let smmu = path.get("smmu").and_then(Value::as_u64);
            let (Some(smmu), true) = (smmu, requester.starts_with("named_component")) else {
                continue;
            };
            let base = number(&answer["smmus"][usize::try_from(smmu).unwrap()]["base"]);
            let streams = number(&path["stream_first"])..=number(&path["stream_last"]);
            right
                .entry((base, requester.into()))
                .or_default()
                .extend(streams);
        }
        let mut right: Vec<(u64, Vec<u64>)> = right
            .into_iter()
            .map(|((base, _), streams)| (base, streams))
            .collect();
        let mut shown: Vec<(u64, Vec<u64>)> = Vec::new();
        for device in &plan.app.devices {
            if let Place::Platform { smmu, streams, .. } = &device.place {
                let name = &smmu.as_ref().expect("an SMMU is named").value;
                let base = plan.app.platform.device(name).unwrap().base;
                shown.push((base, streams.iter().copied().map(u64::from).collect()));
            }
        }
        right.sort();
        shown.sort();
        assert_eq!(shown, right, "{set}");
    }
}

/// With a dump, each function has the streams that Linux gave it.
#[test]
fn functions_have_the_streams_that_linux_gave() {
    let mut count = 0;
    for set in sets() {
        let Some(dump) = dump(&set) else { continue };
        let answer = answer(&set);
        let plan = plan(&set, describe(&set, Some(&dump)).unwrap().text);
        for function in answer["functions"].as_array().unwrap() {
            let rid = number(&function["rid"]);
            let mut devices = plan.solution.devices.iter();
            let device = devices
                .find(|device| device.requester.is_some_and(|id| u64::from(id.id) == rid))
                .unwrap_or_else(|| panic!("{set}: {function}"));
            let shown: Vec<u64> = device.streams.iter().map(|s| s.id.into()).collect();
            let right: Vec<u64> = function["streams"]
                .as_array()
                .unwrap()
                .iter()
                .map(number)
                .collect();
            assert_eq!(shown, right, "{set}: {function}");
            count += 1;
        }
    }
    assert_eq!(count, 20);
}

/// Accepted ones are planned, and a mistake is told with table, place, both parties and a remedy.
#[test]
fn malformed_tables() {
    let answers = answer("constructed-malformed");
    for (case, right) in answers.as_object().unwrap() {
        let set = format!("constructed-malformed/{case}");
        match (describe(&set, None), right["outcome"].as_str().unwrap()) {
            (Ok(description), outcome) => {
                assert_ne!(outcome, "error", "{case}");
                let word = description
                    .notes
                    .iter()
                    .any(|note| note.starts_with("IORT, offset"));
                assert!(
                    outcome != "warning" || word,
                    "{case}: {:?}",
                    description.notes
                );
                plan(&set, description.text);
            }
            (Err(why), outcome) => {
                assert!(outcome.contains("error"), "{case}: {why}");
                assert!(
                    why.starts_with("the ACPI tables cannot be used\n  IORT, offset 0x"),
                    "{why}"
                );
                assert!(why.ends_with(')'), "no remedy: {why}");
            }
        }
    }
}

/// The StreamIDs that a plan gives all functions of the case where every function has one.
#[test]
fn a_single_stream_is_that_of_every_function() {
    let set = "constructed-malformed/single-flag-on-root-complex";
    let plan = plan(set, describe(set, None).unwrap().text);
    for id in [0, 1, 8, 0x100, 0xfffe, 0xffff] {
        assert_eq!(found(&plan, 0, id).map(|(_, stream)| stream), Some(0x40));
    }
}

/// Regions of RMR nodes are those of the devices with their StreamIDs.
#[test]
fn rmr_nodes_are_direct_regions() {
    let text = describe("constructed-rmr", None).unwrap().text;
    let dpu = text
        .split("[devices.dpu0]")
        .nth(1)
        .expect("the device is there");
    assert!(
        dpu.contains("base = 0x84800000, size = \"8 MiB\""),
        "{text}"
    );
    assert!(
        dpu.contains("base = 0x90001000, size = \"16 KiB\""),
        "{text}"
    );
    assert!(
        !text.contains("direct.rmr0"),
        "the function was not listed: {text}"
    );
}

/// What is not supported is named, with where it is and who is behind it.
#[test]
fn machines_without_an_smmuv3() {
    for (set, named) in [
        ("q111-virt-none", "there is no SMMUv3: no SMMU of any kind"),
        (
            "nxp-lx2160a",
            "there is MMU-500 at 0x5000000, which is not supported",
        ),
        (
            "microsoft-surface-pro-x",
            "MMU-500 at 0x15000000 and MMU-500 at",
        ),
        ("huawei-matebook-e-2019", "there is no SMMUv3: there is"),
    ] {
        let description = describe(set, None).unwrap();
        assert!(
            description.text.contains(named),
            "{set}: {}",
            description.text
        );
        assert!(
            description.notes.iter().any(|note| note.contains(named)),
            "{set}"
        );
        assert!(
            !description.text.contains("stream ="),
            "{set}: {}",
            description.text
        );
        assert!(!description.text.contains("streams ="), "{set}");
    }
    let text = describe("nxp-lx2160a", None).unwrap().text;
    assert!(
        text.contains("behind it are segment 2, segment 4, \\_SB_.MCE0"),
        "{text}"
    );
}

/// Firmware, interrupt controller, console and coherence.
#[test]
fn the_platform_of_a_set() {
    let text = |set| describe(set, None).unwrap().text;
    let q72 = text("q72-virt-smmuv3");
    for line in [
        "coherent = true",
        "psci = \"hvc\"",
        "distributor = 0x8000000",
        "redistributor = 0x80a0000",
        "its = 0x8080000",
        "interrupts.event = { intid = 106, edge = true }",
        "interrupts.error = { intid = 109, edge = true }",
        "kind = \"pci-host\"\nbase = 0x4010000000",
        "device = \"uart\"",
        "base = 0x9000000",
    ] {
        assert!(q72.contains(line), "{line} is not in\n{q72}");
    }
    let gicv2 = text("q111-virt-gicv2");
    assert!(
        gicv2.contains("is a GICv2, and the kernel drives a GICv3"),
        "{gicv2}"
    );
    assert!(!gicv2.contains("[platform.gic]"), "{gicv2}");
    let altra = text("ampere-altra");
    assert!(altra.contains("(COHACC override 0)"), "{altra}");
    let hisi = text("constructed-hisi-d05");
    let usb = hisi
        .split("[devices.usb0]")
        .nth(1)
        .expect("a component is a device");
    assert!(
        usb.split("\n\n")
            .next()
            .unwrap()
            .contains("coherent = false"),
        "{hisi}"
    );
    // The configuration space of each segment; one is that of the platform's host.
    let spaces = answer("ampere-altra")["ecam"].as_array().unwrap().clone();
    assert_eq!(spaces.len(), 6);
    for space in spaces {
        assert!(
            altra.contains(space["base"].as_str().unwrap()),
            "{space}: {altra}"
        );
    }
    let morello = text("arm-morello-fvp");
    assert!(morello.contains("# DBG2, `arm,pl011`"), "{morello}");
}
