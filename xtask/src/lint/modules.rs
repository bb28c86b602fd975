//! The modules of one crate and the names by which they use each other, read from its source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use planner::failure::{Failure, Outcome};
use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree};

/// The names that lead from a crate's root to a module, or from a module to what it uses.
pub type Names = Vec<String>;

/// The modules of a crate, by the names that lead to them. Those that only tests have are left out.
pub type Modules = BTreeMap<Names, Module>;

/// A module of a crate, with what it uses.
pub struct Module {
    /// The file that it is written in.
    pub file: PathBuf,
    /// What it calls by a shorter name, and the whole name of that.
    imports: BTreeMap<String, Names>,
    /// Every name of more than one part that it uses.
    pub mentions: Vec<Mention>,
}

/// A name of more than one part.
pub struct Mention {
    pub names: Names,
    pub line: usize,
}

/// Reads the crate whose root is in `file`.
pub fn read(file: &Path) -> Outcome<Modules> {
    let mut modules = Modules::new();
    read_file(file, Names::new(), &mut modules)?;
    Ok(modules)
}

fn read_file(file: &Path, names: Names, modules: &mut Modules) -> Outcome<()> {
    let cannot = format!("cannot read `{}`", file.display());
    let text = std::fs::read_to_string(file).map_err(Failure::when(&cannot))?;
    let items = syn::parse_file(&text).map_err(Failure::when(cannot))?.items;
    let parent = file.parent().unwrap_or(Path::new("")).to_owned();
    let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") | None => parent,
        Some(stem) => parent.join(stem),
    };
    read_items(items, (file, &folder), names, modules)
}

/// Reads the items of the module `names`, whose own modules have their files in the second of `places`.
fn read_items(
    items: Vec<Item>,
    places: (&Path, &Path),
    names: Names,
    modules: &mut Modules,
) -> Outcome<()> {
    let (file, folder) = places;
    let mut module = Module {
        file: file.to_owned(),
        imports: BTreeMap::new(),
        mentions: Vec::new(),
    };
    for item in items {
        if let Item::Mod(inner) = item {
            if inner.attrs.iter().any(is_for_tests) {
                continue;
            }
            let name = inner.ident.to_string();
            let mut inner_names = names.clone();
            inner_names.push(name.clone());
            let inner_folder = folder.join(&name);
            match inner.content {
                Some((_, items)) => {
                    read_items(items, (file, &inner_folder), inner_names, modules)?;
                }
                None => {
                    let beside = folder.join(format!("{name}.rs"));
                    let inside = inner_folder.join("mod.rs");
                    let file = if beside.exists() { beside } else { inside };
                    read_file(&file, inner_names, modules)?;
                }
            }
            continue;
        }
        if attributes(&item).iter().any(is_for_tests) {
            continue;
        }
        if let Item::Use(import) = &item {
            take_imports(&import.tree, Names::new(), &mut module.imports);
        }
        take_mentions(item.into_token_stream(), &[], &mut module.mentions);
    }
    modules.insert(names, module);
    Ok(())
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an attribute keeps its item out of all but tests.
pub fn is_for_tests(attribute: &Attribute) -> bool {
    if !attribute.path().is_ident("cfg") {
        return false;
    }
    let condition = attribute.meta.to_token_stream().to_string();
    let has = |word: &str| {
        condition
            .split(|c: char| !c.is_alphanumeric())
            .any(|part| part == word)
    };
    has("test") && !has("not") && !has("any")
}

/// Adds the names that an import gives to what it names.
fn take_imports(tree: &UseTree, mut names: Names, imports: &mut BTreeMap<String, Names>) {
    match tree {
        UseTree::Path(path) => {
            names.push(path.ident.to_string());
            take_imports(&path.tree, names, imports);
        }
        UseTree::Name(name) if name.ident == "self" => {
            if let Some(last) = names.last().cloned() {
                imports.insert(last, names);
            }
        }
        UseTree::Name(name) => {
            names.push(name.ident.to_string());
            imports.insert(name.ident.to_string(), names);
        }
        UseTree::Rename(rename) => {
            names.push(rename.ident.to_string());
            imports.insert(rename.rename.to_string(), names);
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                take_imports(tree, names.clone(), imports);
            }
        }
        _ => {}
    }
}

/// Adds every name of more than one part in `tokens`, which stand in the braces of an import behind `before`.
fn take_mentions(tokens: TokenStream, before: &[String], found: &mut Vec<Mention>) {
    let mut names = before.to_vec();
    let mut line = 0;
    let mut is_joined = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "as" && !before.is_empty() => {
                tokens.next();
            }
            TokenTree::Ident(word) => {
                if !is_joined {
                    end_mention(&mut names, line, before, found);
                    line = word.span().start().line;
                }
                if word != "self" || names.is_empty() {
                    names.push(word.to_string());
                }
                is_joined = false;
            }
            TokenTree::Punct(colon)
                if colon.as_char() == ':' && colon.spacing() == Spacing::Joint =>
            {
                tokens.next();
                is_joined = true;
            }
            TokenTree::Group(group) => {
                let is_tree = is_joined && group.delimiter() == Delimiter::Brace;
                let prefix = if is_tree { names.clone() } else { Names::new() };
                end_mention(&mut names, line, before, found);
                is_joined = false;
                take_mentions(group.stream(), &prefix, found);
            }
            _ => {
                end_mention(&mut names, line, before, found);
                is_joined = false;
            }
        }
    }
    end_mention(&mut names, line, before, found);
}

fn end_mention(names: &mut Names, line: usize, before: &[String], found: &mut Vec<Mention>) {
    let names = std::mem::replace(names, before.to_vec());
    if names.len() > 1 && line > 0 {
        found.push(Mention { names, line });
    }
}

/// The module that holds what `from` calls `names`, however many modules pass it on. Nothing if it is in another crate.
pub fn find(modules: &Modules, from: &Names, names: &[String]) -> Option<Names> {
    find_within(modules, from, names, 0)
}

/// Imports that pass a name on, one to the next, at most; more are a circle of their own.
const MOST_PASSED_ON: usize = 16;

fn find_within(modules: &Modules, from: &Names, names: &[String], depth: usize) -> Option<Names> {
    let mut at = from.clone();
    let mut rest = names;
    let is_local = match names.first().map(String::as_str) {
        Some("crate") => {
            at = Names::new();
            rest = &names[1..];
            true
        }
        Some("self" | "super") => true,
        _ => false,
    };
    while let Some((first, others)) = rest.split_first() {
        let inner: Names = at.iter().chain([first]).cloned().collect();
        if first == "super" {
            at.pop();
        } else if first == "self" {
        } else if modules.contains_key(&inner) {
            at = inner;
        } else {
            let import = modules.get(&at)?.imports.get(first);
            return match import {
                Some(import) if depth < MOST_PASSED_ON => {
                    let whole: Names = import.iter().chain(others).cloned().collect();
                    find_within(modules, &at, &whole, depth + 1)
                }
                _ => (is_local || rest.len() < names.len()).then_some(at),
            };
        }
        rest = others;
    }
    Some(at)
}
