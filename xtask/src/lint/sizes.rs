//! Files and functions that are too long to be read at once.

use std::path::{Path, PathBuf};

use planner::failure::{Failure, Outcome};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::sources;

/// Most lines of a file.
const FILE_MAX: usize = 450;
/// Most lines of a function, its head included.
const FUNCTION_MAX: usize = 80;

/// Files that are longer yet, and their lines: they may become shorter only, and leave this list when they are short
/// enough.
const LONGER_YET: [(&str, usize); 0] = [];

/// Figures of the repository's Rust files.
pub struct Sizes {
    files: usize,
    median: usize,
    ninth_tenth: usize,
    largest: usize,
    functions: usize,
    longest: usize,
}

impl std::fmt::Display for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} files: median {} lines, nine tenths up to {}, the largest {}; {} functions, the longest {} lines",
            self.files, self.median, self.ninth_tenth, self.largest, self.functions, self.longest
        )
    }
}

/// Fails if a file or a function below `root` is too long.
pub fn sizes(root: &Path) -> Outcome<Sizes> {
    let files = sources::below(root)?;
    measure(&files, &LONGER_YET).map_err(|wrong| {
        Failure::new(format!(
            "too long to be read at once; cut at the seams that the code names already:\n  {}",
            wrong.join("\n  ")
        ))
    })
}

/// The figures, or what is too long; `longer` are files that may be.
fn measure(files: &[(PathBuf, String)], longer: &[(&str, usize)]) -> Result<Sizes, Vec<String>> {
    let mut wrong = Vec::new();
    let mut lines = Vec::new();
    let mut functions = Functions::default();
    for (file, text) in files {
        let (len, name) = (text.lines().count(), file.display());
        let most = longer.iter().find(|(of, _)| file == Path::new(of));
        match most {
            Some((_, most)) if len > *most => {
                wrong.push(format!("{name}: {len} lines, it had {most}"))
            }
            None if len > FILE_MAX => {
                wrong.push(format!("{name}: {len} lines, at most {FILE_MAX}"))
            }
            _ => {}
        }
        lines.push(len);
        let before = functions.0.len();
        match syn::parse_file(text) {
            Ok(parsed) => functions.visit_file(&parsed),
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
        for (function, line, len) in &functions.0[before..] {
            if *len > FUNCTION_MAX {
                wrong.push(format!(
                    "{name}:{line}: `{function}` has {len} lines, at most {FUNCTION_MAX}"
                ));
            }
        }
    }
    for (file, most) in longer {
        let is_long = |(of, text): &(PathBuf, String)| {
            of == Path::new(file) && text.lines().count() > FILE_MAX
        };
        if !files.iter().any(is_long) {
            wrong.push(format!(
                "{file}: no longer has {most} lines; take it out of xtask/src/lint/sizes.rs"
            ));
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    lines.sort_unstable();
    let part = |tenths: usize| lines.get(lines.len() * tenths / 10).copied().unwrap_or(0);
    Ok(Sizes {
        files: lines.len(),
        median: part(5),
        ninth_tenth: part(9),
        largest: lines.last().copied().unwrap_or(0),
        functions: functions.0.len(),
        longest: functions.0.iter().map(|(.., len)| *len).max().unwrap_or(0),
    })
}

/// The functions of a file: name, first line, lines.
#[derive(Default)]
struct Functions(Vec<(String, usize, usize)>);

impl Functions {
    /// Takes a function with a body; attributes and comments before it do not count.
    fn take(&mut self, signature: &syn::Signature, whole: impl ToTokens) {
        let first = signature.fn_token.span().start().line;
        let last = whole.to_token_stream().into_iter().last();
        let last = last.map_or(first, |token| token.span().end().line);
        self.0
            .push((signature.ident.to_string(), first, last + 1 - first));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.take(&function.sig, function);
        visit::visit_item_fn(self, function);
    }
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.take(&function.sig, function);
        visit::visit_impl_item_fn(self, function);
    }
    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        self.take(&function.sig, function);
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: usize, longer: &[(&str, usize)]) -> String {
        let text = "// A line.\n".repeat(lines);
        let files = [(PathBuf::from("sys/a.rs"), text)];
        measure(&files, longer).map_or_else(|wrong| wrong.join("\n"), |sizes| sizes.to_string())
    }

    #[test]
    fn files() {
        assert!(said(450, &[]).starts_with("1 files: median 450 lines"));
        assert_eq!(said(451, &[]), "sys/a.rs: 451 lines, at most 450");
        assert!(said(460, &[("sys/a.rs", 460)]).contains("the largest 460"));
        assert_eq!(
            said(461, &[("sys/a.rs", 460)]),
            "sys/a.rs: 461 lines, it had 460"
        );
        for (lines, name) in [(450, "sys/a.rs"), (10, "sys/gone.rs")] {
            let said = said(lines, &[(name, 460)]);
            assert!(said.contains("take it out"), "{said}");
        }
    }

    #[test]
    fn functions() {
        let function = |lines: usize| {
            let body = "    step();\n".repeat(lines - 2);
            let text = format!("/// Does it.\n#[inline]\nfn long() {{\n{body}}}\n");
            let inner = format!("impl A {{\n{text}}}\ntrait B {{\n{text}}}\nmod c {{\n{text}}}\n");
            let files = [(PathBuf::from("a.rs"), inner)];
            measure(&files, &[]).map_or_else(|wrong| wrong, |sizes| vec![sizes.to_string()])
        };
        let fits = function(80);
        assert!(
            fits.len() == 1 && fits[0].ends_with("3 functions, the longest 80 lines"),
            "{fits:?}"
        );
        let wrong = function(81);
        assert_eq!(wrong.len(), 3);
        assert_eq!(wrong[0], "a.rs:4: `long` has 81 lines, at most 80");
    }
}
