//! Dumps with something wrong, and dumps in the other forms `lspci` has.

use std::path::PathBuf;

use import::{AcsState, BarKind, Error, ErrorKind, parse};
use proptest::prelude::*;
use solver::model::FunctionKind;
use solver::{Options, solve};

fn dump() -> String {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "../../tests/data/oracles/t1/acpi/lspci-Dnxxxx.txt",
    ]
    .iter()
    .collect();
    std::fs::read_to_string(path).expect("the oracle")
}

/// The dump with the lines of each function changed by `edit`; an empty result drops the function.
fn edited(edit: impl Fn(&str, Vec<String>) -> Vec<String>) -> String {
    dump()
        .split("\n\n")
        .filter(|block| !block.trim().is_empty())
        .map(|block| {
            let address = block.split(' ').next().unwrap_or_default().to_string();
            edit(&address, block.lines().map(String::from).collect())
        })
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join("\n") + "\n\n")
        .collect()
}

fn errors(text: &str) -> Vec<Error> {
    parse(text).expect_err("an error")
}

fn kinds(text: &str) -> Vec<ErrorKind> {
    errors(text).into_iter().map(|error| error.kind).collect()
}

/// Replaces the bytes at `offset` of one function.
fn patched(address: &str, offset: usize, bytes: &[u8]) -> String {
    edited(|at, mut lines| {
        if at == address {
            let line = &mut lines[1 + offset / 16];
            let mut words: Vec<String> = line.split(' ').map(String::from).collect();
            for (index, byte) in bytes.iter().enumerate() {
                words[1 + offset % 16 + index] = format!("{byte:02x}");
            }
            *line = words.join(" ");
        }
        lines
    })
}

#[test]
fn what_is_no_dump() {
    assert_eq!(kinds(""), [ErrorKind::Empty]);
    let found = errors("hello\nworld\n");
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].line, found[0].kind), (1, ErrorKind::Line));
    assert!(
        found[0]
            .to_string()
            .contains("line 1: `hello` is no line of `lspci`")
    );
    let headers = edited(|_, lines| lines[..1].to_vec());
    assert_eq!(
        kinds(&headers),
        [ErrorKind::NoDump],
        "one error for one mistake"
    );
}

#[test]
fn dumps_made_without_root_or_with_too_few_x() {
    let user = edited(|_, lines| lines[..5].to_vec());
    let found = errors(&user);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, ErrorKind::NotRoot);
    assert!(found[0].help.contains("as root"));
    let conventional = edited(|_, lines| lines.into_iter().take(17).collect());
    assert_eq!(kinds(&conventional), [ErrorKind::NotExtended]);
    let verbose = edited(|_, mut lines| {
        lines.insert(1, "\tCapabilities: <access denied>".into());
        lines
    });
    assert_eq!(kinds(&verbose), [ErrorKind::NotRoot]);
}

#[test]
fn dumps_that_end_too_early() {
    let whole = dump();
    let cut = |at: usize| &whole[..at];
    let last = whole.trim_end().len();
    assert_eq!(
        kinds(cut(last - 5)),
        [ErrorKind::Hex],
        "in the middle of a line"
    );
    assert_eq!(
        kinds(cut(last - 52)),
        [ErrorKind::Truncated],
        "between two lines"
    );
    let header = whole.find("0000:07:00.0").expect("the last function");
    assert_eq!(kinds(cut(header + 38)), [ErrorKind::NoDump]);
    let from = whole.find("10: ").expect("a line");
    assert_eq!(
        kinds(&whole[from..]),
        [ErrorKind::Line],
        "the beginning is missing"
    );
}

#[test]
fn lines_and_functions_that_got_lost() {
    let gap = edited(|at, mut lines| {
        if at == "0000:00:05.0" {
            lines.remove(7);
        }
        lines
    });
    let found = errors(&gap);
    assert_eq!(found[0].kind, ErrorKind::Hex);
    assert!(
        found[0]
            .message
            .contains("offset 70 of 0000:00:05.0 follows 60"),
        "{}",
        found[0].message
    );
    let without =
        |gone: &'static str| edited(move |at, lines| if at == gone { Vec::new() } else { lines });
    assert_eq!(kinds(&without("0000:04:00.0")), [ErrorKind::MissingBridge]);
    assert_eq!(kinds(&without("0000:05:01.0")), [ErrorKind::MissingBridge]);
    let twice = dump()
        + &edited(|at, lines| {
            if at == "0000:00:04.0" {
                lines
            } else {
                Vec::new()
            }
        });
    assert_eq!(kinds(&twice), [ErrorKind::Duplicate]);
}

#[test]
fn contents_that_contradict_themselves() {
    assert_eq!(
        kinds(&patched("0000:00:04.0", 0, &[0x34, 0x12])),
        [ErrorKind::Contradiction],
        "ids"
    );
    assert_eq!(
        kinds(&patched("0000:00:01.0", 0x0e, &[0x7f])),
        [ErrorKind::Contradiction],
        "header type"
    );
    assert_eq!(
        kinds(&patched("0000:00:01.0", 0x0e, &[0x00])),
        [ErrorKind::Contradiction],
        "a port with no bus"
    );
    assert_eq!(
        kinds(&patched("0000:00:01.0", 0x34, &[0x10])),
        [ErrorKind::Contradiction],
        "capabilities"
    );
    // The PCIe capability at 0x54 points to itself.
    assert_eq!(
        kinds(&patched("0000:00:01.0", 0x54, &[0x05, 0x54])),
        [ErrorKind::Contradiction],
        "a loop"
    );
    assert_eq!(
        kinds(&patched("0000:00:01.0", 0x103, &[0x04])),
        [ErrorKind::Contradiction],
        "extended list"
    );
    assert!(
        kinds(&patched("0000:00:02.0", 0x19, &[0x01, 0x01])).contains(&ErrorKind::Contradiction)
    );
    let ones = edited(|at, mut lines| {
        if at == "0000:06:00.0" {
            for line in lines.iter_mut().skip(1) {
                let offset = line.split(':').next().unwrap_or_default().to_string();
                *line = format!("{offset}:{}", " ff".repeat(16));
            }
        }
        lines
    });
    assert_eq!(kinds(&ones), [ErrorKind::Asleep]);
}

