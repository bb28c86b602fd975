//! The packages that dpkg knows to be installed, less one family of packages. From these apt judges what
//! another version of that family needs, whichever of it is installed and whatever it would break.

use std::collections::BTreeSet;

/// A paragraph of dpkg's status file.
struct Package<'a> {
    text: &'a str,
    name: &'a str,
    /// Whether it is installed, rather than only its settings left behind.
    present: bool,
}

impl<'a> Package<'a> {
    fn read(text: &'a str) -> Self {
        Self {
            text,
            name: field(text, "Package").unwrap_or_default(),
            present: field(text, "Status").is_none_or(|status| status.ends_with(" installed")),
        }
    }

    /// The package's name, and the names that it stands for.
    fn names(&self) -> impl Iterator<Item = &'a str> {
        let further = field(self.text, "Provides").unwrap_or_default();
        let further = further.split(',').map(bare);
        std::iter::once(self.name).chain(further.filter(|name| !name.is_empty()))
    }

    /// The package's needs: each is a choice of names.
    fn needs(&self) -> impl Iterator<Item = Vec<&'a str>> {
        let lists = ["Depends", "Pre-Depends"].map(|key| field(self.text, key).unwrap_or_default());
        let choices = lists.into_iter().flat_map(|list| list.split(','));
        choices.map(|choice| choice.split('|').map(bare).collect())
    }
}

/// A field of one line.
fn field<'a>(paragraph: &'a str, key: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(key)?.strip_prefix(':');
    paragraph.lines().find_map(value).map(str::trim)
}

/// A name without its version and its architecture.
fn bare(name: &str) -> &str {
    let mut parts = name.trim_start().split([':', '(', ' ']);
    parts.next().unwrap_or_default()
}

/// The status file without the packages of `family` (that name, and names that begin with it and a hyphen), and
/// without packages that would then lack something. apt does nothing as long as an installed package lacks what
/// it needs.
pub fn without(status: &str, family: &str) -> String {
    let paragraphs = status.split("\n\n").map(|text| text.trim_matches('\n'));
    let mut kept: Vec<Package<'_>> = paragraphs
        .filter(|text| !text.is_empty())
        .map(Package::read)
        .collect();
    let names = |packages: &[Package<'_>]| -> BTreeSet<String> {
        let present = packages.iter().filter(|package| package.present);
        present
            .flat_map(Package::names)
            .map(str::to_owned)
            .collect()
    };
    let before = names(&kept);
    kept.retain(|package| {
        let rest = package.name.strip_prefix(family);
        rest.is_none_or(|rest| !(rest.is_empty() || rest.starts_with('-')))
    });
    loop {
        let (count, now) = (kept.len(), names(&kept));
        // What was lacking before is none of this function's business.
        let lost = |choice: &Vec<&str>| {
            choice.iter().any(|name| before.contains(*name))
                && !choice.iter().any(|name| now.contains(*name))
        };
        kept.retain(|package| !package.needs().any(|choice| lost(&choice)));
        if kept.len() == count {
            let texts = kept.iter().map(|package| format!("{}\n\n", package.text));
            return texts.collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, more: &str) -> String {
        format!("Package: {name}\nStatus: install ok installed\nVersion: 1\n{more}\n")
    }

    fn left(packages: &[String]) -> Vec<String> {
        let status = packages.join("\n");
        let less = without(&status, "qemu");
        let names = less
            .lines()
            .filter_map(|line| line.strip_prefix("Package: "));
        names.map(str::to_owned).collect()
    }

    #[test]
    fn the_family_and_who_needs_it_are_gone() {
        let packages = [
            package("libc6", ""),
            package("qemu", ""),
            package(
                "qemu-utils",
                "Depends: libc6 (>= 2.34)\nProvides: qemu-img (= 1), images",
            ),
            package("qemulator", "Depends: libc6"),
            package("manager", "Depends: libc6, qemu-img (>= 1)"),
            package("viewer", "Pre-Depends: manager:any"),
            package("backup", "Depends: qemu-utils:any | libc6"),
            package("lister", "Depends: images | nothing"),
            package("broken", "Depends: never-there"),
            package(
                "friend",
                "Recommends: qemu-utils\nDescription: a line\n Package: of text",
            ),
        ];
        assert_eq!(
            left(&packages),
            ["libc6", "qemulator", "backup", "broken", "friend"]
        );
    }

    #[test]
    fn settings_left_behind_are_not_what_somebody_needs() {
        let left_behind = "Package: other\nStatus: deinstall ok config-files\nProvides: images\n";
        let packages = [
            package("qemu-utils", "Provides: images"),
            left_behind.to_owned(),
            package("lister", "Depends: images"),
        ];
        assert_eq!(left(&packages), ["other"]);
    }

    #[test]
    fn paragraphs_stay_as_they_are() {
        let packages = [
            package("libc6", "Depends: a,\n b"),
            package("qemu-utils", ""),
        ];
        assert_eq!(
            without(&packages.join("\n"), "qemu"),
            format!("{}\n", packages[0])
        );
        assert_eq!(without("", "qemu"), "");
    }
}
