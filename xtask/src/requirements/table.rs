//! Requirements beside the tests that name them.

use std::collections::BTreeMap;
use std::fmt;

use super::numbered::Requirement;

/// A test and the requirements it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    pub name: String,
    pub requirements: Vec<String>,
}

impl Test {
    /// A test.
    pub fn new<'a>(name: String, requirements: impl IntoIterator<Item = &'a str>) -> Self {
        let requirements = requirements.into_iter().map(str::to_owned).collect();
        Self { name, requirements }
    }
}

/// The whole table, in the order of the reference.
#[derive(Debug)]
pub struct Table {
    requirements: Vec<Requirement>,
    tests: BTreeMap<String, Vec<String>>,
    complaints: Vec<String>,
}

impl Table {
    /// Requirements without tests.
    pub fn new(requirements: Vec<Requirement>) -> Self {
        let mut table = Self {
            requirements: Vec::new(),
            tests: BTreeMap::new(),
            complaints: Vec::new(),
        };
        for requirement in requirements {
            let number = requirement.number.clone();
            if table.tests.insert(number.clone(), Vec::new()).is_some() {
                table.complain(format!("{number} is defined twice"));
            } else {
                table.requirements.push(requirement);
            }
        }
        table
    }

    /// Notes a test at each requirement it names.
    pub fn add(&mut self, test: &Test) {
        if test.requirements.is_empty() {
            self.complain(format!("{} names no requirement", test.name));
        }
        for number in &test.requirements {
            match self.tests.get_mut(number) {
                Some(tests) => tests.push(test.name.clone()),
                None => self.complain(format!("{}: {number} is not defined", test.name)),
            }
        }
    }

    /// Something that is wrong apart from missing tests.
    pub fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// Whether every requirement has a test, and nothing is wrong.
    pub fn is_complete(&self) -> bool {
        self.complaints.is_empty() && self.without().next().is_none()
    }

    /// The missing and wrong rows, and the counts.
    pub fn summary(&self) -> String {
        let without = self
            .without()
            .map(|requirement| format!("NO CASE {}  {}\n", requirement.number, requirement.text));
        let wrong = self.complaints.iter().map(|what| format!("WRONG {what}\n"));
        let all = self.requirements.len();
        let count = self.without().count();
        let end = format!("{all} requirements, {count} without a case\n");
        without.chain(wrong).chain([end]).collect()
    }

    fn without(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements
            .iter()
            .filter(|requirement| self.of(requirement).is_empty())
    }

    fn of(&self, requirement: &Requirement) -> &[String] {
        self.tests
            .get(&requirement.number)
            .map_or(&[], Vec::as_slice)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for requirement in &self.requirements {
            writeln!(out, "{}  {}", requirement.number, requirement.text)?;
            for test in self.of(requirement) {
                writeln!(out, "    {test}")?;
            }
        }
        out.write_str(&self.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let requirement = |number: &str| Requirement {
            number: number.to_owned(),
            text: "It MUST.".to_owned(),
        };
        Table::new(vec![requirement("X-A-1"), requirement("X-A-2")])
    }

    #[test]
    fn complete_only_if_each_has_a_test() {
        let mut table = table();
        table.add(&Test::new("one".to_owned(), ["X-A-1"]));
        assert!(!table.is_complete());
        assert!(table.to_string().contains("NO CASE X-A-2"));
        table.add(&Test::new("two".to_owned(), ["X-A-1", "X-A-2"]));
        assert!(table.is_complete());
        assert!(table.to_string().contains("    one\n    two\n"));
    }

    #[test]
    fn what_is_not_defined_or_defined_twice_is_wrong() {
        let mut undefined = table();
        undefined.add(&Test::new("all".to_owned(), ["X-A-1", "X-A-2", "X-A-3"]));
        assert!(!undefined.is_complete());
        let mut twice = table();
        twice.add(&Test::new("nothing".to_owned(), []));
        assert!(
            twice
                .to_string()
                .contains("WRONG nothing names no requirement")
        );
        let again = Requirement {
            number: "X-A-1".to_owned(),
            text: String::new(),
        };
        let table = Table::new(vec![again.clone(), again]);
        assert!(table.to_string().contains("X-A-1 is defined twice"));
    }
}
