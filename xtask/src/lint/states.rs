//! What says what state something is in is written in its own module only: its fields are private, so that the
//! compiler holds it.

use std::path::Path;

use planner::failure::{Failure, Outcome};
use syn::{Item, Visibility};

use super::sources;

/// The types that hold states, and fields of theirs that are no state.
const STATES: [(&str, &str, &[&str]); 2] = [
    ("task/iommu/src/life.rs", "Life", &[]),
    // Whatever a task's registers hold is as good as anything else.
    ("sys/kern/src/task.rs", "Task", &["frame"]),
];

/// Fails if a field of one of these types can be written from outside.
pub fn states(root: &Path) -> Outcome<()> {
    let files = sources::below(root)?;
    let of_all = STATES.iter().flat_map(|(file, name, no_state)| {
        let text = files.iter().find(|(of, _)| of == Path::new(file));
        match text {
            Some((_, text)) => open(file, text, name, no_state),
            None => vec![format!("{file} is gone")],
        }
    });
    let wrong: Vec<String> = of_all.collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "states can be written from outside (the list is in xtask/src/lint/states.rs):\n  {}",
        wrong.join("\n  ")
    )))
}

/// What is wrong with one type.
fn open(file: &str, text: &str, name: &str, no_state: &[&str]) -> Vec<String> {
    let parsed = match syn::parse_file(text) {
        Ok(parsed) => parsed,
        Err(why) => return vec![format!("{file}: {why}")],
    };
    let mut structs = parsed.items.into_iter().filter_map(|item| match item {
        Item::Struct(item) if item.ident == name => Some(item),
        _ => None,
    });
    let Some(of_name) = structs.next() else {
        return vec![format!("{file} has no struct `{name}`")];
    };
    let fields = of_name.fields.into_iter();
    let is_open = |field: &syn::Field| !matches!(field.vis, Visibility::Inherited);
    fields
        .filter(is_open)
        .map(|field| {
            field
                .ident
                .map_or("0".to_owned(), |ident| ident.to_string())
        })
        .filter(|field| !no_state.contains(&field.as_str()))
        .map(|field| format!("{file}: `{name}::{field}` is not private"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_others_can_write_is_told() {
        let text = "pub struct Other { pub a: u8 }\n/// A life.\npub struct Life {\n    state: u8,\n    \
                    pub(crate) open: bool,\n    pub(super) quiet: bool,\n    pub frame: u8,\n}\n";
        let said = open("life.rs", text, "Life", &["frame"]);
        assert_eq!(
            said,
            [
                "life.rs: `Life::open` is not private",
                "life.rs: `Life::quiet` is not private"
            ]
        );
        assert_eq!(
            open("life.rs", text, "Death", &[]),
            ["life.rs has no struct `Death`"]
        );
        assert_eq!(open("life.rs", "struct A(pub u8);", "A", &[]).len(), 1);
        assert_eq!(open("life.rs", "struct A(u8);", "A", &[]), [""; 0]);
    }

    #[test]
    fn the_states_of_the_house_are_closed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(states(&root).is_ok());
    }
}
