//! Faults in the tasks' and the kernel's tables and plans, and in the header.

use super::*;

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
    let kernel = built.leaf("kernel", |leaf| leaf.input == 0xffff_ff80_0000_0000);
    let steal = |word: u64, page: u64| word & !0xffff_ffff_f000 | page;
    found(
        &built.with(data.at, |word| steal(word, kernel.output)),
        "leads to memory of the kernel",
    );
    let tables = built.addresses.contexts[0].1 & !0xfff;
    found(
        &built.with(data.at, |word| steal(word, tables)),
        "leads to the tables of an SMMU",
    );
    // The page behind a program is left free.
    found(
        &built.with(data.at + 4 * 8, |_| built.word(data.at)),
        "in the tables, not in plan.json",
    );
    let kernels = built.leaf("kernel", |leaf| leaf.input == 0xffff_ff80_0000_8000);
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
    let task = |number| built.record(built.addresses.kernel_plan, 0x101, number);
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
    let region = built.record(built.addresses.kernel_plan, 0x102, 9);
    found(
        &built.with(region + 8, |word| word + 0x1000),
        "the kernel takes",
    );
    found(
        &built.with(region + 16, |word| word + 0x10_0000),
        "the kernel takes",
    );
    let account = built.record(built.addresses.kernel_plan, 0x107, 0);
    for word in [account, account + 8] {
        found(&built.with(word, |time| time + 1), "its accounts have");
    }
    found(
        &built.with(task(4) + 104, |word| word ^ 1 << 32),
        "its account is",
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
    let len = built.word(built.addresses.kernel_plan + 8);
    let silent = built.unnoticed(built.addresses.kernel_plan, len, 1);
    assert!(silent.is_empty(), "{silent:x?}");
}

/// The first two words are the branch to the first instruction, which is a program's.
#[test]
fn every_bit_of_the_header_counts() {
    let built = built("app.toml");
    let silent = built.unnoticed(built.base() + 8, 208, 1);
    assert!(silent.is_empty(), "{silent:x?}");
}

/// What becomes of whom at a task's death, and whose reports end a run. Dependants, a unit of tasks that restart together,
/// a verdict and an authority are all in this system.
#[test]
fn every_bit_of_what_the_supervisor_is_told_counts() {
    let built = built(SUITE);
    let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
    let some = |key: &str| {
        let mut tasks = plan["tasks"].as_array().unwrap().iter();
        tasks.any(|task| task[key].as_array().is_some_and(|list| !list.is_empty()))
    };
    assert!(some("depends-on") && some("together"));
    let place = built.addresses.supervisor_plan;
    let start = built.record(place, 0x206, 0);
    // The reasons for domains, which are texts for the log, come next.
    let end = built.record(place, 0x207, 0);
    assert!(built.record(place, 0x001, 0) < end);
    let silent = built.unnoticed(start, end - start, 1);
    assert!(silent.is_empty(), "{silent:x?}");
}

/// ACS, bus numbers, windows, BARs and recipes are programmed by these numbers.
#[test]
fn every_bit_of_what_the_pci_task_is_told_counts() {
    let built = built("app.toml");
    let start = built.record(built.addresses.pci_plan, 0x300, 0);
    let end = built.addresses.pci_plan + built.word(built.addresses.pci_plan + 8);
    let silent = built.unnoticed(start, end - start, 1);
    assert!(silent.is_empty(), "{silent:x?}");
}

/// Whom a task may call, its bits, its memory, its devices and its parameters are what it believes of itself.
#[test]
fn faults_in_what_a_task_is_told_of_itself_are_found() {
    let built = built(SUITE);
    let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
    let tasks = plan["tasks"].as_array().unwrap();
    let place = |name: &str| {
        let index = tasks.iter().position(|task| task["name"] == name).unwrap();
        built.addresses.task_plans[index]
    };
    let direct = place("direct");
    for (kind, offset, words) in [
        (0x200, 24, "it is told of itself"),
        (0x201, 24, "it is told of the tasks"),
        (0x202, 24, "it is told of the bits"),
        (0x203, 24, "it is told of the memory"),
        (0x203, 48, "it is told of the memory"),
        (0x204, 24, "it is told of its devices"),
        (0x204, 40, "it is told of its devices"),
        (0x205, 0, "it is told of the parameters"),
        (0x205, 24, "it is told of the parameters"),
    ] {
        let at = built.record(direct, kind, 0) + offset;
        found(&built.with(at, |word| word ^ 1 << 3), words);
    }
    let reason = built.record(place("pci"), 0x207, 1) + 56;
    found(
        &built.with(reason, |word| word ^ 1),
        "it can say of devices",
    );
}

/// Every seventh word, which has no factor in common with a record, of every task.
#[test]
fn every_bit_of_what_a_task_is_told_of_itself_counts() {
    let built = built("app.toml");
    for &place in &built.addresses.task_plans {
        let silent = built.unnoticed(place, built.word(place + 8), 7);
        assert!(silent.is_empty(), "{silent:x?}");
    }
}
