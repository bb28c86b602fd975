//! Which tests a filter means.

use planner::read::distance;

/// Most names that are suggested in place of one that nothing has.
const SUGGESTIONS: usize = 3;

/// Whether the filter selects a test of this name.
pub fn fits(filter: Option<&str>, name: &str) -> bool {
    filter.is_none_or(|filter| name.contains(filter))
}

/// The names that a filter without a match was probably meant to be, the most likely first. A part of a name is
/// taken for the whole as well: filters seldom repeat where a test is.
pub fn suggest<'a>(filter: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let tolerated = filter.len() / 3 + 1;
    let rate = |name: &'a str| {
        let parts = name.match_indices("::").map(|(at, _)| &name[at + 2..]);
        let nearest = std::iter::once(name)
            .chain(parts)
            .map(|part| distance(filter, part))
            .min()?;
        (nearest <= tolerated).then_some((nearest, name))
    };
    let mut rated: Vec<_> = names.into_iter().filter_map(rate).collect();
    rated.sort_unstable();
    rated.dedup();
    let best = rated.into_iter().take(SUGGESTIONS);
    best.map(|(_, name)| name).collect()
}

/// The sentence for a filter that fits nothing.
pub fn nothing_fits(filter: &str, suggestions: &[&str]) -> String {
    let hint = match suggestions {
        [] => "`cargo xtask test --list` shows all".to_owned(),
        names => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            format!("did you mean {}?", names.join(" or "))
        }
    };
    format!("no test has a name with `{filter}` in it; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = [
        "kernel::send-in-registers",
        "iommu::direct-owner-dies",
        "xtask::run::guest::tests::program_counters",
        "supervisor-crash",
    ];

    #[test]
    fn slips_are_recognised_in_any_part() {
        let first = |filter| suggest(filter, NAMES).first().copied();
        assert_eq!(first("kernel::send-in-registres"), Some(NAMES[0]));
        assert_eq!(first("direct-owner-dead"), Some(NAMES[1]));
        assert_eq!(first("program_counter s"), Some(NAMES[2]));
        assert_eq!(first("supervisor-crsh"), Some(NAMES[3]));
        assert_eq!(first("nosuchtest"), None);
    }

    #[test]
    fn what_is_said() {
        let nothing = nothing_fits("nosuchtest", &[]);
        assert!(nothing.contains("`nosuchtest`") && nothing.contains("--list"));
        let hint = nothing_fits("a", &["b", "c"]);
        assert!(hint.ends_with("did you mean `b` or `c`?"));
    }

    #[test]
    fn a_filter_is_a_part_of_the_name() {
        assert!(fits(None, NAMES[0]) && fits(Some("send"), NAMES[0]));
        assert!(!fits(Some("sent"), NAMES[0]));
    }
}
