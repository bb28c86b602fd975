//! Where in a file a change can be switched on and off: the expression around a changed operator, the beginning of a function, the
//! guard of an arm.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use proc_macro2::{LineColumn, Span};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::list::{Change, Genre, Place};

/// How a switch is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Around an expression.
    Expression,
    /// Before the first statement of a function: it returns another value.
    Start,
    /// Behind the pattern of an arm that has no guard.
    Pattern,
    /// Before the guard of an arm, and around it.
    Guard,
    /// Before the guard of an arm that has a `let`, which must not stand in brackets.
    LetGuard,
    /// The word `const` before a function, which goes: the compiler cannot work out a switch.
    Constness,
}

/// A place where one or more changes are switched.
#[derive(Clone, Debug)]
pub struct Site {
    pub kind: Kind,
    /// Bytes of the file.
    pub range: Range<usize>,
    /// The changes by their number in the file's list, with what stands there instead.
    pub alternatives: Vec<(usize, String)>,
}

/// Why a change cannot be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is worked out by the compiler.
    Constant,
    /// It is no Rust: `let` beside `||`.
    Grammar,
    /// What a switch needs is not there.
    Unknown,
}

/// Where and how a change is switched.
type Switched = Result<(Kind, Range<usize>), Obstacle>;

/// The sites of a file, and the changes that have none.
pub type Found = (Vec<Site>, Vec<(usize, Obstacle)>);

/// Finds the sites of all changes of a file. Functions whose names are in `constant` are worked out by the compiler somewhere.
///
/// # Errors
/// If the file is no Rust.
pub fn find(text: &str, changes: &[Change], constant: &BTreeSet<String>) -> syn::Result<Found> {
    let mut finder = Finder {
        lines: line_starts(text),
        text,
        names: constant,
        constant: 0,
        words: Vec::new(),
        places: HashMap::new(),
    };
    finder.visit_file(&syn::parse_file(text)?);
    let mut sites: BTreeMap<(usize, u8, usize, Place), Site> = BTreeMap::new();
    let mut obstacles = Vec::new();
    for (number, change) in changes.iter().enumerate() {
        let place = finder.places.get(&(change.genre, change.start));
        match place.map(|place| place.as_ref()) {
            None => obstacles.push((number, Obstacle::Unknown)),
            Some(Err(obstacle)) => obstacles.push((number, *obstacle)),
            Some(Ok((kind, range))) => {
                let alternative = finder.alternative(change, range);
                // What is inside stands behind what is around it.
                let key = (
                    range.start,
                    depth(*kind, change.genre),
                    usize::MAX - range.end,
                    change.start,
                );
                let site = sites.entry(key).or_insert_with(|| Site {
                    kind: *kind,
                    range: range.clone(),
                    alternatives: Vec::new(),
                });
                site.alternatives.push((number, alternative));
            }
        }
    }
    let words = finder.words.into_iter().map(|range| Site {
        kind: Kind::Constness,
        range,
        alternatives: Vec::new(),
    });
    let mut sites: Vec<Site> = sites.into_values().chain(words).collect();
    // Sites that begin at the same byte keep their order.
    sites.sort_by_key(|site| site.range.start);
    Ok((sites, obstacles))
}

/// The order of sites that begin at the same byte, as far as it does not follow from their ends.
fn depth(kind: Kind, genre: Genre) -> u8 {
    match (kind, genre) {
        (Kind::Start, _) => 0,
        (Kind::Guard | Kind::LetGuard, _) => 1,
        (_, Genre::MatchArmGuard) => 2,
        _ => 3,
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let behind = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(behind).collect()
}

struct Finder<'t> {
    text: &'t str,
    lines: Vec<usize>,
    names: &'t BTreeSet<String>,
    /// In how many constants the visit is.
    constant: usize,
    /// The words `const` that go.
    words: Vec<Range<usize>>,
    places: HashMap<(Genre, Place), Switched>,
}

