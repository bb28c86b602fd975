//! Faults in what the SMMU reads, and in what its server is told.

use super::*;

/// The server opens, maps and answers by these numbers.
#[test]
fn every_bit_of_what_the_iommu_server_is_told_counts() {
    let built = built("app.toml");
    let start = built.record(built.addresses.server_plan, 0x400, 0);
    let end = built.addresses.server_plan + built.word(built.addresses.server_plan + 8);
    let silent = built.unnoticed(start, end - start, 1);
    assert!(silent.is_empty(), "{silent:x?}");
}

/// Streams, context descriptors, tables, queues, and what lies between.
#[test]
fn every_bit_of_the_smmus_memory_counts() {
    let built = built("app.toml");
    for at in [
        built.addresses.stream_tables[0],
        built.addresses.contexts[0].1,
        built.addresses.entries[7].at,
    ] {
        let silent = built.unnoticed(at, 64, 1);
        assert!(silent.is_empty(), "{silent:x?}");
    }
    let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
    let len = plan["smmus"][0]["tables"]["bytes"].as_u64().unwrap();
    let start = built.word(built.record(built.addresses.server_plan, 0x400, 0) + 40);
    let silent = built.unnoticed(start, len, 101);
    assert!(silent.is_empty(), "{silent:x?}");
}

#[test]
fn faults_in_the_stream_table_are_found() {
    let built = built(SUITE);
    let entries = &built.addresses.entries;
    let entry = |stream: u32| {
        entries
            .iter()
            .find(|entry| entry.stream == stream)
            .unwrap()
            .at
    };
    let direct = entries
        .iter()
        .find(|entry| built.word(entry.at) != 1)
        .unwrap();
    // Stream 8 is a bridge's, 9 nobody's, 0x100 a disk's.
    let context = built.addresses.contexts[0].1;
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
        &built.with(direct.at, |_| 1),
        "does not translate from the start",
    );
    found(
        &built.with(direct.at, |_| context | 0b1011),
        "translates by another table",
    );
    let level1 = built.addresses.stream_tables[0];
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
    let contexts = &built.addresses.contexts;
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
    let domain = built.record(built.addresses.server_plan, 0x401, 1);
    let smmu = built.word(built.record(built.addresses.server_plan, 0x400, 0) + 40);
    let leaf = smmu + built.word(domain + 32);
    let own = built.leaf(&format!("domain {} of smmu", direct_asid(&built)), |_| true);
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

/// The bounds of a lazy domain, one by one, and that a strict one has none.
#[test]
fn faults_in_the_bounds_of_a_lazy_domain_are_found() {
    let built = built(SUITE);
    let domain = |number| built.record(built.addresses.server_plan, 0x401, number);
    let (mut lazy, mut strict) = (0, 0);
    let plan: serde_json::Value = serde_json::from_str(&built.plan).unwrap();
    for number in 0..plan["domains"].as_array().unwrap().len() as u64 {
        let at = domain(number);
        let is_lazy = built.word(at + 8) >> 32 == 1;
        if is_lazy {
            lazy += 1;
            let bounds = built.word(at + 80) >> 32;
            assert_eq!(bounds, 500 << 16 | 8, "as the suite's file says");
        } else {
            strict += 1;
        }
        for bit in [32, 48] {
            let words = "unmapped pages wait";
            found(&built.with(at + 80, |word| word ^ 1 << bit), words);
        }
        found(&built.with(at + 8, |word| word ^ 1 << 32), "invalidation");
    }
    assert!(lazy == 1 && strict > 1, "{lazy} {strict}");
}

#[test]
fn faults_in_the_servers_plan_are_found() {
    let built = built(SUITE);
    let record = |kind, number| built.record(built.addresses.server_plan, kind, number);
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
        (record(0x405, 0) + 24, "is premapped"),
    ] {
        found(&built.with(at, |word| word ^ 1), words);
    }
}
