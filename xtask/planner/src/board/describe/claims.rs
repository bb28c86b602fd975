//! What has an address or a name already, so that the description does not give it twice.

use std::collections::BTreeSet;

use import::board::Range;

/// Letters that a name can have.
const NAME: usize = 24;

/// Addresses that parts of the description have.
#[derive(Default)]
pub struct Claims {
    taken: Vec<(Range, String)>,
    intids: BTreeSet<u32>,
}

impl Claims {
    /// Claims the pages of a range, or says who has some of them.
    pub fn claim(&mut self, name: &str, range: Range) -> Result<(), String> {
        let pages = pages(range);
        if range.len == 0 {
            return Err("it has no bytes".to_owned());
        }
        if i64::try_from(pages.end()).is_err() || pages.end() > 1 << 52 {
            return Err("it ends beyond the 52 bits of a physical address".to_owned());
        }
        if let Some((_, other)) = self.taken.iter().find(|(other, _)| other.overlaps(&pages)) {
            return Err(format!("it shares pages with {other}"));
        }
        self.taken.push((pages, name.to_owned()));
        Ok(())
    }

    /// Whether an INTID is free, and can be routed.
    pub fn interrupt(&mut self, intid: u32) -> Result<(), String> {
        if !plan::limits::SHARED_INTERRUPTS.contains(&intid) {
            return Err(format!("the kernel routes INTIDs 32 to 1019, not {intid}"));
        }
        if self.intids.insert(intid) {
            Ok(())
        } else {
            Err(format!("INTID {intid} is that of another line too"))
        }
    }

    /// The most bits that an address has.
    pub fn address_bits(&self) -> u32 {
        let ends = self.taken.iter().map(|(range, _)| range.end());
        u64::BITS
            - ends
                .max()
                .map_or(0, |end| end.saturating_sub(1))
                .leading_zeros()
    }
}

/// The whole pages that a range is in.
pub fn pages(range: Range) -> Range {
    let page = abi::layout::PAGE;
    let base = range.base - range.base % page;
    let end = range.end().checked_next_multiple_of(page);
    let end = end.unwrap_or(u64::MAX - (page - 1));
    Range {
        base,
        len: end - base,
    }
}

/// Names that no two parts may have.
#[derive(Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// Marks a name that something else has.
    pub fn take(&mut self, name: &str) {
        self.0.insert(name.to_owned());
    }

    /// The name, or one like it that is free.
    pub fn free(&mut self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name: String = name.chars().filter(|c| plain(*c)).take(NAME).collect();
        let name = name.trim_start_matches(['-', '_']);
        let name = if name.is_empty() { "part" } else { name };
        let mut own = name.to_owned();
        let mut number = 1;
        while !self.0.insert(own.clone()) {
            number += 1;
            let end = format!("-{number}");
            let room: String = name.chars().take(NAME - end.len()).collect();
            own = format!("{room}{end}");
        }
        own
    }
}
