//! What dumps tell of a machine, in each of their forms.

use import::{AcsState, BarKind, ErrorKind, parse};
use solver::model::FunctionKind;
use solver::{Options, solve};

use super::{dump, edited, errors, kinds, patched};

#[test]
fn what_a_port_says() {
    let functions = parse(&dump()).expect("a whole dump");
    let find = |address: &str| {
        functions
            .iter()
            .find(|f| f.address.to_string() == address)
            .expect(address)
    };
    let port = find("0000:00:05.0");
    assert_eq!(port.kind, FunctionKind::RootPort);
    assert_eq!(port.buses, Some([0, 4, 7]));
    assert_eq!(
        port.acs.map(|acs| (acs.implemented, acs.enabled)),
        Some((0x5f, 0x1d))
    );
    assert!(port.hotplug);
    assert_eq!(find("0000:02:00.0").kind, FunctionKind::PcieToPci);
    assert_eq!(find("0000:03:01.0").kind, FunctionKind::Conventional);
    assert_eq!(find("0000:00:00.0").kind, FunctionKind::HostBridge);
    let nvme = find("0000:07:00.0");
    assert!(nvme.function_reset && nvme.msix > 0);
    assert_eq!(nvme.bars[0].kind, BarKind::Memory64);
    assert_eq!(nvme.bars[0].size, None, "the dump does not tell");
    assert_ne!(nvme.bars[0].address, 0);
    let window = port.memory_window.expect("an open window");
    assert!(window.base < window.limit && window.base <= nvme.bars[0].address);
}

/// `lspci -Dnnvvvxxxx`: the same configuration space with text that knows the sizes of BARs.
#[test]
fn verbose_dumps_tell_sizes() {
    let text = edited(|at, mut lines| {
        let rest = lines[0]
            .split_once(' ')
            .map(|(_, rest)| rest.to_string())
            .unwrap_or_default();
        let ids = rest.split(' ').nth(1).unwrap_or_default().to_string();
        lines[0] = format!("{at} Some class [0000]: Some vendor [x] Some device [{ids}] (rev 02)");
        lines.insert(1, "\tSubsystem: Red Hat, Inc. Device [1af4:1100]".into());
        lines.insert(
            2,
            "\tRegion 0: Memory at 10000000 (64-bit, non-prefetchable) [size=256]".into(),
        );
        lines.insert(3, "\tRegion 9: nonsense [size=1K]".into());
        lines
    });
    let functions = parse(&text).expect("a whole dump");
    assert_eq!(functions.len(), 16);
    assert_eq!(functions[5].bars[0].size, Some(256));
    let short: String = dump().replace("\n0000:", "\n").replacen("0000:", "", 1);
    let bytes = |functions: &[import::Function]| {
        functions
            .iter()
            .map(|f| f.config.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        bytes(&parse(&short).expect("without -D")),
        bytes(&functions)
    );
    assert_eq!(
        bytes(&parse(&dump().replace('\n', "\r\n")).expect("with CR")),
        bytes(&functions)
    );
}

#[test]
fn sizes_that_a_bar_cannot_have() {
    let sized = |size: &str| {
        let line = format!("\tRegion 0: Memory at 8000900000 (64-bit) [size={size}]");
        edited(|at, mut lines| {
            if at == "0000:00:04.0" {
                lines.insert(1, line.clone());
            }
            lines
        })
    };
    for size in ["3K", "8", "8192T", "4M"] {
        let found = errors(&sized(size));
        assert_eq!(found[0].kind, ErrorKind::Contradiction, "{size}");
        assert!(
            found[0].message.contains("0000:00:04.0: BAR 0"),
            "{}",
            found[0].message
        );
    }
    assert!(parse(&sized("1M")).is_ok());
}

/// The upper half of a BAR may be anything as long as the function does not decode.
#[test]
fn addresses_that_a_bar_cannot_have() {
    assert_eq!(
        kinds(&patched("0000:00:04.0", 0x17, &[0xc2])),
        [ErrorKind::Contradiction]
    );
    let text = patched("0000:00:04.0", 0x17, &[0xc2]);
    let line = text
        .lines()
        .position(|l| l.starts_with("0000:00:04.0"))
        .expect("it")
        + 1;
    let off: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(n, l)| {
            if n == line {
                l[..16].to_owned() + "00 00" + &l[21..]
            } else {
                l.into()
            }
        })
        .collect();
    let functions = parse(&off.join("\n")).expect("a whole dump");
    let nvme = functions
        .iter()
        .find(|f| f.address.to_string() == "0000:00:04.0")
        .expect("it");
    assert_eq!(nvme.bars[0].address, 0);
}

