//! Dumps that cannot be read.

use import::{AcsState, ErrorKind, parse};
use proptest::prelude::*;
use solver::{Options, solve};

use super::{dump, edited, errors, kinds, patched};

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
    assert!(
        kinds(&patched("0000:00:02.0", 0x19, &[0x01, 0x01])).contains(&ErrorKind::Contradiction)
    );
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
    // Alone it sleeps: a bridge that is missing for what is awake below it.
    assert_eq!(kinds(&silent(&dump())), [ErrorKind::MissingBridge]);
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
