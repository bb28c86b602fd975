//! Plans that contradict the image, or themselves.

use super::*;

/// A word that is worth nothing is a finding or an error, and never the end of the tool.
#[test]
fn any_word_of_the_plans_is_answered() {
    let built = built(SUITE);
    let base = built.base();
    let places = [
        (base + 80, 17),
        (built.addresses.kernel_plan, 96),
        (built.addresses.server_plan, 256),
        (built.addresses.contexts[0].1, 16),
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

/// The path of the row of a list in which a key has this value.
fn row(plan: &serde_json::Value, path: &str, key: &str, value: &str) -> String {
    let rows = plan.pointer(path).and_then(|list| list.as_array()).unwrap();
    let index = rows.iter().position(|row| row[key] == value);
    let index = index.unwrap_or_else(|| panic!("no {key} {value} in {path}"));
    format!("{path}/{index}")
}

/// Where a plan is changed, to what, and words of the finding.
fn contradictions(plan: &serde_json::Value) -> Vec<(String, serde_json::Value, &'static str)> {
    let at = |path: &str, key: &str, value: &str| row(plan, path, key, value);
    let task = |name: &str| at("/tasks", "name", name);
    let range = |of: &str, what: &str| at(&format!("{}/memory", task(of)), "what", what);
    let bar_of_another = plan.pointer(&range("second", "bar")).unwrap()["address"].clone();
    let untranslated = at("/functions", "name", "disk0");
    let domain = plan.pointer(&untranslated).unwrap()["domain"]
        .as_u64()
        .unwrap();
    let identity = at("/functions", "name", "edu4");
    let stream = plan.pointer(&identity).unwrap()["streams"][0].clone();
    vec![
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
            format!("{}/together", task("first")),
            serde_json::json!(["pci"]),
            "it restarts with pci, which restarts in a unit of",
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
    ]
}

/// What is wrong with processor time, and the words that say so.
fn contradictions_of_time(
    plan: &serde_json::Value,
) -> Vec<(String, serde_json::Value, &'static str)> {
    // The roles are trusted with time.
    let limited = row(plan, "/tasks", "name", "virtio-blk");
    vec![
        (
            format!("{limited}/budget/time-ns"),
            0.into(),
            "its budget cannot be kept: (0, 10000000)",
        ),
        (
            format!("{limited}/budget/account"),
            1.into(),
            "its accounts are numbered",
        ),
        (
            "/tasks/0/budget".into(),
            plan.pointer(&format!("{limited}/budget")).unwrap().clone(),
            "the supervisor's time is limited",
        ),
    ]
}

/// Faults that are in the tables and in `plan.json` alike: here in `plan.json` only, so that more is found.
#[test]
fn a_plan_that_contradicts_itself_is_found() {
    let built = built(SUITE);
    let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
    for (path, value, words) in [contradictions(&plan), contradictions_of_time(&plan)].concat() {
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
        ("/smmus/0/tables/bytes", "tables elsewhere"),
        ("/memory/page-tables/bytes", "leads to page tables"),
        ("/tasks/0/memory/0/bytes", "in plan.json, not in the tables"),
        ("/tasks/0/stack", "is not what it declares"),
        ("/smmus/0/stream-bits", "cannot be read"),
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
    for (_, leaf) in &built.addresses.leaves {
        let offset = built.offset(leaf.at);
        image[offset..][..8].copy_from_slice(&(leaf.descriptor ^ 1 << 50).to_le_bytes());
    }
    let Err(Failure::Message(message)) = verified(&image, &built.plan) else {
        panic!("an image of guarded pages passes");
    };
    assert_eq!(message.lines().count(), 1 + SHOWN + 1);
    assert!(message.ends_with("more"), "{message}");
}