/// Sizes of QEMU's models, which the oracles' machines consist of.
#[test]
fn the_layout_tells_sizes() {
    let functions = parse(&dump()).expect("a whole dump");
    let size = |functions: &[import::Function], address: &str, index: u8| {
        let found = functions
            .iter()
            .find(|f| f.address.to_string() == address)
            .expect(address);
        found
            .bars
            .iter()
            .find(|bar| bar.index == index)
            .expect("the BAR")
            .size
    };
    // Vectors and pending bits need the whole of it, and the next BAR follows.
    assert_eq!(
        size(&functions, "0000:00:01.0", 0),
        Some(4 << 10),
        "a root port"
    );
    assert_eq!(
        size(&functions, "0000:00:03.0", 3),
        Some(16 << 10),
        "e1000e"
    );
    assert_eq!(
        size(&functions, "0000:00:03.0", 0),
        None,
        "nothing in it is known"
    );
    assert_eq!(size(&functions, "0000:00:05.0", 0), None, "nothing follows");
    // What does not decode memory may lie anywhere.
    let off = parse(&patched("0000:00:02.0", 4, &[0, 0])).expect("a whole dump");
    assert_eq!(size(&off, "0000:00:02.0", 0), None);
    assert_eq!(size(&off, "0000:00:01.0", 0), None, "its neighbour is gone");
}

/// SR-IOV: the physical function tells which functions are virtual; their own ids read as ones.
#[test]
fn virtual_functions_are_found_by_their_physical_one() {
    let mut text = edited(|at, mut lines| {
        if at == "0000:06:00.0" {
            // An extended space with nothing but SR-IOV: enabled, two functions from offset 0x80, stride 2.
            for offset in (0x100..0x1000).step_by(16) {
                let bytes = match offset {
                    0x100 => "10 00 01 00 00 00 00 00 01 00 00 00 08 00 08 00".to_string(),
                    0x110 => "02 00 00 00 80 00 02 00 00 00 ca 10 00 00 00 00".to_string(),
                    _ => vec!["00"; 16].join(" "),
                };
                lines.push(format!("{offset:x}: {bytes}"));
            }
        }
        lines
    });
    let endpoint = edited(|at, lines| {
        if at == "0000:06:00.0" {
            lines
        } else {
            Vec::new()
        }
    });
    for slot in ["10.0", "10.2"] {
        let line = endpoint.lines().next().expect("its header");
        text += &endpoint
            .replace(line, &format!("0000:06:{slot} 0200: 8086:10ca"))
            .replace("00: f4 1a 41 10", "00: ff ff ff ff");
        text += "\n";
    }
    let functions = parse(&text).expect("a whole dump");
    let virtuals: Vec<_> = functions.iter().filter(|f| f.physical.is_some()).collect();
    assert_eq!(virtuals.len(), 2);
    assert_eq!(virtuals[0].vendor, 0x8086);
    let machine = import::machine(&functions, AcsState::AsIs);
    let solution = solve(&machine, &Options::default());
    let index = machine
        .nodes
        .iter()
        .position(|n| n.name == "net-06-10-2")
        .expect("the second");
    assert_eq!(solution.devices[index].requester.map(|r| r.id), Some(0x682));
    assert!(solution.accepted(), "{:?}", solution.diagnostics);
}
