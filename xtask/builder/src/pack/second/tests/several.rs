//! Faults of an image with two SMMUs: what belongs to one must not pass for the other's.

use serde_json::{Value, json as value};

use super::*;

const TWO: &str = "tests/systems/two-smmus/app.toml";

#[test]
fn faults_behind_the_second_smmu_are_found() {
    let built = built(TWO);
    let entries = built.addresses.entries.iter();
    let second: Vec<_> = entries.filter(|entry| entry.smmu == 1).collect();
    let entry = second.iter().find(|entry| entry.stream == 0x2100).unwrap();
    found(&built.with(entry.at, |_| 0b1001), "untranslated");
    let [first_table, second_table] = built.addresses.stream_tables[..] else {
        panic!("one stream table each");
    };
    let whole = built.word(first_table);
    assert_ne!(whole, 0);
    found(
        &built.with(second_table + 0x21 * 8, |_| whole),
        "outside of the tables' memory",
    );
    let [(_, first), (_, context)] = built.addresses.contexts[..] else {
        panic!("one domain each");
    };
    let other = built.word(first + 8);
    found(
        &built.with(context + 8, |_| other),
        "told of another root table",
    );
    found(
        &built.with(context + 8, |_| other),
        "outside of the SMMU's memory",
    );
}

#[test]
fn the_server_is_told_which_smmu_is_whose() {
    let built = built(TWO);
    let record = |kind, number| built.record(built.addresses.server_plan, kind, number);
    let high = |word: u64| word ^ 1 << 32;
    for (at, words) in [
        // Domain 1 and the last stream are of the second SMMU.
        (record(0x401, 0), "told of kind, SMMU"),
        (record(0x401, 1), "told of kind, SMMU"),
        (record(0x402, 0), "is told of the stream"),
    ] {
        found(&built.with(at, high), words);
    }
    let place = built.word(record(0x400, 0) + 40);
    let other = built.with(record(0x400, 1) + 40, |_| place);
    found(&other, "tables elsewhere");
}

#[test]
fn a_plan_that_mixes_two_smmus_up_is_found_out() {
    let built = built(TWO);
    let plan: Value = serde_json::from_str(&built.plan).unwrap();
    let with = |path: &str, new: Value| {
        let mut other = plan.clone();
        *other.pointer_mut(path).unwrap() = new;
        let verified = verify::verify(&built.image, &other.to_string());
        verified.map_or_else(|error| error, |verified| verified.findings.join("\n"))
    };
    let functions = plan["functions"].as_array().unwrap();
    let edu1 = functions.iter().position(|of| of["name"] == "edu1");
    let place = format!("/functions/{}/smmu", edu1.unwrap());
    found(&with(&place, value!("smmu")), "is behind another SMMU");
    found(&with(&place, Value::Null), "is told of the stream");
    found(&with("/domains/1/smmu", value!("smmu")), "told of kind");
    found(&with("/domains/1/smmu", value!("none")), "has no such SMMU");
    let tables = plan["smmus"][0]["tables"].clone();
    found(&with("/smmus/1/tables", tables), "are the same memory");
}
