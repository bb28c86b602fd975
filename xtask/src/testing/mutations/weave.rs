//! Source with all changes in it, each behind a switch: one program is built, and a run of it makes one change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::sites::{Kind, Site};

/// The module that a woven crate asks.
pub const SWITCH: &str = include_str!("switch.rs");

/// Names of changes in the woven source, by their number in the file's list.
pub struct Numbers<'n> {
    /// The number that switches on the file's first change.
    pub first: u32,
    /// Those that do not build.
    pub left_out: &'n dyn Fn(u32) -> bool,
}

/// Writes the file with the switches of all sites. Sites come in the order of their beginnings, what is around before what
/// is inside.
pub fn weave(text: &str, sites: &[Site], numbers: &Numbers<'_>) -> String {
    let mut rest = sites;
    let mut woven = String::with_capacity(text.len() * 3);
    level(text, 0, text.len(), &mut rest, numbers, &mut woven);
    woven
}

/// Writes what lies between two bytes, with the sites there.
fn level(
    text: &str,
    mut from: usize,
    to: usize,
    rest: &mut &[Site],
    numbers: &Numbers<'_>,
    woven: &mut String,
) {
    while let [site, behind @ ..] = *rest
        && site.range.end <= to
    {
        *rest = behind;
        woven.push_str(&text[from..site.range.start]);
        let mut inner = String::new();
        level(
            text,
            site.range.start,
            site.range.end,
            rest,
            numbers,
            &mut inner,
        );
        switch(site, &inner, numbers, woven);
        from = site.range.end;
    }
    woven.push_str(&text[from..to]);
}

/// Writes one switch. An alternative stands between comments with its number, by which an error of the compiler is known to be its.
fn switch(site: &Site, inner: &str, numbers: &Numbers<'_>, woven: &mut String) {
    if site.kind == Kind::Constness {
        return;
    }
    let all = site
        .alternatives
        .iter()
        .map(|(number, text)| (numbers.first + u32::try_from(*number).unwrap_or(0), text));
    let kept: Vec<(u32, &String)> = all
        .filter(|(number, _)| !(numbers.left_out)(*number))
        .collect();
    let (Some((first, _)), Some((last, _))) = (kept.first(), kept.last()) else {
        woven.push_str(inner);
        return;
    };
    let asked = format!("crate::mutation_switch::at({first}, {})", last - first + 1);
    let mut arms = String::new();
    for (number, text) in &kept {
        let _ = write!(
            arms,
            ", {} => {}/*@{number}*/{text}/*{number}@*/",
            number - first + 1,
            if site.kind == Kind::Start {
                "return "
            } else {
                ""
            },
        );
    }
    let _ = match site.kind {
        Kind::Expression => write!(
            woven,
            "(match {asked} {{ 0 => {inner}{arms}, _ => unreachable!() }})"
        ),
        Kind::Start => write!(woven, "match {asked} {{ 0 => (){arms}, _ => () }} "),
        Kind::Pattern => write!(woven, " if /*@{first}*/{asked} == 0/*{first}@*/ "),
        Kind::Constness => Ok(()),
        Kind::Guard => write!(woven, "/*@{first}*/{asked} == 0/*{first}@*/ && ({inner})"),
        Kind::LetGuard => write!(woven, "/*@{first}*/{asked} == 0/*{first}@*/ && {inner}"),
    };
}

