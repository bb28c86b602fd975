//! Tables that are wrong, or odd and right.

use import::acpi::{Finding, Tables};

use super::{expected, files, folder, read};

const SETS: &str = "constructed-malformed";

/// Whether a text has one of the words of a pattern such as `short|trunc`, in any case.
fn says(text: &str, pattern: &str) -> bool {
    let text = text.to_lowercase();
    pattern
        .split('|')
        .any(|word| text.contains(&word.to_lowercase()))
}

fn outcome(found: &Result<Tables, Vec<Finding>>) -> (&'static str, String) {
    let join = |list: &[Finding]| {
        let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    match found {
        Ok(tables) if tables.warnings.is_empty() => ("ok", String::new()),
        Ok(tables) => ("warning", join(&tables.warnings)),
        Err(findings) => ("error", join(findings)),
    }
}

#[test]
fn every_malformed_table_has_its_outcome() {
    let answers = expected(SETS);
    let answers = answers.as_object().unwrap();
    assert_eq!(answers.len(), 36);
    let mut wrong = Vec::new();
    for (case, answer) in answers {
        let found = read(&format!("{SETS}/{case}"));
        let (outcome, text) = outcome(&found);
        let right = answer["outcome"].as_str().unwrap();
        let pattern = answer["says"].as_str().unwrap();
        // A case that is named after a warning is right with one only for its own reason.
        if !right.split(" or ").any(|right| right == outcome) || !says(&text, pattern) {
            wrong.push(format!(
                "{case}: {outcome} instead of {right}, {pattern}:\n{text}"
            ));
        }
        for line in text.lines() {
            let place = line.starts_with("IORT, offset 0x");
            assert!(
                place && line.ends_with(')'),
                "no place or no remedy: {line}"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A wrong count does not hide what else is wrong: all comes at once.
#[test]
fn all_findings_come_at_once() {
    let mut files = files(&folder().join(SETS).join("reference-nowhere"));
    let mut mcfg = b"MCFG".to_vec();
    mcfg.resize(45, 0);
    mcfg[4] = 45;
    files.push(("MCFG".into(), mcfg));
    let errors = import::acpi::read(&files).unwrap_err();
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    assert!(says(&text, "no node begins"), "{text}");
    assert!(text.contains("MCFG, offset 0x9: the checksum"), "{text}");
    assert!(
        text.contains("MCFG, offset 0x2c: an entry has 16 bytes"),
        "{text}"
    );
}

/// What is accepted with an odd count, flag or end says what `good` says.
#[test]
fn odd_tables_say_what_they_mean() {
    let streams = |case: &str| {
        let found = read(&format!("{SETS}/{case}")).unwrap_or_else(|why| panic!("{why:?}"));
        let paths = found.iort.paths.iter();
        let shown: Vec<String> = paths
            .map(|path| format!("{:x?} {:x?}", path.ids, path.way))
            .collect();
        shown.join("\n")
    };
    let good = streams("good");
    for case in ["bad-checksum", "longer-than-header", "node-count-too-small"] {
        assert!(good.starts_with(&streams(case)), "{case}");
    }
    let all = streams("count-all-ones");
    assert!(all.contains("ffffffff"), "{all}");
    let single = streams("single-flag-on-root-complex");
    assert!(
        single.contains("None Smmu { smmu: 0, streams: (40, 40)"),
        "{single}"
    );
    let flag = streams("single-flag-on-smmu");
    assert!(flag.contains("messages: []"), "{flag}");
}

/// A machine with two SMMUs, the first of them elsewhere.
fn moved(base: u64) -> Result<Tables, Vec<Finding>> {
    let mut files = files(&folder().join("q111-virt-two-smmuv3"));
    let at = read("q111-virt-two-smmuv3").unwrap().iort.smmus[0]
        .head
        .offset
        + 16;
    let iort = files.iter_mut().find(|file| file.0 == "IORT").unwrap();
    iort.1[at..at + 8].copy_from_slice(&base.to_le_bytes());
    import::acpi::read(&files)
}

#[test]
fn registers_where_none_can_be() {
    for (base, word) in [
        (0, "no frame of 64 KiB"),
        (0x905_1000, "no frame of 64 KiB"),
        (u64::MAX - 0xffff, "no frame of 64 KiB"),
        (0xc01_0000, "are the same in part"),
        (0xc02_0000, "have the same base"),
    ] {
        let (outcome, text) = outcome(&moved(base));
        assert!(
            outcome == "error" && text.contains(word),
            "{base:#x}: {text}"
        );
    }
    assert!(moved(0xc00_0000).is_ok());
}
