//! Two documents of one shape, leaf by leaf.

use std::collections::BTreeMap;

use serde_json::Value;

/// Keys whose values are known once programs are placed. Until then they are null, which is no difference.
pub const PLACED: [&str; 5] = ["address", "entry", "iova", "kernel", "memory"];

/// A line for each part that differs, in the order of the documents, but those whose path `skip` takes.
pub fn lines(old: &Value, new: &Value, skip: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk("", old, new, skip, &mut found);
    found
}

fn walk(
    path: &str,
    old: &Value,
    new: &Value,
    skip: &dyn Fn(&str) -> bool,
    found: &mut Vec<String>,
) {
    if old == new || skip(path) {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let dot = if path.is_empty() { "" } else { "." };
            let one: BTreeMap<String, &Value> = old.iter().map(|(k, v)| (k.clone(), v)).collect();
            let other = new.iter().map(|(k, v)| (k.clone(), v)).collect();
            let path = |key: &str| format!("{path}{dot}{key}");
            members(&one, &other, &path, skip, found);
        }
        (Value::Array(old), Value::Array(new)) if !scalars(old) || !scalars(new) => {
            let path = |key: &str| format!("{path}[{key}]");
            members(&rows(old), &rows(new), &path, skip, found);
        }
        (Value::Array(old), Value::Array(new)) if !is_ordered(path) && same_items(old, new) => {}
        _ => found.push(format!("{path}: {} becomes {}", shown(old), shown(new))),
    }
}

/// Lists whose order means something: a task's notifications are numbered by it, and buses and slots have a first and a last.
const ORDERED: [&str; 3] = ["notifications", "buses-below", "root-slots"];

fn is_ordered(path: &str) -> bool {
    let key = path.rsplit('.').next().unwrap_or(path);
    ORDERED.contains(&key)
}

fn same_items(old: &[Value], new: &[Value]) -> bool {
    let sorted = |list: &[Value]| {
        let mut items: Vec<String> = list.iter().map(shown).collect();
        items.sort();
        items
    };
    sorted(old) == sorted(new)
}

fn members(
    old: &BTreeMap<String, &Value>,
    new: &BTreeMap<String, &Value>,
    path: &dyn Fn(&str) -> String,
    skip: &dyn Fn(&str) -> bool,
    found: &mut Vec<String>,
) {
    for (key, old) in old {
        match new.get(key) {
            Some(new) if PLACED.contains(&key.as_str()) && (old.is_null() || new.is_null()) => {}
            Some(new) => walk(&path(key), old, new, skip, found),
            None if skip(&path(key)) => {}
            None => found.push(format!("{} is gone: {}", path(key), shown(old))),
        }
    }
    for (key, new) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        if !skip(&path(key)) {
            found.push(format!("{} is new: {}", path(key), shown(new)));
        }
    }
}

fn scalars(list: &[Value]) -> bool {
    list.iter()
        .all(|item| !item.is_object() && !item.is_array())
}

/// Rows by what they are of, so that one more changes nothing of the others; those that are of the same are counted.
fn rows(list: &[Value]) -> BTreeMap<String, &Value> {
    const NAMES: [&str; 10] = [
        "name", "bar", "intid", "kind", "from", "to", "task", "pool", "device", "access",
    ];
    let mut rows = BTreeMap::new();
    for row in list {
        let parts = NAMES.iter().filter_map(|name| row.get(name));
        let mut key: Vec<String> = parts.map(plain).collect();
        if let Some(name) = row.get("name") {
            key = vec![plain(name)];
        }
        if let (true, Some(devices)) = (key.is_empty(), row.get("devices")) {
            key.push(plain(devices));
        }
        let key = key.join(" ");
        let mut numbered = key.clone();
        let mut count = 1;
        while key.is_empty() && count == 1 || rows.contains_key(&numbered) {
            count += 1;
            numbered = format!("{key} {count}").trim().to_owned();
        }
        rows.insert(numbered, row);
    }
    rows
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn shown(value: &Value) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_compared_by_what_they_are_of() {
        let old = json!({"functions": [{"name": "a", "bytes": 1}, {"name": "b", "bytes": 2}]});
        let new = json!({"functions": [{"name": "b", "bytes": 3}], "mode": "strict"});
        assert_eq!(
            lines(&old, &new, &|_| false),
            [
                "functions[a] is gone: {\"bytes\":1,\"name\":\"a\"}",
                "functions[b].bytes: 2 becomes 3",
                "mode is new: \"strict\""
            ]
        );
        assert_eq!(lines(&old, &old, &|_| false), [""; 0]);
    }

    #[test]
    fn order_is_a_difference_where_it_means_something() {
        let old =
            json!({"tasks": [{"name": "a", "calls": ["b", "c"], "notifications": ["d", "e"]}]});
        let new =
            json!({"tasks": [{"name": "a", "calls": ["c", "b"], "notifications": ["e", "d"]}]});
        assert_eq!(
            lines(&old, &new, &|_| false),
            ["tasks[a].notifications: [\"d\",\"e\"] becomes [\"e\",\"d\"]"]
        );
        let twice = json!({"tasks": [{"name": "a", "calls": ["c", "b", "b"], "notifications": ["d", "e"]}]});
        assert_eq!(lines(&old, &twice, &|_| false).len(), 1);
    }

    #[test]
    fn what_is_not_placed_yet_is_no_difference() {
        let built = json!({"pools": [{"name": "a", "address": "0x1000"}], "memory": {"end": 1}});
        let planned = json!({"pools": [{"name": "a", "address": null}], "memory": null});
        assert_eq!(lines(&built, &planned, &|_| false), [""; 0]);
        let moved = json!({"pools": [{"name": "a", "address": "0x2000"}], "memory": null});
        assert_eq!(
            lines(&built, &moved, &|_| false),
            ["pools[a].address: \"0x1000\" becomes \"0x2000\""]
        );
    }
}
