//! `include`: a file whose tables count as if they stood in the file that names it.

use std::path::{Path, PathBuf};

use super::Source;
use super::fields::Fields;
use crate::report::{Mistake, Report, Reported, Span};

/// Most bytes of an included file: it is written by hand.
const LEN_MAX: u64 = 1 << 20;

/// The included file.
pub struct Included {
    pub source: Source,
    /// The folder that paths in the file are relative to.
    folder: PathBuf,
}

/// The folders that the paths of each file are relative to.
pub struct Folders<'a> {
    pub own: &'a Path,
    pub included: Option<&'a Included>,
}

impl Folders<'_> {
    /// The folder of the file that `span` is in.
    pub fn of(&self, span: &Span) -> &Path {
        self.included
            .filter(|included| included.source.file == span.file)
            .map_or(self.own, |included| &included.folder)
    }
}

/// Reads the file that `include` names, from `folder` on; none if the key is not there.
pub fn read(
    report: &Report,
    fields: &Fields<'_>,
    folder: &Path,
) -> Result<Option<Included>, Reported> {
    let name = fields.string("include");
    if name.is_none() && fields.contains("include") {
        return Err(Reported);
    }
    let Some(name) = name else {
        return Ok(None);
    };
    let path = folder.join(&name.value);
    let text = text(&path).map_err(|why| {
        report
            .error(
                Mistake::Unreadable,
                format!("cannot read {}: {why}", path.display()),
            )
            .at(&name.span, "included here")
            .note("the path is relative to the folder of this file")
            .remedy("correct `include`: the servers' tables are in `task/servers.toml` of the repository");
        Reported
    })?;
    let source = Source::parse(report, &path, text)?;
    // One level, so that whoever reads the file has two places to look at and no more.
    let nested = source.fields(report).string("include");
    if let Some(nested) = nested {
        report
            .error(
                Mistake::NestedInclude,
                format!("`{}` is included and includes another file", name.value),
            )
            .at(&nested.span, "this file is included itself")
            .with(&name.span, "included here");
        return Err(Reported);
    }
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(Some(Included { source, folder }))
}

/// The text of a file that is one, and no larger than a person writes it.
fn text(path: &Path) -> Result<String, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is no file".to_owned());
    }
    if found.len() > LEN_MAX {
        return Err(format!("it has more than {LEN_MAX} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