/// The changes whose alternatives lie around a byte of a woven file, the innermost first.
pub fn around(woven: &str, byte: usize) -> Option<u32> {
    let mut open: BTreeMap<usize, u32> = BTreeMap::new();
    let before = woven.get(..byte)?;
    for (at, mark) in before.match_indices("/*@") {
        let number = before[at + mark.len()..].split_once("*/");
        if let Some(number) = number.and_then(|(number, _)| number.parse().ok()) {
            open.insert(at, number);
        }
    }
    let is_open = |(at, number): &(&usize, &u32)| {
        let end = format!("/*{number}@*/");
        woven[**at..]
            .find(&end)
            .is_some_and(|length| **at + length >= byte)
    };
    open.iter().rev().find(is_open).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::testing::mutations::list::{Change, Genre, sample};
    use crate::testing::mutations::sites::{self, Obstacle};

    fn woven(text: &str, changes: &[Change]) -> String {
        let (sites, _) = sites::find(text, changes, &BTreeSet::new()).expect("it is Rust");
        let left_out = |number| number == 13;
        let numbers = Numbers {
            first: 10,
            left_out: &left_out,
        };
        weave(text, &sites, &numbers)
    }

    #[test]
    fn an_operator_within_another_s_operand() {
        let change = |start: usize, operator| {
            sample(Genre::BinaryOperator, (1, start), (1, start + 1), operator)
        };
        let text = "fn f() -> u8 { a | b | c }";
        let changes = [change(18, "&"), change(18, "^"), change(22, "&")];
        let outer = "(match crate::mutation_switch::at(12, 1) { 0 => ";
        let inner = "(match crate::mutation_switch::at(10, 2) { 0 => a | b, 1 => /*@10*/a & b/*10@*/, \
            2 => /*@11*/a ^ b/*11@*/, _ => unreachable!() }) | c";
        let end = ", 1 => /*@12*/a | b & c/*12@*/, _ => unreachable!() })";
        let wanted = format!("fn f() -> u8 {{ {outer}{inner}{end} }}");
        assert_eq!(woven(text, &changes), wanted);
    }

    #[test]
    fn values_guards_and_arms() {
        let text = "fn f() -> bool {\n match x { 1 => y, n if !n => z, _ => w }\n}";
        let at = |genre, from: usize, to: usize, text| sample(genre, (2, from), (2, to), text);
        let changes = [
            at(Genre::FnValue, 2, 42, "true"),
            at(Genre::MatchArm, 12, 19, ""),
            at(Genre::MatchArmGuard, 25, 27, "true"),
            at(Genre::UnaryOperator, 25, 26, ""),
        ];
        assert_eq!(
            woven(text, &changes),
            "fn f() -> bool {\n match crate::mutation_switch::at(10, 1) { 0 => (), 1 => return /*@10*/true/*10@*/, _ => () } \
             match x { 1 if /*@11*/crate::mutation_switch::at(11, 1) == 0/*11@*/  => y, \
             n if (match crate::mutation_switch::at(12, 1) { 0 => !n, 1 => /*@12*/true/*12@*/, _ => unreachable!() }) => z, \
             _ => w }\n}"
        );
    }

    #[test]
    fn guards_with_let_and_matches_without_a_rest() {
        let at = |genre, from: usize| sample(genre, (1, from), (1, from + 3), "true");
        let text = "fn f() { match x { 1 if let Some(y) = z => a, _ => b } match x { c => 1, C => 2 } match x { C => 1 } }";
        let [arm, guard] = [at(Genre::MatchArm, 20), at(Genre::MatchArmGuard, 25)];
        let first =
            "1 if /*@10*/crate::mutation_switch::at(10, 1) == 0/*10@*/ && let Some(y) = z => a";
        assert!(woven(text, std::slice::from_ref(&arm)).contains(first));
        let [taken, lone] = [at(Genre::MatchArm, 74), at(Genre::MatchArm, 93)];
        let changes = [arm, guard, taken, lone];
        let (sites, obstacles) = sites::find(text, &changes, &BTreeSet::new()).expect("it is Rust");
        assert_eq!(sites.len(), 2);
        assert_eq!(obstacles, [(1, Obstacle::Unknown), (3, Obstacle::Unknown)]);
    }

    #[test]
    fn a_field_goes_with_its_comma() {
        let text = "fn f() { S { a: 1, b: 2, ..r } }";
        let change = sample(Genre::StructField, (1, 14), (1, 18), "");
        let text = woven(text, &[change]);
        assert!(text.contains("/*@10*/S {  b: 2, ..r }/*10@*/"), "{text}");
    }

    #[test]
    fn what_cannot_be_switched_is_told() {
        let text = "const A: u8 = 1 + 2; fn f() { if let Some(x) = y && z {} }";
        let plus = sample(Genre::BinaryOperator, (1, 17), (1, 18), "-");
        let and = sample(Genre::BinaryOperator, (1, 50), (1, 52), "||");
        let lost = sample(Genre::UnaryOperator, (1, 1), (1, 2), "");
        let (sites, obstacles) =
            sites::find(text, &[plus, and, lost], &BTreeSet::new()).expect("it is Rust");
        assert!(sites.is_empty());
        assert_eq!(
            obstacles,
            [
                (0, Obstacle::Constant),
                (1, Obstacle::Grammar),
                (2, Obstacle::Unknown)
            ]
        );
    }

    #[test]
    fn a_function_is_constant_where_that_is_needed() {
        let text = "const fn f() -> u8 { 1 + 2 }";
        let change = [sample(Genre::BinaryOperator, (1, 24), (1, 25), "-")];
        let start = "fn f() -> u8 { (match crate::mutation_switch::at(10, 1)";
        let woven = woven(text, &change);
        assert!(woven.trim_start().starts_with(start), "{woven}");
        let needed = BTreeSet::from(["f".to_owned()]);
        let (sites, obstacles) = sites::find(text, &change, &needed).expect("it is Rust");
        assert!(sites.is_empty());
        assert_eq!(obstacles, [(0, Obstacle::Constant)]);
    }

    #[test]
    fn an_error_is_its_innermost_change_s() {
        let text = "a /*@1*/ b /*@2*/ c /*2@*/ d /*1@*/ e";
        let at = |word: &str| around(text, text.find(word).expect("it is there"));
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(at),
            [None, Some(1), Some(2), Some(1), None]
        );
    }
}
