//! How a function signals by messages (MSI, MSI-X): `interrupt`, `vectors` and `msi-x`.

use super::fields::Fields;
use crate::report::{Mistake, Spanned};

/// How a function signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalling {
    /// By the line of a pin, 1 to 4; 0 for none.
    Line(u8),
    /// By messages.
    Messages(MessageKind),
}

/// The capability by which a function is told what to write, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// MSI: one address, and data that differ in their low bits.
    Msi,
    /// MSI-X: a table in a BAR.
    MsiX,
}

impl MessageKind {
    /// The word for it in `app.toml`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Msi => "msi",
            Self::MsiX => "msi-x",
        }
    }
}

/// Words for [`Signalling`].
const WORDS: [(&str, Signalling); 8] = [
    ("none", Signalling::Line(0)),
    ("intx", Signalling::Line(1)),
    ("inta", Signalling::Line(1)),
    ("intb", Signalling::Line(2)),
    ("intc", Signalling::Line(3)),
    ("intd", Signalling::Line(4)),
    ("msi", Signalling::Messages(MessageKind::Msi)),
    ("msi-x", Signalling::Messages(MessageKind::MsiX)),
];

/// The messages of a function.
#[derive(Clone, Debug)]
pub struct Messages {
    /// By which capability.
    pub kind: Spanned<MessageKind>,
    /// How many vectors its driver is told of, at least one.
    pub vectors: u32,
}

/// The place of a function's MSI-X table (PCI Express Base 4.0, 7.7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiXTable {
    /// The BAR that has it.
    pub bar: usize,
    /// Offset of the first entry in the BAR, a multiple of 8.
    pub offset: u64,
    /// Entries, 1 to 2048.
    pub entries: u32,
}

/// Bytes of an entry.
const ENTRY: u64 = 16;
/// Most entries.
const ENTRIES: u32 = 2048;

impl MsiXTable {
    /// The offset in the BAR after the last entry.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.entries) * ENTRY)
    }
}

/// Pin of its line, 0 for none, and its messages.
pub fn read(fields: &Fields<'_>) -> (u8, Option<Messages>) {
    let declared = fields.choice("interrupt", &WORDS);
    let vectors = fields.word("vectors");
    let Some(declared) = declared else {
        if let Some(vectors) = vectors {
            only_messages(fields, &vectors);
        }
        return (1, None);
    };
    match declared.value {
        Signalling::Line(pin) => {
            if let Some(vectors) = vectors {
                only_messages(fields, &vectors);
            }
            (pin, None)
        }
        Signalling::Messages(kind) => {
            let kind = Spanned::new(kind, declared.span);
            let vectors = vectors.map_or(Some(1), |vectors| checked(fields, kind.value, &vectors));
            (0, vectors.map(|vectors| Messages { kind, vectors }))
        }
    }
}

fn only_messages(fields: &Fields<'_>, vectors: &Spanned<u32>) {
    fields
        .report()
        .error(Mistake::BadValue, "a line has no vectors")
        .at(&vectors.span, "counts messages")
        .remedy("write `interrupt = \"msi-x\"`, or leave `vectors` out");
}

fn checked(fields: &Fields<'_>, kind: MessageKind, vectors: &Spanned<u32>) -> Option<u32> {
    let (good, expected) = match kind {
        MessageKind::Msi => (
            vectors.value.is_power_of_two() && vectors.value <= 32,
            "MSI has 1, 2, 4, 8, 16 or 32 vectors",
        ),
        MessageKind::MsiX => (
            (1..=ENTRIES).contains(&vectors.value),
            "MSI-X has 1 to 2048 vectors",
        ),
    };
    if !good {
        fields.report().error(Mistake::BadValue, expected).at(
            &vectors.span,
            "expected how many its driver is to be told of",
        );
    }
    good.then_some(vectors.value)
}

/// The `msi-x` key: `msi-x = { bar = 1, offset = 0, entries = 2 }`.
pub fn read_table(fields: &Fields<'_>) -> Option<MsiXTable> {
    let table = fields.table("msi-x")?;
    let bar = table.required("bar", Fields::word);
    let offset = table.required("offset", Fields::integer);
    let entries = table.required("entries", Fields::word);
    table.finish();
    let (bar, offset, entries) = (bar?, offset?, entries?);
    let report = fields.report();
    let mut good = true;
    if bar.value > 5 {
        let draft = report.error(Mistake::BadValue, format!("there is no BAR {}", bar.value));
        drop(draft.at(&bar.span, "expected 0 to 5"));
        good = false;
    }
    if offset.value % 8 != 0 || offset.value > u64::from(u32::MAX) {
        report
            .error(
                Mistake::BadValue,
                "an MSI-X table begins at a multiple of 8",
            )
            .at(&offset.span, "expected its offset in the BAR, in bytes");
        good = false;
    }
    if !(1..=ENTRIES).contains(&entries.value) {
        report
            .error(Mistake::BadValue, "an MSI-X table has 1 to 2048 entries")
            .at(&entries.span, "expected how many the function has");
        good = false;
    }
    good.then_some(MsiXTable {
        bar: bar.value as usize,
        offset: offset.value,
        entries: entries.value,
    })
}
