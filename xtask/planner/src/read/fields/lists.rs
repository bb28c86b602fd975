//! Lists of values.

use super::Fields;
use crate::report::{Mistake, Span, Spanned};

impl Fields<'_> {
    /// A list of strings; empty if the key is absent.
    pub fn strings(&self, key: &'static str) -> Vec<Spanned<String>> {
        let Some(item) = self.item(key) else {
            return Vec::new();
        };
        let Some(array) = item.value.as_array() else {
            self.wrong(key, &item.span, "a list of strings");
            return Vec::new();
        };
        let mut list = Vec::new();
        for value in array {
            let span = Span {
                file: item.span.file,
                range: value.span().unwrap_or_else(|| item.span.range.clone()),
            };
            match value.as_str() {
                Some(text) => list.push(Spanned::new(text.to_owned(), span)),
                None => self.wrong(key, &span, "a list of strings"),
            }
        }
        list
    }

    /// A list of names, each of them once; empty if the key is absent. One that is there again is most likely another
    /// that was meant.
    pub fn names(&self, key: &'static str) -> Vec<Spanned<String>> {
        let mut names: Vec<Spanned<String>> = Vec::new();
        for name in self.strings(key) {
            let Some(first) = names.iter().find(|known| known.value == name.value) else {
                names.push(name);
                continue;
            };
            let path = self.key_path(key);
            self.report
                .error(
                    Mistake::BadValue,
                    format!("`{path}` has `{}` twice", name.value),
                )
                .at(&name.span, "the second")
                .with(&first.span, "the first")
                .remedy("remove one of them, or write the name that was meant");
        }
        names
    }

    /// A list of numbers within 32 bits, at least one.
    pub fn numbers(&self, key: &'static str) -> Option<Spanned<Vec<u32>>> {
        let item = self.item(key)?;
        let numbers: Option<Vec<u32>> = item.value.as_array().and_then(|array| {
            array
                .iter()
                .map(|value| value.as_integer().and_then(|n| u32::try_from(n).ok()))
                .collect()
        });
        match numbers {
            Some(numbers) if !numbers.is_empty() => Some(Spanned::new(numbers, item.span)),
            _ => {
                self.wrong(key, &item.span, "a list of numbers from 0 up");
                None
            }
        }
    }

    /// A list of two numbers.
    pub fn pair(&self, key: &'static str) -> Option<Spanned<[u64; 2]>> {
        let item = self.item(key)?;
        let numbers: Option<Vec<u64>> = item.value.as_array().and_then(|array| {
            array
                .iter()
                .map(|value| value.as_integer().and_then(|n| u64::try_from(n).ok()))
                .collect()
        });
        match numbers.as_deref() {
            Some(&[first, second]) => Some(Spanned::new([first, second], item.span)),
            _ => {
                self.wrong(key, &item.span, "a list of two numbers");
                None
            }
        }
    }
}