/// A function on a bus that two bridges have reads as ones: that is told, and not that it sleeps.
#[test]
fn bus_numbers_that_clash_or_ran_out() {
    let functions = parse(&dump()).unwrap();
    let bridges: Vec<_> = functions.iter().filter(|f| f.buses.is_some()).collect();
    let on_root = |f: &&&import::Function| {
        f.address.bus == 0 && f.buses.is_some_and(|[_, first, _]| first != 0)
    };
    let mut roots = bridges.iter().filter(on_root);
    let (one, two) = (roots.next().unwrap(), roots.next().unwrap());
    let [_, first, last] = two.buses.unwrap();
    let below = functions.iter().find(|f| f.address.bus == first).unwrap();
    let silent = |text: &str| {
        let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
        let ones = |block: &str| -> String {
            let line = |line: &str| match line.split_once(": ") {
                Some((at, _)) if at.len() <= 3 => format!("{at}:{}", " ff".repeat(16)),
                _ => line.to_owned(),
            };
            block.lines().map(line).collect::<Vec<_>>().join("\n")
        };
        blocks
            .map(|block| {
                if block.starts_with(&below.address.to_string()) {
                    ones(block)
                } else {
                    block.to_owned()
                }
            })
            .map(|block| block + "\n\n")
            .collect::<String>()
    };
    let at = |f: &import::Function| f.address.to_string();
    // Alone it sleeps.
    assert_eq!(kinds(&silent(&dump())), [ErrorKind::Asleep]);
    // Another bridge has its bus as well.
    let clash = patched(&at(one), 0x1a, &[last]);
    let found = errors(&silent(&clash));
    assert!(
        found
            .iter()
            .all(|error| error.kind == ErrorKind::BusNumbers),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|error| error.message.contains(&at(two)) && error.message.contains(&at(one)))
    );
    assert!(found[0].help.contains("numbered anew"));
    // Without anything that reads as ones it is wrong all the same.
    assert!(kinds(&clash).contains(&ErrorKind::BusNumbers));
    // The bridge above it got no number.
    let none = patched(&at(two), 0x19, &[0, 0]);
    let found = errors(&silent(&none));
    assert!(
        found.iter().any(
            |error| error.kind == ErrorKind::BusNumbers && error.message.contains("not enough")
        ),
        "{found:?}"
    );
    assert!(
        found.iter().all(|error| error.kind != ErrorKind::Asleep),
        "{found:?}"
    );
}

/// The only function of a root bus of its own sleeps: no bridge leads there, and none has to.
#[test]
fn a_sleeper_alone_on_its_root_bus_sleeps() {
    let ones: String = (0..16)
        .map(|line| format!("{:02x}:{}\n", line * 16, " ff".repeat(16)))
        .collect();
    let text = format!("{}0000:f0:00.0 0200: 8086:10d3\n{ones}\n", dump());
    assert_eq!(kinds(&text), [ErrorKind::Asleep]);
}

#[test]
fn every_mistake_is_reported() {
    let text = edited(|at, mut lines| match at {
        "0000:00:03.0" | "0000:00:04.0" => lines[..5].to_vec(),
        "0000:07:00.0" => {
            lines.truncate(9);
            lines
        }
        _ => lines,
    });
    assert_eq!(
        kinds(&text),
        [ErrorKind::NotRoot, ErrorKind::NotRoot, ErrorKind::Truncated]
    );
}

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

/// A sign is no digit, whatever a number's parser takes.
#[test]
fn signs_are_no_digits() {
    let signed = dump().replacen("00: 36 1b", "00: +6 1b", 1);
    assert_eq!(kinds(&signed), [ErrorKind::Hex]);
    for address in [
        "0000:+0:01.0",
        "+000:00:01.0",
        "0000:00:+1.0",
        "0000:00:01.+",
    ] {
        let text = dump().replacen("0000:00:01.0", address, 1);
        assert!(parse(&text).is_err(), "{address}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_text_is_answered(text in "[0-9a-f:. \n\t\\[\\]]{0,400}") {
        let _ = parse(&text);
    }

    /// A dump with some bytes of configuration space replaced: an error, or a machine that can be solved.
    #[test]
    fn any_configuration_space_is_answered(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut lines: Vec<String> = dump().lines().map(String::from).collect();
        for (index, value) in changes {
            // The headers of functions and the capabilities in them, where bytes mean most.
            let candidates: Vec<usize> =
                (0..lines.len()).filter(|n| lines[*n].len() == 51 && !lines[*n].starts_with("00:")).collect();
            let line = &mut lines[candidates[index.index(candidates.len())]];
            let at = 4 + 3 * (usize::from(value) % 16);
            line.replace_range(at..at + 2, &format!("{value:02x}"));
        }
        if let Ok(functions) = parse(&lines.join("\n")) {
            let machine = import::machine(&functions, AcsState::Enabled);
            let solution = solve(&machine, &Options { remedies: 0, ..Options::default() });
            prop_assert_eq!(solution.order.len(), functions.len());
        }
    }
}
