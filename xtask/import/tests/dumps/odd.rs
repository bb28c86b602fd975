//! Machines that are odd and can be read: sleepers, lists that loop, hidden buses, segments of an operating system.

use import::{AcsState, Dump, ErrorKind, machine, parse, read};
use solver::model::{DomainType, FunctionKind};
use solver::{Options, solve};

use super::{dump, edited, errors, kinds, patched, silenced};

fn taken(text: &str) -> Dump {
    read(text).expect("a dump that can be taken")
}

fn warns(dump: &Dump, words: &[&str]) -> bool {
    let has = |warning: &String| words.iter().all(|word| warning.contains(word));
    dump.warnings.iter().any(has)
}

#[test]
fn a_whole_dump_warns_of_nothing() {
    assert_eq!(taken(&dump()).warnings, [""; 0]);
}

/// Kept in its place, with its ids, blocked; nobody else changes.
#[test]
fn sleepers_are_kept_and_blocked() {
    let found = taken(&silenced(&["0000:07:00.0"]));
    assert!(warns(
        &found,
        &["0000:07:00.0 reads as ones", "blocked", "power/control"]
    ));
    let whole = parse(&dump()).unwrap();
    assert_eq!(found.functions.len(), whole.len());
    for (one, other) in found.functions.iter().zip(&whole) {
        assert_eq!(
            (one.address, one.vendor, one.device),
            (other.address, other.vendor, other.device)
        );
        assert_eq!(one.asleep, one.address.to_string() == "0000:07:00.0");
        assert!(one.asleep || one.config == other.config);
    }
    let machine = machine(&found.functions, AcsState::AsIs);
    let sleeper = machine
        .nodes
        .iter()
        .find(|node| node.name == "nvme-07-00-0");
    assert_eq!(sleeper.expect("it").demand, Some(DomainType::Blocked));
    assert!(!solve(&machine, &Options::default()).errors().any(|_| true));
    // Without the class and ids of its line nothing is known of it.
    let nameless = silenced(&["0000:07:00.0"])
        .replace("0000:07:00.0 0108: 1b36:0010", "0000:07:00.0 NVMe: Red Hat");
    assert_eq!(kinds(&nameless), [ErrorKind::Asleep]);
}

/// The only function of a root bus of its own sleeps: no bridge leads there, and none has to.
#[test]
fn a_sleeper_alone_on_its_root_bus_is_there() {
    let ones: String = (0..16)
        .map(|line| format!("{:02x}:{}\n", line * 16, " ff".repeat(16)))
        .collect();
    let text = format!("{}0000:f0:00.0 0200: 8086:10d3\n{ones}\n", dump());
    let found = taken(&text);
    let last = found.functions.last().expect("it");
    assert!(last.asleep && last.kind == FunctionKind::Conventional);
    assert!(
        errors(&format!("0000:f0:00.0 0200: 8086:10d3\n{ones}\n"))[0]
            .message
            .contains("every function")
    );
}

/// A whole switch sleeps: what is at its place is kept, what is below is named and left out.
#[test]
fn below_a_sleeping_bridge_nothing_is_known() {
    let below = [
        "0000:04:00.0",
        "0000:05:00.0",
        "0000:05:01.0",
        "0000:06:00.0",
        "0000:07:00.0",
    ];
    let found = taken(&silenced(&below));
    let port = found
        .functions
        .iter()
        .find(|f| f.address.to_string() == below[0])
        .expect("kept");
    assert!(port.asleep && port.kind == FunctionKind::Endpoint);
    for address in &below[1..] {
        assert!(
            found
                .functions
                .iter()
                .all(|f| f.address.to_string() != *address)
        );
        assert!(
            warns(&found, &[*address, "below 0000:00:05.0", "left out"]),
            "{:?}",
            found.warnings
        );
    }
    // One that is awake below it has a bridge that is not known.
    assert_eq!(kinds(&silenced(&below[..4])), [ErrorKind::MissingBridge]);
}

/// What a list has before it loops, or leaves its space, is taken, as by Linux.
#[test]
fn lists_that_loop_are_taken_up_to_there() {
    let whole = parse(&dump()).unwrap();
    let acs = |functions: &[import::Function]| {
        functions
            .iter()
            .find(|f| f.address.to_string() == "0000:00:01.0")
            .and_then(|f| f.acs)
    };
    // Its list is MSI-X at 0x48.., PCIe at 0x54, then others: the PCIe capability points back to itself.
    let next = 0x55;
    let found = taken(&patched("0000:00:01.0", next, &[0x54]));
    assert!(
        warns(&found, &["0000:00:01.0", "does not end"]),
        "{:?}",
        found.warnings
    );
    assert_eq!(acs(&found.functions), acs(&whole));
    let found = taken(&patched("0000:00:01.0", next, &[0x10]));
    assert!(warns(&found, &["0000:00:01.0", "into the header"]));
    // The extended list leaves its space before ACS: then there is none.
    let found = taken(&patched("0000:00:01.0", 0x103, &[0x04]));
    assert!(warns(
        &found,
        &["0000:00:01.0", "extended capability list points to"]
    ));
    assert_eq!(acs(&found.functions), None);
}

