//! The IORT in the shape of the answers.

use import::acpi::{Access, Head, Iort, Mapping, Note, Path, Requester, Rmr, SmmuV3, Target, Way};
use serde_json::{Map, Value, json};

use super::hex;

/// A node with its own fields.
fn node(iort: &Iort, head: &Head, fields: Value) -> Value {
    let mut node = json!({ "offset": hex(head.offset as u64), "node_revision": head.revision });
    if head.identifier != 0 {
        node["identifier"] = json!(head.identifier);
    }
    let mappings: Vec<Value> = (0..)
        .zip(&head.mappings)
        .map(|m| mapping(iort, m))
        .collect();
    node["mappings"] = json!(mappings);
    let (Value::Object(node), Value::Object(fields)) = (&mut node, fields) else {
        unreachable!()
    };
    node.extend(fields);
    Value::Object(node.clone())
}

fn target(target: Option<Target>) -> String {
    match target.expect("a mapping of an accepted table has a target") {
        Target::ItsGroup(index) => format!("its_group {index}"),
        Target::SmmuV3(index) => format!("smmu_v3 {index}"),
        Target::OldSmmu(index) => format!("smmu_v1_v2 {index}"),
    }
}

fn mapping(_: &Iort, (index, found): (usize, &Mapping)) -> Value {
    let mut shown = json!({
        "index": index,
        "input_base": hex(found.input_base),
        "id_count_field": found.count_field,
        "output_base": hex(found.output_base),
        "output_reference": hex(found.reference),
        "single": found.single,
        "ids": found.ids,
        "target": target(found.target),
    });
    match found.note {
        Some(Note::PlainCount) => shown["note"] = json!("the field is a plain count here"),
        Some(Note::LastIsFirstOf(other)) => {
            let last = u64::from(found.input_base) + found.ids;
            shown["note"] = json!(format!(
                "last ID {last:#x} is the start of mapping {other}, which has it"
            ));
        }
        None => {}
    }
    shown
}

fn requester(iort: &Iort, requester: Requester) -> String {
    match requester {
        Requester::RootComplex(index) => {
            let segment = iort.root_complexes[index].segment;
            format!("root_complex {index} (segment {segment})")
        }
        Requester::NamedComponent(index) => {
            let path = &iort.named_components[index].path;
            format!("named_component {index} ({path})")
        }
        Requester::Rmr(index) => format!("rmr {index}"),
    }
}

fn flags(fields: &mut Value, access: Access) {
    fields["cca"] = json!(u8::from(access.coherent));
    fields["cpm"] = json!(u8::from(access.coherent_path));
    fields["dacs"] = json!(u8::from(access.cacheable));
}

fn smmu(iort: &Iort, (index, smmu): (usize, &SmmuV3)) -> Value {
    let wired = smmu.interrupts;
    let names = [
        ("event", wired.event),
        ("pri", wired.pri),
        ("gerr", wired.error),
        ("sync", wired.sync),
    ];
    let missing = names.iter().filter(|(_, gsiv)| *gsiv == 0);
    let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
    let uses = |path: &&Path| matches!(path.way, Way::Smmu { smmu, .. } if smmu == index);
    let mut users: Vec<Requester> = iort
        .paths
        .iter()
        .filter(uses)
        .map(|p| p.requester)
        .collect();
    users.sort_unstable();
    users.dedup();
    let users: Vec<String> = users
        .into_iter()
        .map(|user| requester(iort, user))
        .collect();
    let own = smmu.device_id_mapping.map(|index| {
        let mapping = &smmu.head.mappings[index];
        json!({
            "index": index,
            "device_id": hex(mapping.output_base),
            "target": target(mapping.target),
            "single": mapping.single,
        })
    });
    let mut fields = json!({
        "base": hex(smmu.base),
        "flags": hex(smmu.flags),
        "cohacc_override": smmu.coherent_override(),
        "httu_override": smmu.update_override(),
        "model": smmu.model,
        "model_name": smmu.model_name(),
        "vatos": hex(smmu.vatos),
        "interrupts": {
            "event": wired.event, "pri": wired.pri, "gerr": wired.error, "sync": wired.sync
        },
        "device_id_mapping_index_field": smmu.device_id_index,
        "device_id_mapping": own,
        "wired_missing": missing,
        "used_by": users,
    });
    if let Some(domain) = smmu.proximity_domain {
        fields["proximity_domain"] = json!(domain);
    }
    if smmu.device_id_index.is_some() {
        fields["device_id_valid_flag"] = json!(smmu.device_id_flag());
    }
    node(iort, &smmu.head, fields)
}

fn rmr(iort: &Iort, rmr: &Rmr) -> Value {
    let ranges = rmr.ranges.iter();
    let ranges: Vec<Value> = ranges
        .map(|range| json!({ "base": hex(range.base), "length": hex(range.len) }))
        .collect();
    let mut fields = json!({ "ranges": ranges });
    if let Some(flags) = rmr.flags {
        fields["flags"] = hex(flags);
        fields["remapping_permitted"] = json!(rmr.may_move());
        fields["access_privileged"] = json!(rmr.privileged());
        fields["access_attributes"] = json!(rmr.attributes());
    }
    node(iort, &rmr.head, fields)
}

