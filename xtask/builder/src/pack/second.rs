//! The second opinion on an image, by a reader that shares no code with what made it.

use verify::Verified;

use planner::failure::{Failure, Outcome};

/// Differences that a message shows: one fault in a table may make thousands.
const SHOWN: usize = 20;

/// Compares an image with the text of its `plan.json`.
///
/// # Errors
/// With the differences; nobody should run such an image.
pub fn verified(image: &[u8], plan: &str) -> Outcome<Verified> {
    let verified = verify::verify(image, plan).map_err(Failure::new)?;
    if verified.findings.is_empty() {
        return Ok(verified);
    }
    let mut message = "the image and its plan.json differ, so it is not to be run".to_owned();
    for finding in verified.findings.iter().take(SHOWN) {
        message.push_str(&format!("\n  {finding}"));
    }
    let more = verified.findings.len().saturating_sub(SHOWN);
    if more > 0 {
        message.push_str(&format!("\n  and {more} more"));
    }
    Err(Failure::new(message))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::compile::{Program, Programs, Segment};
    use crate::pack::image;
    use crate::show::json;
    use crate::tables::{self, Tables};
    use planner::planning::Plan;
    use planner::read::{self, Paths};
    use planner::report::Report;

    /// An image of a system of this repository with made-up programs, and its `plan.json`.
    struct Built {
        image: Vec<u8>,
        plan: String,
        places: verify::Places,
    }

    fn program(base: u64, hidden: &[bool]) -> Program {
        let segment = |(index, &hidden): (usize, &bool)| Segment {
            va: base + index as u64 * 0x4000,
            load: base + index as u64 * 0x4000,
            len: 0x2800,
            // A writable segment has no first contents here: those would be loaded with the one before it.
            bytes: vec![index as u8; if index == 2 { 0 } else { 0x100 }],
            write: !hidden && index == 2,
            execute: !hidden && index == 0,
            hidden,
        };
        Program {
            elf: Vec::new(),
            entry: base,
            segments: hidden.iter().enumerate().map(segment).collect(),
        }
    }

    fn root() -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        root.canonicalize().unwrap()
    }

    /// The tables of a system, if it can be planned and placed.
    fn tables_of(report: &Report, file: &Path) -> Option<(Plan, Tables)> {
        let app = read::load(report, &Paths { root: root() }, file).ok()?;
        let plan = Plan::new(report, app).ok()?;
        let task = program(abi::layout::TASK_IMAGE_BASE, &[false; 3]);
        let programs = Programs {
            kernel: program(abi::layout::KERNEL_IMAGE_BASE, &[false, false, false, true]),
            tasks: vec![task; plan.app.tasks.len()],
            compiled: 0,
        };
        let tables = tables::build(report, &plan, &programs).ok()?;
        Some((plan, tables))
    }

    fn verified_image((plan, tables): &(Plan, Tables)) -> Outcome<Built> {
        let image = image::build(plan, tables)?;
        let plan = json(plan, Some(&tables.layout));
        let places = verified(&image, &plan)?.places;
        Ok(Built {
            image,
            plan,
            places,
        })
    }

    fn built(app: &str) -> Built {
        let report = Report::default();
        let tables = tables_of(&report, &root().join(app));
        verified_image(&tables.unwrap_or_else(|| panic!("{}", report.text()))).unwrap()
    }

    const SUITE: &str = "tests/suites/iommu/app.toml";

    impl Built {
        fn base(&self) -> u64 {
            self.word_of(80)
        }

        fn word_of(&self, offset: usize) -> u64 {
            u64::from_le_bytes(*self.image[offset..].first_chunk().unwrap())
        }

        fn offset(&self, at: u64) -> usize {
            usize::try_from(at - self.base()).unwrap()
        }

        fn word(&self, at: u64) -> u64 {
            self.word_of(self.offset(at))
        }

        /// What is found if the word at `at` is another one.
        fn with(&self, at: u64, change: impl FnOnce(u64) -> u64) -> String {
            let mut image = self.image.clone();
            let offset = self.offset(at);
            let word = change(self.word(at));
            assert_ne!(word, self.word(at), "nothing is changed");
            image[offset..][..8].copy_from_slice(&word.to_le_bytes());
            let verified = verify::verify(&image, &self.plan);
            verified.map_or_else(|error| error, |verified| verified.findings.join("\n"))
        }

        /// The bits, by address and number, that nobody misses: of each word of 32 bits all, of every `step`th word.
        fn unnoticed(&self, start: u64, len: u64, step: usize) -> Vec<(u64, u32)> {
            let mut image = self.image.clone();
            let mut silent = Vec::new();
            for at in (start..start + len).step_by(4 * step) {
                let offset = self.offset(at);
                for bit in 0..32 {
                    let place = offset + bit as usize / 8;
                    image[place] ^= 1 << (bit % 8);
                    let verified = verify::verify(&image, &self.plan);
                    if verified.is_ok_and(|verified| verified.findings.is_empty()) {
                        silent.push((at, bit));
                    }
                    image[place] ^= 1 << (bit % 8);
                }
            }
            silent
        }

        fn leaf(&self, whose: &str, which: impl Fn(&verify::Leaf) -> bool) -> verify::Leaf {
            let mut all = self.places.leaves.iter();
            let found = all.find(|(name, leaf)| name == whose && which(leaf));
            found.unwrap_or_else(|| panic!("no such leaf of {whose}")).1
        }

        /// Where the record with a number is, in the plan at `blob`.
        fn record(&self, blob: u64, kind: u32, number: u64) -> u64 {
            let sections = self.word(blob) >> 48;
            let section = (0..sections).map(|index| blob + 16 + index * 16);
            let section = section
                .into_iter()
                .find(|section| self.word(*section) as u32 == kind)
                .unwrap();
            let stride = self.word(section) >> 32;
            blob + (self.word(section + 8) as u32 as u64) + number * stride
        }
    }

    fn found(findings: &str, words: &str) {
        assert!(findings.contains(words), "no `{words}` in: {findings}");
    }

    /// Files below a folder that declare tasks.
    fn systems(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                systems(&path, found);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "toml")
                && std::fs::read_to_string(&path)
                    .unwrap()
                    .contains("\n[tasks.")
            {
                found.push(path);
            }
        }
    }

    #[test]
    fn images_are_as_their_plans_say() {
        let root = root();
        let mut files = vec![root.join("app.toml")];
        for folder in ["tests/suites", "tests/systems", "tests/bench"] {
            systems(&root.join(folder), &mut files);
        }
        assert!(files.len() > 30, "{files:?}");
        for file in &files {
            built(file.to_str().unwrap());
        }
    }

    #[test]
    fn faults_in_a_tasks_tables_are_found() {
        let built = built(SUITE);
        let code = built.leaf("task first", |leaf| leaf.input == 0x40_0000);
        let rodata = built.leaf("task first", |leaf| leaf.input == 0x40_4000);
        let data = built.leaf("task first", |leaf| leaf.input == 0x40_8000);
        const READ_ONLY: u64 = 1 << 7;
        found(
            &built.with(code.at, |word| word ^ READ_ONLY),
            "is writable and executable",
        );
        found(
            &built.with(rodata.at, |word| word ^ READ_ONLY),
            "in the tables, not in plan.json",
        );
        found(
            &built.with(rodata.at, |word| word ^ 1 << 51),
            "made writable by hardware",
        );
        found(
            &built.with(data.at, |word| word ^ 1 << 54),
            "is writable and executable",
        );
        found(
            &built.with(data.at, |_| 0),
            "in plan.json, not in the tables",
        );
        let kernel = built.leaf("kernel", |leaf| leaf.input == 0xffff_ffc0_0000_0000);
        let steal = |word: u64, page: u64| word & !0xffff_ffff_f000 | page;
        found(
            &built.with(data.at, |word| steal(word, kernel.output)),
            "leads to memory of the kernel",
        );
        let tables = built.places.contexts[0].1 & !0xfff;
        found(
            &built.with(data.at, |word| steal(word, tables)),
            "leads to the SMMU's tables",
        );
        // The page behind a program is left free.
        found(
            &built.with(data.at + 4 * 8, |_| built.word(data.at)),
            "in the tables, not in plan.json",
        );
        let kernels = built.leaf("kernel", |leaf| leaf.input == 0xffff_ffc0_0000_8000);
        found(
            &built.with(kernels.at, |word| word ^ 1 << 6),
            "is open to every task",
        );
        found(
            &built.with(kernels.at, |word| word ^ 1 << 53),
            "is writable and executable",
        );
    }

    #[test]
    fn faults_in_the_kernels_plan_are_found() {
        let built = built(SUITE);
        let task = |number| built.record(built.places.kernel_plan, 0x101, number);
        let other = built.word(task(5) + 48);
        found(&built.with(task(4) + 48, |_| other), "its ASID is");
        found(
            &built.with(task(4) + 48, |word| word ^ 0x1000),
            "in the tables",
        );
        found(
            &built.with(task(6) + 56, |word| word ^ 1 << 5),
            "it may send to",
        );
        let region = built.record(built.places.kernel_plan, 0x102, 9);
        found(
            &built.with(region + 8, |word| word + 0x1000),
            "the kernel takes",
        );
        found(
            &built.with(region + 16, |word| word + 0x10_0000),
            "the kernel takes",
        );
        let base = built.base();
        for (offset, words) in [
            (104, "the leaf of"),
            (112, "the first instructions"),
            (120, "the program of EL2"),
            (200, "the kernel's plan is not mapped"),
        ] {
            found(&built.with(base + offset, |word| word ^ 0x10_0001), words);
        }
    }

    /// Rights, posts, routes, who hears of whom: whatever a task may do beside reaching memory is there.
    #[test]
    fn every_bit_of_the_kernels_plan_counts() {
        let built = built("app.toml");
        let len = built.word(built.places.kernel_plan + 8);
        let silent = built.unnoticed(built.places.kernel_plan, len, 1);
        assert!(silent.is_empty(), "{silent:x?}");
    }

    /// The first two words are the branch to the first instruction, which is a program's.
    #[test]
    fn every_bit_of_the_header_counts() {
        let built = built("app.toml");
        let silent = built.unnoticed(built.base() + 8, 208, 1);
        assert!(silent.is_empty(), "{silent:x?}");
    }

    /// The server opens, maps and answers by these numbers.
    #[test]
    fn every_bit_of_what_the_iommu_server_is_told_counts() {
        let built = built("app.toml");
        let start = built.record(built.places.server_plan, 0x400, 0);
        let end = built.places.server_plan + built.word(built.places.server_plan + 8);
        let silent = built.unnoticed(start, end - start, 1);
        assert!(silent.is_empty(), "{silent:x?}");
    }

    /// ACS, bus numbers, windows, BARs and recipes are programmed by these numbers.
    #[test]
    fn every_bit_of_what_the_pci_task_is_told_counts() {
        let built = built("app.toml");
        let start = built.record(built.places.pci_plan, 0x300, 0);
        let end = built.places.pci_plan + built.word(built.places.pci_plan + 8);
        let silent = built.unnoticed(start, end - start, 1);
        assert!(silent.is_empty(), "{silent:x?}");
    }

    /// Streams, context descriptors, tables, queues, and what lies between.
    #[test]
    fn every_bit_of_the_smmus_memory_counts() {
        let built = built("app.toml");
        for at in [
            built.places.stream_table,
            built.places.contexts[0].1,
            built.places.entries[7].1,
        ] {
            let silent = built.unnoticed(at, 64, 1);
            assert!(silent.is_empty(), "{silent:x?}");
        }
        let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
        let len = plan["memory"]["smmu-tables"]["bytes"].as_u64().unwrap();
        let start = built.word(built.record(built.places.server_plan, 0x400, 0) + 40);
        let silent = built.unnoticed(start, len, 101);
        assert!(silent.is_empty(), "{silent:x?}");
    }

    #[test]
    fn faults_in_the_stream_table_are_found() {
        let built = built(SUITE);
        let entries = &built.places.entries;
        let entry = |stream: u32| entries.iter().find(|entry| entry.0 == stream).unwrap().1;
        let direct = entries
            .iter()
            .find(|entry| built.word(entry.1) != 1)
            .unwrap();
        // Stream 8 is a bridge's, 9 nobody's, 0x100 a disk's.
        let context = built.places.contexts[0].1;
        for stream in [8, 9, 0x100] {
            found(&built.with(entry(stream), |_| 0b1001), "untranslated");
            found(
                &built.with(entry(stream), |_| context | 0b1011),
                "translates from the start",
            );
            found(&built.with(entry(stream), |_| 0), "is not valid");
            found(&built.with(entry(stream) + 8, |word| word | 1 << 28), "ATS");
            found(&built.with(entry(stream) + 24, |_| 1), "fields beyond");
        }
        found(
            &built.with(direct.1, |_| 1),
            "does not translate from the start",
        );
        found(
            &built.with(direct.1, |_| context | 0b1011),
            "translates by another table",
        );
        let level1 = built.places.stream_table;
        found(&built.with(level1, |_| 0), "has no entry");
        found(
            &built.with(level1, |word| word - 1),
            "the stream table's descriptor",
        );
        found(
            &built.with(level1, |word| word + 0x4000),
            "is told that the entry of stream",
        );
    }

    #[test]
    fn faults_in_a_domains_tables_are_found() {
        let built = built(SUITE);
        let contexts = &built.places.contexts;
        let (asid, context) = contexts[1];
        found(
            &built.with(context, |word| word ^ 1 << 43),
            "walks otherwise",
        );
        found(
            &built.with(context, |word| word ^ 1 << 50),
            "its context descriptor says",
        );
        found(
            &built.with(context + 24, |word| word ^ 0xff),
            "its context descriptor says",
        );
        let other = built.word(contexts[0].1 + 8);
        found(
            &built.with(context + 8, |_| other),
            "meets a table of domain",
        );
        let domain = built.record(built.places.server_plan, 0x401, 1);
        let smmu = built.word(built.record(built.places.server_plan, 0x400, 0) + 40);
        let leaf = smmu + built.word(domain + 32);
        let own = built.leaf(&format!("domain {}", direct_asid(&built)), |_| true);
        let page = own.descriptor | 0b10;
        found(
            &built.with(leaf, |_| page),
            "in the tables, not in plan.json",
        );
        found(&built.with(leaf, |_| page & !(0xf << 55)), "has the mark 0");
        found(
            &built.with(own.at, |word| word ^ 1 << 7),
            "not in the tables",
        );
        found(&built.with(own.at, |word| word ^ 1 << 54), "by a device");
        for offset in [16, 24, 32, 40, 56] {
            let moved = built.with(domain + offset, |word| word + 0x1000);
            assert!(!moved.is_empty(), "domain {asid}, offset {offset}");
        }
    }

    /// The domain of the suite in which the image maps something.
    fn direct_asid(built: &Built) -> String {
        let mut names = built.places.leaves.iter().map(|(name, _)| name);
        let name = names.find_map(|name| name.strip_prefix("domain "));
        name.unwrap().to_owned()
    }

    #[test]
    fn faults_in_the_servers_plan_are_found() {
        let built = built(SUITE);
        let record = |kind, number| built.record(built.places.server_plan, kind, number);
        let device = record(0x403, 2);
        for (at, words) in [
            (record(0x400, 0) + 40, "tables elsewhere"),
            (record(0x401, 1) + 8, "the IOMMU server is told"),
            (record(0x402, 2), "the IOMMU server is told"),
            (record(0x402, 2) + 8, "the entry of stream"),
            (record(0x402, 2) + 16, "differ in whether it translates"),
            (device + 24, "the IOMMU server is told"),
            (device + 32, "the IOMMU server is told"),
            (record(0x404, 0) + 8, "of the pools"),
            (record(0x404, 0) + 16, "of the pools"),
            (record(0x405, 0) + 24, "stays mapped"),
        ] {
            found(&built.with(at, |word| word ^ 1), words);
        }
    }

    /// A word that is worth nothing is a finding or an error, and never the end of the tool.
    #[test]
    fn any_word_of_the_plans_is_answered() {
        let built = built(SUITE);
        let base = built.base();
        let places = [
            (base + 80, 17),
            (built.places.kernel_plan, 96),
            (built.places.server_plan, 256),
            (built.places.contexts[0].1, 16),
        ];
        for (start, words) in places {
            for at in (0..words).map(|word| start + word * 8) {
                for value in [u64::MAX, 1 << 63, u64::MAX - 62, 0xffff_ffff_f000] {
                    if built.word(at) != value {
                        let _ = built.with(at, |_| value);
                    }
                }
            }
        }
    }

    #[test]
    fn memory_that_two_tasks_have_is_found_in_the_plan_itself() {
        let built = built(SUITE);
        let mut plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
        let of = |plan: &serde_json::Value, task: &str| {
            let tasks = plan["tasks"].as_array().unwrap();
            tasks.iter().position(|t| t["name"] == task).unwrap()
        };
        let (first, second) = (of(&plan, "first"), of(&plan, "second"));
        let stack = plan["tasks"][second]["memory"][4]["address"].clone();
        plan["tasks"][first]["memory"][4]["address"] = stack;
        let verified = verify::verify(&built.image, &plan.to_string()).unwrap();
        let findings = verified.findings.join("\n");
        found(
            &findings,
            "tasks first and second: stack `first` and stack `second` are the same memory",
        );
        found(&findings, "in plan.json, not in the tables");
    }

    /// Faults that are in the tables and in `plan.json` alike: here in `plan.json` only, so that more is found.
    #[test]
    fn a_plan_that_contradicts_itself_is_found() {
        let built = built(SUITE);
        let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
        let rows = |path: &str| plan.pointer(path).and_then(|list| list.as_array()).unwrap();
        let at = |path: &str, key: &str, value: &str| {
            let index = rows(path).iter().position(|row| row[key] == value);
            format!(
                "{path}/{}",
                index.unwrap_or_else(|| panic!("no {key} {value} in {path}"))
            )
        };
        let task = |name: &str| at("/tasks", "name", name);
        let range = |of: &str, what: &str| at(&format!("{}/memory", task(of)), "what", what);
        let bar_of_another = plan.pointer(&range("second", "bar")).unwrap()["address"].clone();
        let untranslated = at("/functions", "name", "disk0");
        let domain = plan.pointer(&untranslated).unwrap()["domain"]
            .as_u64()
            .unwrap();
        let identity = at("/functions", "name", "edu4");
        let stream = plan.pointer(&identity).unwrap()["streams"][0].clone();
        for (path, value, words) in [
            (
                format!("{}/address", range("first", "bar")),
                bar_of_another,
                "task first: its bar",
            ),
            (
                format!("{}/access", range("first", "pool")),
                "rw- device-nGnRE".into(),
                "task first: its pool `pages` is reached otherwise",
            ),
            (
                format!("{}/what", range("first", "pool")),
                "heap".into(),
                "of a kind that no memory here is",
            ),
            (
                format!("{}/name", range("iommu", "registers")),
                "uart".into(),
                "task iommu: its registers `uart`",
            ),
            (
                format!("{}/pools/0/bytes", task("first")),
                4096.into(),
                "pools in its memory are",
            ),
            (
                format!("{}/drives", task("first")),
                serde_json::json!([]),
                "its owner is",
            ),
            ("/test-image".into(), false.into(), "it has the right TEST"),
            (
                format!("{}/calls", task("pci")),
                serde_json::json!(["first"]),
                "it calls first, which is not above it",
            ),
            (
                format!("/domains/{domain}/untranslated"),
                true.into(),
                "whose streams bypass the SMMU",
            ),
            (
                format!("/domains/{domain}/snoops"),
                false.into(),
                "it snoops:",
            ),
            (
                "/domains/0/tag".into(),
                plan["domains"][1]["tag"].clone(),
                "its ASID is 0, or another's",
            ),
            (
                format!("{untranslated}/streams"),
                serde_json::json!([stream]),
                "and two domains",
            ),
        ] {
            let mut other = plan.clone();
            *other
                .pointer_mut(&path)
                .unwrap_or_else(|| panic!("no {path}")) = value;
            let verified = verify::verify(&built.image, &other.to_string()).unwrap();
            found(&verified.findings.join("\n"), words);
        }
    }

    /// Names that are kept for several cores, guests and stage 2 are read: an image has none of these.
    #[test]
    fn a_plan_of_more_than_the_image_has_is_found() {
        let built = built(SUITE);
        let with = |at: &str, value: serde_json::Value| {
            let mut plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
            *plan.pointer_mut(at).unwrap() = value;
            let verified = verify::verify(&built.image, &plan.to_string()).unwrap();
            verified.findings.join("\n")
        };
        found(&with("/cores", vec![0, 1].into()), "runs on the cores");
        found(&with("/tasks/2/core", 1.into()), "it runs on core");
        found(&with("/interrupts/0/target", 1.into()), "it goes to core");
        found(&with("/domains/0/stage", 2.into()), "translates by stage");
        let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
        let functions = plan["functions"].as_array().unwrap();
        let driven = functions.iter().position(|f| f["owner"].is_object());
        let owner = format!("/functions/{}/owner/kind", driven.unwrap());
        found(&with(&owner, "guest".into()), "its owner is");
    }

    /// Whatever numbers the file beside an image has, the reader comes to an end with an answer.
    #[test]
    fn a_plan_of_any_numbers_is_answered() {
        let built = built("app.toml");
        let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
        for (path, words) in [
            ("/domains/0/pages/bytes", "its window is larger"),
            ("/domains/0/blocks/bytes", "its window is larger"),
            ("/domains/0/tag", "cannot be read"),
            ("/functions/0/domain", "is told of domain"),
            ("/memory/smmu-tables/bytes", "tables elsewhere"),
            ("/memory/page-tables/bytes", "leads to page tables"),
            ("/tasks/0/memory/0/bytes", "in plan.json, not in the tables"),
            ("/tasks/0/stack", "is not what it declares"),
            ("/smmu/stream-bits", "cannot be read"),
        ] {
            let mut other = plan.clone();
            *other
                .pointer_mut(path)
                .unwrap_or_else(|| panic!("no {path}")) = u64::MAX.into();
            let verified = verify::verify(&built.image, &other.to_string());
            let said = verified.map_or_else(|error| error, |verified| verified.findings.join("\n"));
            found(&said, words);
        }
    }

    #[test]
    fn a_message_shows_some_of_many_differences() {
        let built = built(SUITE);
        let mut image = built.image.clone();
        for (_, leaf) in &built.places.leaves {
            let offset = built.offset(leaf.at);
            image[offset..][..8].copy_from_slice(&(leaf.descriptor ^ 1 << 50).to_le_bytes());
        }
        let Err(Failure::Message(message)) = verified(&image, &built.plan) else {
            panic!("an image of guarded pages passes");
        };
        assert_eq!(message.lines().count(), 1 + SHOWN + 1);
        assert!(message.ends_with("more"), "{message}");
    }
}
