//! Tests that are no cases of a suite: `tests/coverage.toml`.
//!
//! ```toml
//! [host."sys/kern/src"]                 # folder of the source
//! "IPC-REG-7" = ["the_first_register_file_is_empty"]
//! [image]
//! "IPC-DEATH-6" = ["supervisor-crash"]
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use super::table::Test;

type Names = BTreeMap<String, Vec<String>>;

/// The file's content: tests by requirement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    #[serde(default)]
    host: BTreeMap<String, Names>,
    #[serde(default)]
    image: Names,
}

impl Elsewhere {
    /// Reads the file; the error is a sentence with its place.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml_edit::de::from_str(text).map_err(|error| error.to_string())
    }

    /// Names of host tests, by the folder they are in.
    pub fn functions(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.host.iter().map(|(folder, names)| {
            let names = names.values().flatten().map(String::as_str).collect();
            (folder.as_str(), names)
        })
    }

    /// Names of images.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.image.values().flatten().map(String::as_str)
    }

    /// All tests that the file names.
    pub fn tests(&self) -> Vec<Test> {
        let mut tests = Vec::new();
        let host = self.host.iter().map(|(folder, names)| {
            let package = folder.strip_suffix("/src").unwrap_or(folder);
            (format!("host {package}::"), names)
        });
        for (place, names) in host.chain([("image ".to_owned(), &self.image)]) {
            for (number, names) in names {
                for name in names {
                    tests.push(Test::new(format!("{place}{name}"), [number.as_str()]));
                }
            }
        }
        tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file() {
        let text =
            "[host.\"a/src\"]\n\"X-Y-1\" = [\"f\", \"g\"]\n[image]\n\"X-Y-2\" = [\"crash\"]\n";
        let read = Elsewhere::parse(text).unwrap();
        let functions: Vec<_> = read.functions().collect();
        assert_eq!(functions, [("a/src", vec!["f", "g"])]);
        assert_eq!(read.images().collect::<Vec<_>>(), ["crash"]);
        let names: Vec<_> = read.tests().into_iter().map(|test| test.name).collect();
        assert_eq!(names, ["host a::f", "host a::g", "image crash"]);
        assert!(Elsewhere::parse("[hots]").is_err());
    }
}
