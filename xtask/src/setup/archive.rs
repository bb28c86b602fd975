//! Which Debian this is, and where packages of its suites come from.

use std::path::Path;
use std::process::Command;

use super::command::output;

/// The keys that sign Debian's archive, as its package of keys installs them.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The fields that are asked of every index that apt would fetch, in this order.
const FIELDS: &str = "$(CREATED_BY)|$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)|$(REPO_URI)";

/// Debian's name of the release that runs here; none on another system.
pub fn release() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    codename(&text).map(str::to_owned)
}

fn codename(release: &str) -> Option<&str> {
    let value = |key: &str| {
        let mut lines = release.lines();
        lines.find_map(|line| Some(line.strip_prefix(key)?.trim_matches('"')))
    };
    value("ID=").filter(|id| *id == "debian")?;
    value("VERSION_CODENAME=").filter(|name| !name.is_empty())
}

/// The sources from which apt can fetch `suite`, the best first, by the archives that the system's own sources
/// name. apt tells of sources only what it has lists of, and images of containers often come without: `update`
/// fetches them beside the system's and asks again.
pub fn sources(
    codename: &str,
    suite: &str,
    update: impl FnOnce(&[&str]) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    let question = ["indextargets", "--format", FIELDS];
    let mut targets = output(Command::new("apt-get").args(question))?;
    if repositories(&targets, codename).is_empty() {
        targets = update(&question)?;
    }
    let signed = Path::new(KEYS).is_file();
    let updates = updates(&targets, codename, suite);
    let found = repositories(&targets, codename).into_iter();
    let source = |repository: String| {
        let (first, updates) = match suite {
            suite if suite == codename => (codename.to_owned(), updates.clone()),
            suite if is_of(suite, codename) => (format!("{codename} {suite}"), updates.clone()),
            // Another release has all that its packages need.
            suite => (suite.to_owned(), Suites::new()),
        };
        let stanzas = std::iter::once((repository, first)).chain(updates);
        stanzas
            .map(|(repository, suites)| stanza(&repository, &suites, signed))
            .collect()
    };
    Ok(found.map(source).collect())
}

/// Whether a suite belongs to a release: it is the release, or `RELEASE-backports` and the like.
pub fn is_of(suite: &str, codename: &str) -> bool {
    let rest = suite.strip_prefix(codename);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Archives and suites.
type Suites = Vec<(String, String)>;

/// The fields of the archives with a main component: release, codename, origin, address.
fn mains(targets: &str) -> impl Iterator<Item = (&str, &str, &str, &str)> {
    targets.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split('|').collect();
        let &[creator, release, name, component, origin, repository] = fields.as_slice() else {
            return None;
        };
        (creator == "Packages" && component == "main")
            .then_some((release, name, origin, repository))
    })
}

/// The archives that may have other suites of the release, Debian's own first. Who an archive is of, apt knows only
/// after an update.
fn repositories(targets: &str, codename: &str) -> Vec<String> {
    let mut found: Vec<(bool, String)> = Vec::new();
    for (release, name, origin, repository) in mains(targets) {
        let fits = release == codename || release == "stable" && name == codename;
        if fits && !found.iter().any(|(_, known)| known == repository) {
            found.push((origin != "Debian", repository.to_owned()));
        }
    }
    found.sort_by_key(|(foreign, _)| *foreign);
    found
        .into_iter()
        .map(|(_, repository)| repository)
        .collect()
}

/// Debian's updates of the release that the system is configured with: libraries of theirs may be installed, and
/// what goes with such a library is only there.
fn updates(targets: &str, codename: &str, suite: &str) -> Suites {
    let of_release = |release: &str| {
        let rest = release.strip_prefix(codename);
        rest.is_some_and(|rest| rest.starts_with('-')) && release != suite
    };
    let found = mains(targets)
        .filter(|(release, _, origin, _)| of_release(release) && *origin == "Debian")
        .filter(|(release, ..)| !release.ends_with("-backports"));
    let mut found: Suites = found
        .map(|(release, _, _, repository)| (repository.to_owned(), release.to_owned()))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// One paragraph of a file of sources.
fn stanza(repository: &str, suites: &str, signed: bool) -> String {
    let keys = if signed {
        format!("Signed-By: {KEYS}\n")
    } else {
        String::new()
    };
    format!("Types: deb\nURIs: {repository}\nSuites: {suites}\nComponents: main\n{keys}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "\
        Packages|bookworm|$(CODENAME)|main|$(ORIGIN)|http://other.example/\n\
        Packages|bookworm|bookworm|main|Debian|http://mirror.example/debian/\n\
        DEP-11|bookworm|bookworm|main|Debian|http://dep11.example/debian/\n\
        Packages|bookworm-security|bookworm-security|main|Debian|http://security.example/\n\
        Packages|bookworm-backports|bookworm-backports|main|Debian|http://mirror.example/debian/\n\
        Packages|bookworm-fork|bookworm-fork|main|Other|http://fork.example/\n\
        Packages|bookworm|bookworm|contrib|Debian|http://contrib.example/\n\
        Packages|bookworm|bookworm|main|Debian|http://mirror.example/debian/\n\
        Packages|stable|trixie|main|Debian|http://newer.example/\n";

    #[test]
    fn releases() {
        let debian = "VERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename(debian), Some("bookworm"));
        assert_eq!(codename("ID=fedora\nVERSION_CODENAME=\"\"\n"), None);
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=\"\"\n"), None);
        assert_eq!(codename(""), None);
    }

    #[test]
    fn archives_of_the_release() {
        assert_eq!(
            repositories(TARGETS, "bookworm"),
            ["http://mirror.example/debian/", "http://other.example/"]
        );
        assert_eq!(repositories(TARGETS, "trixie"), ["http://newer.example/"]);
        assert_eq!(repositories("", "bookworm"), Vec::<String>::new());
    }

    #[test]
    fn updates_of_the_release() {
        let security = (
            "http://security.example/".to_owned(),
            "bookworm-security".to_owned(),
        );
        let found = updates(TARGETS, "bookworm", "bookworm-backports");
        assert_eq!(found, [security]);
        assert_eq!(updates(TARGETS, "trixie", "trixie"), []);
    }

    #[test]
    fn suites_of_a_release() {
        assert!(is_of("bookworm", "bookworm") && is_of("bookworm-backports", "bookworm"));
        assert!(!is_of("sid", "bookworm") && !is_of("bookworms", "bookworm"));
    }

    #[test]
    fn stanzas() {
        let text = stanza(
            "http://mirror.example/",
            "bookworm bookworm-backports",
            true,
        );
        assert!(
            text.contains("URIs: http://mirror.example/\nSuites: bookworm bookworm-backports\n")
        );
        assert!(text.contains("Signed-By: /usr/share/keyrings/") && text.ends_with("\n\n"));
        let text = stanza("http://mirror.example/", "bookworm", false);
        assert!(text.contains("Suites: bookworm\n") && !text.contains("Signed-By"));
    }
}