/// Firmware gave a bridge more numbers than the one above it passes on; where something answers, nothing is cut.
#[test]
fn hidden_buses_are_left_out() {
    let functions = parse(&dump()).unwrap();
    let inner = functions
        .iter()
        .find(|f| f.address.to_string() == "0000:05:01.0")
        .unwrap();
    let [_, first, last] = inner.buses.unwrap();
    let text = patched("0000:05:01.0", 0x1a, &[last + 4]);
    let found = taken(&text);
    let hidden = format!("the numbers from {:02x} are hidden", 8);
    assert!(
        warns(&found, &["0000:05:01.0", "0000:04:00.0", &hidden]),
        "{:?}",
        found.warnings
    );
    let cut = found
        .functions
        .iter()
        .find(|f| f.address.to_string() == "0000:05:01.0")
        .unwrap();
    assert_eq!(cut.buses.map(|b| [b[1], b[2]]), Some([first, 7]));
    let solved = solve(
        &machine(&found.functions, AcsState::AsIs),
        &Options::default(),
    );
    assert_eq!(solved.errors().count(), 0);
    // A function on a hidden number.
    let ones: String = (0..16)
        .map(|line| format!("{:02x}:{}\n", line * 16, " ff".repeat(16)))
        .collect();
    let there = format!("{text}0000:09:00.0 0200: 8086:10d3\n{ones}\n");
    assert!(kinds(&there).contains(&ErrorKind::BusNumbers));
    // All of a bridge's numbers are hidden: refused, with both bridges.
    let beyond = patched("0000:05:01.0", 0x19, &[0x20, 0x21]);
    let gone = beyond.find("0000:07:00.0").unwrap();
    let found = errors(&beyond[..gone]);
    assert!(
        found.iter().any(|e| e.kind == ErrorKind::BusNumbers
            && e.message.contains("0000:05:01.0")
            && e.message.contains("0000:04:00.0")),
        "{found:?}"
    );
}

/// A segment of five digits is an operating system's own: it is taken, and has no StreamIDs.
#[test]
fn segments_of_five_digits_have_no_streams() {
    let more: String = dump().replace("0000:0", "10000:0");
    let found = taken(&format!("{}{more}", dump()));
    assert!(warns(&found, &["segments from 10000"]));
    let half = found.functions.len() / 2;
    assert_eq!(found.functions[half].address.to_string(), "10000:00:00.0");
    let machine = machine(&found.functions, AcsState::AsIs);
    let own = machine.roots.iter().find(|root| root.segment == 0).unwrap();
    let made_up = machine.roots.iter().find(|root| root.segment != 0).unwrap();
    assert_eq!((own.streams.len(), made_up.streams.len()), (1, 0));
    assert_eq!(solve(&machine, &Options::default()).errors().count(), 0);
}

/// Root ports of Sunrise Point and later: control is four bytes further on.
#[test]
fn access_control_in_another_place() {
    let with_ids = |ids: &[u8], line: &str| {
        let text = patched("0000:00:01.0", 0, ids);
        text.replace(
            "0000:00:01.0 0604: 1b36:000c",
            &format!("0000:00:01.0 0604: {line}"),
        )
    };
    let acs = |text: &str| {
        let functions = parse(text).unwrap();
        let port = functions
            .iter()
            .find(|f| f.address.to_string() == "0000:00:01.0")
            .cloned();
        port.and_then(|port| port.acs).map(|acs| acs.enabled)
    };
    // The dump has 0x1d in the usual place, and zeros behind it.
    assert_eq!(
        acs(&with_ids(&[0x86, 0x80, 0x18, 0xa1], "8086:a118")),
        Some(0)
    );
    assert_eq!(
        acs(&with_ids(&[0x86, 0x80, 0x0c, 0x03], "8086:030c")),
        Some(0x1d)
    );
}

/// One message for one cause.
#[test]
fn many_errors_of_one_kind_are_few_lines() {
    let garbage: String = (0..500).map(|n| format!("line {n}\n")).collect();
    let found = errors(&garbage);
    assert_eq!(found.len(), 4);
    assert_eq!(found[3].message, "and 497 more like these");
    let advice = found.iter().filter(|error| !error.help.is_empty());
    assert_eq!(advice.count(), 1, "the advice once");
    let user = edited(|at, mut lines| {
        if at != "0000:00:00.0" {
            lines.truncate(5);
        }
        lines
    });
    let found = errors(&user);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(
        found
            .iter()
            .filter(|error| error.to_string().contains("as root"))
            .count(),
        1
    );
}
