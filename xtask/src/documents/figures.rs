//! Figures: blocks of Mermaid, which GitHub and most readers of Markdown draw.
//!
//! Mermaid's own grammar is larger. The pages use a small part of it, and a line that is not in that part is a
//! mistake: it might be drawn wrongly, or not at all, and nobody would notice before a reader does.
//!
//! ```text
//! sequenceDiagram                     flowchart TB
//!     participant a as name               a["text"]
//!     a->>b: text                         subgraph a["text"]
//!     a-->>b: text                        end
//!     Note over a,b: text                 a --> b
//!                                         a -->|text| b
//! ```

use std::collections::BTreeSet;

use super::lines;

/// Mistakes in the figures of a page.
pub fn complaints(text: &str) -> Vec<String> {
    let mut figures: Vec<Vec<&str>> = Vec::new();
    let mut before = None;
    for (within, line) in lines(text) {
        if within == Some("mermaid") {
            if before != within || is_head(line) {
                figures.push(Vec::new());
            }
            figures.last_mut().unwrap().push(line.trim());
        }
        before = within;
    }
    figures.iter().flat_map(|figure| check(figure)).collect()
}

fn is_head(line: &str) -> bool {
    ["sequenceDiagram", "flowchart TB", "flowchart LR"].contains(&line)
}

fn check(figure: &[&str]) -> Vec<String> {
    let Some((head, lines)) = figure.split_first() else {
        return Vec::new();
    };
    let mut known = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut open = 0;
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let good = match *head {
            "sequenceDiagram" => message(line, &mut known),
            _ if is_head(head) => node(line, &mut known, &mut open),
            _ => None,
        };
        if good.is_none() {
            wrong.push(format!("a figure cannot be drawn: `{line}`"));
        }
    }
    if open != 0 || lines.is_empty() {
        wrong.push(format!("a figure is not complete: `{head}`"));
    }
    wrong
}

/// A line of a sequence, whose parties were declared before.
fn message<'a>(line: &'a str, known: &mut BTreeSet<&'a str>) -> Option<()> {
    if let Some(party) = line.strip_prefix("participant ") {
        let (name, shown) = party.split_once(" as ")?;
        return (is_name(name) && is_plain(shown) && known.insert(name)).then_some(());
    }
    let (parties, text) = line.split_once(": ")?;
    let parties: Vec<_> = match parties.strip_prefix("Note over ") {
        Some(parties) => parties.split(',').collect(),
        None => ["-->>", "->>"]
            .iter()
            .find_map(|arrow| parties.split_once(arrow))
            .map(|(from, to)| vec![from, to])?,
    };
    let declared = parties.iter().all(|party| known.contains(party));
    (declared && is_plain(text)).then_some(())
}

/// A line of a chart, whose nodes were declared before.
fn node<'a>(line: &'a str, known: &mut BTreeSet<&'a str>, open: &mut u32) -> Option<()> {
    if line == "end" {
        *open = open.checked_sub(1)?;
        return Some(());
    }
    let (from, to) = match line.split_once(" --> ") {
        Some(arrow) => arrow,
        None => match line.split_once(" -->|") {
            Some((from, to)) => {
                let (text, to) = to.split_once("| ")?;
                is_plain(text).then_some((from, to))?
            }
            None => {
                let group = line.strip_prefix("subgraph ");
                *open += u32::from(group.is_some());
                let (name, text) = group.unwrap_or(line).split_once("[\"")?;
                let text = text.strip_suffix("\"]")?;
                return (is_name(name) && is_plain(text) && known.insert(name)).then_some(());
            }
        },
    };
    (known.contains(from) && known.contains(to)).then_some(())
}

/// `end` ends a group for Mermaid, wherever it stands.
fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.all(|letter| letter.is_ascii_lowercase() || letter == '_') && text != "end"
}

/// Whether a text has nothing to which Mermaid or HTML gives a meaning, but for a line break.
fn is_plain(text: &str) -> bool {
    let text = text.replace("<br/>", " ");
    !text.trim().is_empty() && !text.contains(['"', ';', '#', '<', '>', '|', '{', '}', '[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_figures() {
        let text = "```mermaid\nsequenceDiagram\n    participant a as driver\n    participant b as server\n\
            \n    a->>b: map (2 pages)\n    b-->>a: IOVA\n    Note over a,b: later\n```\n\
            ```mermaid\nflowchart TB\n  a[\"x<br/>y\"]\n  subgraph g[\"all\"]\n  b[\"z\"]\n  end\n  a --> b\n  g -->|w| a\n```\n";
        assert_eq!(complaints(text), [""; 0]);
    }

    #[test]
    fn wrong_figures() {
        let head = "sequenceDiagram\nparticipant a as x\n";
        for line in [
            "a->>b: who is b",
            "a->>a no colon",
            "a->>a: ",
            "a->>a: x; y",
            "participant a as twice",
            "a to a: x",
        ] {
            let found = complaints(&format!("```mermaid\n{head}{line}\n```\n"));
            assert_eq!(
                found,
                [format!("a figure cannot be drawn: `{}`", line.trim())]
            );
        }
        let head = "flowchart LR\na[\"x\"]\n";
        for line in [
            "b",
            "a --> b",
            "a[\"again\"]",
            "end",
            "b[x]",
            "b[\"\"]",
            "end[\"x\"]",
        ] {
            let found = complaints(&format!("```mermaid\n{head}{line}\n```\n"));
            assert_eq!(found, [format!("a figure cannot be drawn: `{line}`")]);
        }
        for (figure, what) in [
            (
                "flowchart LR\nsubgraph g[\"x\"]",
                "not complete: `flowchart LR`",
            ),
            ("flowchart LR", "not complete: `flowchart LR`"),
            ("pie\na", "cannot be drawn: `a`"),
        ] {
            let found = complaints(&format!("```mermaid\n{figure}\n```\n"));
            assert!(found.iter().any(|found| found.contains(what)), "{found:?}");
        }
    }
}