impl Finder<'_> {
    fn byte(&self, (line, column): Place) -> usize {
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let line = self.text.get(start..).unwrap_or_default();
        let mut characters = line.char_indices();
        let offset = characters.nth(column - 1).map_or(line.len(), |(at, _)| at);
        start + offset
    }

    fn range(&self, span: Span) -> Range<usize> {
        self.byte(place(span.start()))..self.byte(place(span.end()))
    }

    /// What stands in a range if the change is made in it.
    fn alternative(&self, change: &Change, range: &Range<usize>) -> String {
        match change.genre {
            Genre::FnValue | Genre::MatchArmGuard => change.replacement.clone(),
            Genre::MatchArm => String::new(),
            _ => {
                let changed = self.byte(change.start)..self.byte(change.end);
                let before = &self.text[range.start..changed.start];
                let behind = &self.text[changed.end..range.end];
                // A field goes with its comma.
                let behind = match change.genre {
                    Genre::StructField => behind.strip_prefix(',').unwrap_or(behind),
                    _ => behind,
                };
                format!("{before}{}{behind}", change.replacement)
            }
        }
    }

    fn note(&mut self, genre: Genre, start: LineColumn, kind: Kind, range: Range<usize>) {
        let found = match self.constant {
            0 => Ok((kind, range)),
            _ => Err(Obstacle::Constant),
        };
        self.places.insert((genre, place(start)), found);
    }

    fn within_constant(&mut self, visit: impl FnOnce(&mut Self)) {
        self.constant += 1;
        visit(self);
        self.constant -= 1;
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let is_needed = self.names.contains(&signature.ident.to_string());
        let is_constant = usize::from(signature.constness.is_some() && is_needed);
        if let Some(word) = signature.constness.filter(|_| !is_needed) {
            self.words.push(self.range(word.span));
        }
        self.constant += is_constant;
        if let Some(first) = block.stmts.first() {
            let start = first.span().start();
            let at = self.byte(place(start));
            self.note(Genre::FnValue, start, Kind::Start, at..at);
            if is_opaque(&signature.output) {
                let known = (Genre::FnValue, place(start));
                self.places.insert(known, Err(Obstacle::Unknown));
            }
        }
        visit::visit_block(self, block);
        self.constant -= is_constant;
    }
}

fn place(at: LineColumn) -> Place {
    (at.line, at.column + 1)
}

/// Whether the function's type does not say what it returns: then it can return one type only.
fn is_opaque(output: &syn::ReturnType) -> bool {
    struct Opaque(bool);
    impl Visit<'_> for Opaque {
        fn visit_type_impl_trait(&mut self, _: &syn::TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut opaque = Opaque(false);
    opaque.visit_return_type(output);
    opaque.0
}

/// Whether an operand of `&&` is a `let`, or has one as its operand.
fn has_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// Whether an arm takes everything that no other does: with a guard, another might take nothing.
fn takes_the_rest(arm: &syn::Arm) -> bool {
    let is_small = |name: &syn::Ident| name.to_string().starts_with(char::is_lowercase);
    arm.guard.is_none()
        && match &arm.pat {
            syn::Pat::Wild(_) => true,
            syn::Pat::Ident(name) => name.subpat.is_none() && is_small(&name.ident),
            _ => false,
        }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let start = binary.op.span().start();
        let range = self.range(binary.span());
        self.note(Genre::BinaryOperator, start, Kind::Expression, range);
        if has_let(&binary.left) || has_let(&binary.right) {
            let known = (Genre::BinaryOperator, place(start));
            self.places.insert(known, Err(Obstacle::Grammar));
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let start = unary.op.span().start();
        let range = self.range(unary.span());
        self.note(Genre::UnaryOperator, start, Kind::Expression, range);
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let start = arm.span().start();
        if let Some((_, guard)) = &arm.guard {
            let range = self.range(guard.span());
            let first = guard.span().start();
            self.note(Genre::MatchArmGuard, first, Kind::Expression, range.clone());
            let kind = match has_let(guard) {
                true => Kind::LetGuard,
                false => Kind::Guard,
            };
            self.note(Genre::MatchArm, start, kind, range);
        } else {
            let end = self.range(arm.pat.span()).end;
            self.note(Genre::MatchArm, start, Kind::Pattern, end..end);
        }
        if let Some((_, guard)) = &arm.guard
            && has_let(guard)
        {
            let known = (Genre::MatchArmGuard, place(guard.span().start()));
            self.places.insert(known, Err(Obstacle::Unknown));
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_match(&mut self, whole: &'ast syn::ExprMatch) {
        visit::visit_expr_match(self, whole);
        if whole.arms.iter().any(takes_the_rest) {
            return;
        }
        for arm in &whole.arms {
            let known = (Genre::MatchArm, place(arm.span().start()));
            self.places.insert(known, Err(Obstacle::Unknown));
        }
    }

    fn visit_expr_struct(&mut self, whole: &'ast syn::ExprStruct) {
        let range = self.range(whole.span());
        for field in &whole.fields {
            let start = field.span().start();
            self.note(Genre::StructField, start, Kind::Expression, range.clone());
        }
        visit::visit_expr_struct(self, whole);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, &function.block);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig, block);
        }
    }

    fn visit_pat(&mut self, _: &'ast syn::Pat) {}

    fn visit_type(&mut self, of: &'ast syn::Type) {
        self.within_constant(|this| visit::visit_type(this, of));
    }

    fn visit_generic_argument(&mut self, of: &'ast syn::GenericArgument) {
        self.within_constant(|this| visit::visit_generic_argument(this, of));
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.within_constant(|this| visit::visit_item_const(this, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.within_constant(|this| visit::visit_item_static(this, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.within_constant(|this| visit::visit_impl_item_const(this, item));
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.within_constant(|this| visit::visit_trait_item_const(this, item));
    }

    fn visit_expr_const(&mut self, block: &'ast syn::ExprConst) {
        self.within_constant(|this| visit::visit_expr_const(this, block));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.within_constant(|this| visit::visit_variant(this, variant));
    }

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
        self.within_constant(|this| this.visit_expr(&repeat.len));
    }
}