fn path(iort: &Iort, path: &Path) -> Value {
    let mut shown = json!({
        "requester": requester(iort, path.requester),
        "mapping": path.mapping,
    });
    match path.ids {
        Some((first, last)) => {
            shown["id_first"] = hex(first);
            shown["id_last"] = hex(last);
        }
        None => shown["own_ids"] = Value::Null,
    }
    match &path.way {
        Way::Untranslated { group, devices } => {
            shown["smmu"] = Value::Null;
            shown["translated"] = json!(false);
            shown["device_id_first"] = hex(devices.0);
            shown["device_id_last"] = hex(devices.1);
            shown["its"] = json!(iort.its_groups[*group].ids);
        }
        Way::OldSmmu { smmu, streams } => {
            shown["smmu_v1_v2"] = json!(smmu);
            shown["stream_first"] = hex(streams.0);
            shown["stream_last"] = hex(streams.1);
        }
        Way::Smmu {
            smmu,
            streams,
            messages,
        } => {
            shown["smmu"] = json!(smmu);
            shown["stream_first"] = hex(streams.0);
            shown["stream_last"] = hex(streams.1);
            let messages = messages.iter().map(|part| {
                json!({
                    "stream_first": hex(part.streams.0),
                    "stream_last": hex(part.streams.1),
                    "device_id_first": hex(part.device),
                    "its": iort.its_groups[part.group].ids,
                    "target": format!("its_group {}", part.group),
                })
            });
            shown["msi"] = json!(messages.collect::<Vec<Value>>());
        }
    }
    shown
}

/// What a PMCG counts for, as the answers say it.
fn counted(iort: &Iort, reference: u32) -> Value {
    let at = |head: &Head| head.offset as u64 == u64::from(reference);
    let smmu = iort.smmus.iter().position(|smmu| at(&smmu.head));
    json!(smmu.map(|index| format!("smmu_v3 {index}")))
}

fn roots(iort: &Iort) -> Vec<Value> {
    let show = |root: &import::acpi::RootComplex| {
        let mut fields = json!({
            "segment": root.segment,
            "ats": root.ats,
            "address_bits": root.address_bits,
        });
        flags(&mut fields, root.access);
        if let Some(bits) = root.pasid_bits {
            fields["pasid_bits"] = json!(bits);
        }
        if let Some(flags) = root.flags {
            fields["flags"] = hex(flags);
        }
        node(iort, &root.head, fields)
    };
    iort.root_complexes.iter().map(show).collect()
}

fn components(iort: &Iort) -> Vec<Value> {
    let show = |component: &import::acpi::NamedComponent| {
        let mut fields = json!({
            "node_flags": hex(component.flags),
            "address_bits": component.address_bits,
            "path": component.path,
            "stall_supported": component.stalls(),
            "pasid_bits": component.pasid_bits(),
        });
        flags(&mut fields, component.access);
        node(iort, &component.head, fields)
    };
    iort.named_components.iter().map(show).collect()
}

pub fn show(iort: &Iort, all: &mut Map<String, Value>) {
    let mut add = |key: &str, values: Vec<Value>| {
        all.insert(key.into(), json!(values));
    };
    let groups = iort.its_groups.iter().map(|group| {
        let mut shown = node(iort, &group.head, json!({ "its_ids": group.ids }));
        // The answers leave it out, as a group leads nowhere.
        assert_eq!(shown["mappings"], json!([]));
        shown.as_object_mut().unwrap().remove("mappings");
        shown
    });
    add("its_groups", groups.collect());
    add(
        "smmus",
        iort.smmus
            .iter()
            .enumerate()
            .map(|s| smmu(iort, s))
            .collect(),
    );
    let old = iort.old_smmus.iter().map(|old| {
        let fields = json!({
            "base": hex(old.base),
            "span": hex(old.span),
            "model": old.model,
            "flags": hex(old.flags),
            "context_interrupts": old.context_interrupts,
        });
        node(iort, &old.head, fields)
    });
    add("smmu_v1_v2", old.collect());
    add("root_complexes", roots(iort));
    add("named_components", components(iort));
    add(
        "rmrs",
        iort.rmrs.iter().map(|found| rmr(iort, found)).collect(),
    );
    let pmcgs = iort.pmcgs.iter().map(|pmcg| {
        let mut fields = json!({
            "base": hex(pmcg.base),
            "overflow_gsiv": pmcg.overflow,
            "node_reference": hex(pmcg.node),
            "node": counted(iort, pmcg.node),
        });
        if let Some(page) = pmcg.second_page {
            fields["page1"] = hex(page);
        }
        node(iort, &pmcg.head, fields)
    });
    add("pmcgs", pmcgs.collect());
    add(
        "paths",
        iort.paths.iter().map(|found| path(iort, found)).collect(),
    );
}
