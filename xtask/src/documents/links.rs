//! Links between pages.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Page, lines};

/// Links of a page that lead nowhere. Links to other hosts are not followed.
pub fn complaints(root: &Path, page: &Page) -> Vec<String> {
    let text = &page.text;
    let folder = page.place.parent().unwrap_or(Path::new(""));
    let mut wrong = Vec::new();
    for target in targets(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = root.join(folder).join(file);
        if !file.is_empty() && !path.exists() {
            wrong.push(format!("nothing is at `{target}`"));
        } else if !heading.is_empty() {
            let other = (!file.is_empty()).then(|| std::fs::read_to_string(&path).unwrap());
            let known = headings(other.as_deref().unwrap_or(text));
            if !known.iter().any(|known| known == heading) {
                wrong.push(format!("no heading is at `{target}`"));
            }
        }
    }
    wrong
}

/// The targets of the links in a text.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (_, line) in lines(text).iter().filter(|(within, _)| within.is_none()) {
        let mut parts = line.split("](");
        parts.next();
        found.extend(parts.filter_map(|part| Some(part.split_once(')')?.0)));
    }
    found
}

/// The names that GitHub gives to the headings of a page.
fn headings(text: &str) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut found = Vec::new();
    for (_, line) in lines(text).iter().filter(|(within, _)| within.is_none()) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let name: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect();
        let count = seen.entry(name.clone()).or_insert(0);
        found.push(match *count {
            0 => name,
            count => format!("{name}-{count}"),
        });
        *count += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_dead_links() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir(root.join("docs")).unwrap();
        std::fs::write(
            root.join("docs/other.md"),
            "# Some `word`, and 2\n## A\n## A\n",
        )
        .unwrap();
        let text = "# Top\n[a](other.md) [b](other.md#some-word-and-2) [c](#top) [d](other.md#a-1)\n\
            [e](https://example.org/x) [f](gone.md), [g](other.md#a-2) and [h](#low).\n```\n[i](code.md)\n```\n";
        let page = Page {
            place: "docs/page.md".into(),
            text: text.to_owned(),
        };
        assert_eq!(
            complaints(root, &page),
            [
                "nothing is at `gone.md`",
                "no heading is at `other.md#a-2`",
                "no heading is at `#low`"
            ]
        );
    }
}
