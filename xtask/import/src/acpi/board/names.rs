//! Names in a description.

use std::collections::BTreeSet;

/// Letters that a name can have.
const NAME: usize = 24;

/// `pci`, `pci1` and so on.
pub fn numbered(name: &str, number: usize) -> String {
    if number == 0 {
        name.to_owned()
    } else {
        format!("{name}{number}")
    }
}

/// The last part of a path in the namespace, without the underscores that fill it up.
pub fn of_path(path: &str) -> String {
    let last = path.rsplit(['.', '\\']).next().unwrap_or_default();
    let plain: String = last
        .trim_end_matches('_')
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let plain = plain.trim_matches('-');
    let plain = plain.get(..NAME).unwrap_or(plain).trim_end_matches('-');
    if plain.is_empty() {
        "component".to_owned()
    } else {
        plain.to_owned()
    }
}

/// The name, or one like it that nobody has.
pub fn unique(name: String, taken: &mut BTreeSet<String>) -> String {
    let mut own = name.clone();
    let mut number = 1;
    while !taken.insert(own.clone()) {
        number += 1;
        let end = format!("-{number}");
        let room = name.len().min(NAME.saturating_sub(end.len()));
        own = format!("{}{end}", name.get(..room).unwrap_or_default());
    }
    own
}
