//! What happens to a dump on its way here: it comes to the same functions.

use import::{Config, decode, parse, read};

use super::{dump, edited};

fn spaces(text: &str) -> Vec<Config> {
    let found = parse(text).unwrap_or_else(|errors| panic!("{}", errors[0]));
    found.into_iter().map(|function| function.config).collect()
}

/// Standard error in the same file, at any place: `lspci ... > file 2>&1`.
#[test]
fn messages_in_the_middle() {
    let (dump, whole) = (dump(), spaces(&dump()));
    let message = "lspci: Unable to load libkmod resources: error -2\n";
    for at in (0..dump.len()).step_by(997) {
        let text = format!("{}{message}{}", &dump[..at], &dump[at..]);
        assert_eq!(spaces(&text), whole, "at {at}");
        let warnings = read(&text).unwrap().warnings;
        assert!(
            warnings[0].contains("messages of `lspci`"),
            "at {at}: {warnings:?}"
        );
    }
}

/// Copied from a page or a mail: without indentation, with another one, quoted, with words around it.
#[test]
fn pages_and_mails() {
    let text = [
        "\tSubsystem: Device 0000:0000",
        "\tControl: I/O- Mem+ BusMaster+",
        "\tRegion 5: I/O ports at c000 [size=32]",
        "\tCapabilities: [40] Express (v2) Endpoint",
        "\t\tx: y",
    ];
    let verbose = edited(|_, mut lines| {
        for line in text {
            lines.insert(1, line.into());
        }
        lines
    });
    let whole = spaces(&dump());
    assert_eq!(spaces(&verbose), whole);
    let flat: String = verbose
        .lines()
        .map(|line| line.trim_start().to_owned() + "\n")
        .collect();
    assert_eq!(spaces(&flat), whole);
    let quoted: String = verbose.lines().map(|line| format!("> {line}\n")).collect();
    assert_eq!(spaces(&quoted), whole);
    let twice: String = quoted.lines().map(|line| format!(">{line}\n")).collect();
    let mail = format!("From: a@b\nHello, this is it:\n```\n{twice}```\n-- \nBye\n");
    assert_eq!(spaces(&mail), whole);
    let indented: String = verbose
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    assert_eq!(spaces(&format!("$ sudo lspci\n{indented}")), whole);
}

#[test]
fn other_systems() {
    let text = dump().replace('\n', "\r\n");
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        spaces(&decode(&[b"\xff\xfe", wide.as_slice()].concat())),
        spaces(&dump())
    );
}

/// What got lost is still noticed: the first and a later header, a line of digits.
#[test]
fn what_is_lost_is_noticed() {
    for lost in ["0000:00:00.0 ", "0000:06:00.0 "] {
        let text = dump().replace(lost, "0000:0");
        assert!(parse(&text).is_err(), "{lost}");
    }
    let text = dump().replacen("\n50: ", "\n5", 1);
    assert!(parse(&text).is_err());
}
