//! The digest that the guest logs, against the one of the file.

use super::decode::Line;
use planner::failure::{Failure, Outcome};

/// Name of the task whose word counts.
const TASK: &str = "digest";

/// Remembers what the digest task logged: `sha256 <hex> over <n> bytes`.
#[derive(Debug, Default)]
pub struct DigestWatch {
    seen: Option<(String, u64)>,
}

impl DigestWatch {
    pub fn see(&mut self, line: &Line) {
        if line.task.as_deref() != Some(TASK) {
            return;
        }
        if let Some(found) = parse(&line.text) {
            self.seen = Some(found);
        }
    }

    /// Fails unless the guest's digest is that of the file; says that it agrees.
    pub fn compare(self, expected: (String, u64)) -> Outcome<String> {
        match self.seen {
            None => Err(Failure::new(
                "the guest passed, but logged no digest of the disk",
            )),
            Some(seen) if seen == expected => Ok(format!(
                "digest agrees with the file: sha256 {} over {} bytes",
                expected.0, expected.1
            )),
            Some(seen) => Err(Failure::new(format!(
                "the digest differs\n  guest {} over {} bytes\n  file  {} over {} bytes",
                seen.0, seen.1, expected.0, expected.1
            ))),
        }
    }
}

fn parse(text: &str) -> Option<(String, u64)> {
    let rest = text.split_once("sha256 ")?.1;
    let mut words = rest.split_whitespace();
    let hex = words.next().filter(|hex| hex.len() == 64)?;
    let bytes = words.nth(1)?.parse().ok()?;
    Some((hex.to_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn line() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(
            parse(&format!("sha256 {hex} over 512 bytes")),
            Some((hex, 512))
        );
        assert_eq!(parse("sha256 12 over 512 bytes"), None);
    }
}
