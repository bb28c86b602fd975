//! The table of known PCI functions (`sys/platform/devices.toml`), and quiesce recipes.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::messages::{self, MsiXTable};
use super::{Source, units};
use crate::project::Project;
use crate::report::{Mistake, Report, Reported, Span, Spanned};

/// A function by vendor and device id.
#[derive(Clone, Debug)]
pub struct KnownDevice {
    pub form: FunctionForm,
    /// Has an access control services capability.
    pub acs: bool,
    pub bars: BTreeMap<usize, Bar>,
    pub quiesce: Option<Quiesce>,
    /// The place of its MSI-X table.
    pub msi_x: Option<MsiXTable>,
    /// QEMU's model and the properties it always needs.
    pub qemu: Option<String>,
}

/// Whether a function has a PCI Express capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionForm {
    /// The device has a PCI Express capability, and is integrated in the root complex if it is on a root bus.
    Express,
    /// The device has the PCI Express capability of an endpoint, wherever it is.
    Endpoint,
    /// An endpoint that is integrated into the root complex.
    RootComplexEndpoint,
    /// An event collector of the root complex.
    EventCollector,
    /// The device has no PCI Express capability.
    Conventional,
    /// A host bridge's own function.
    HostBridge,
}

/// Words for [`FunctionForm`].
pub const FORMS: [(&str, FunctionForm); 6] = [
    ("express", FunctionForm::Express),
    ("endpoint", FunctionForm::Endpoint),
    ("root-complex-endpoint", FunctionForm::RootComplexEndpoint),
    ("event-collector", FunctionForm::EventCollector),
    ("conventional", FunctionForm::Conventional),
    ("host-bridge", FunctionForm::HostBridge),
];

/// A memory base address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Bytes, a power of two.
    pub len: u64,
    /// 64 bits wide; takes the next index too.
    pub wide: bool,
    /// Whether the BAR is prefetchable.
    pub prefetch: bool,
}

/// How a device is made quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiesce {
    /// The device cannot be made quiet by a reset.
    None,
    /// A function-level reset.
    FunctionReset,
    /// A reset of the secondary bus of the bridge above.
    BusReset,
    /// Bus mastering off, perhaps a write, then poll until `value & mask == expect`.
    Poll {
        /// Index of the BAR that has the register.
        bar: u32,
        /// Offset of the register in that BAR, in bytes.
        offset: u32,
        /// The bits that are compared.
        mask: u32,
        /// The value of these bits when the device is quiet.
        expect: u32,
        /// The value that is written first to stop the device; nothing is written without one.
        write: Option<u32>,
        /// Nanoseconds.
        deadline: u64,
    },
    /// Bus mastering off, then this many nanoseconds.
    Wait(u64),
}

/// Known functions by id.
pub type KnownDevices = BTreeMap<(u16, u16), KnownDevice>;

/// Reads the table.
pub fn load(report: &Report, project: &Project) -> Result<KnownDevices, Reported> {
    let source = Source::read(report, &project.platforms().join("devices.toml"))?;
    let gate = report.gate();
    let mut known = KnownDevices::new();
    for (key, item) in source.document.as_table() {
        let span = Span {
            file: source.file,
            range: item.span().unwrap_or(0..0),
        };
        let (Some(id), Some(table)) = (units::device_id(key), item.as_table_like()) else {
            report
                .error(Mistake::BadValue, format!("`{key}` is not a device id"))
                .at(&span, "expected a table called vendor:device");
            continue;
        };
        if let Some(device) = read(Fields::new(report, key, table, span)) {
            known.insert(id, device);
        }
    }
    gate.pass(known)
}

fn read(fields: Fields<'_>) -> Option<KnownDevice> {
    // For those who read the file.
    fields.required("name", Fields::string)?;
    let acs = fields.boolean("acs").is_some_and(|value| value.value);
    let form = fields.choice("form", &FORMS);
    let (bars, _) = read_bars(&fields);
    let quiesce = read_quiesce(&fields);
    let msi_x = messages::read_table(&fields);
    let qemu = fields.string("qemu").map(|qemu| qemu.value);
    fields.finish();
    Some(KnownDevice {
        form: form.map_or(FunctionForm::Express, |form| form.value),
        acs,
        bars,
        quiesce,
        msi_x,
        qemu,
    })
}

/// The `bars` table: `bars.0 = { size = "4 KiB" }`; and the names of those whose size is `"unknown"`.
pub fn read_bars(fields: &Fields<'_>) -> (BTreeMap<usize, Bar>, Vec<Spanned<String>>) {
    let mut bars = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, bar) in fields.tables("bars") {
        let undetermined = bar.string_is("size", "unknown");
        let size = if undetermined {
            None
        } else {
            bar.required("size", Fields::size)
        };
        let wide = bar.boolean("wide").is_some_and(|value| value.value);
        let prefetch = bar.boolean("prefetch").is_some_and(|value| value.value);
        // Where a board's firmware had put it; the plan gives BARs addresses of its own.
        bar.integer("found-at");
        bar.finish();
        let index = units::digits(&name.value, 6).map(usize::from);
        let report = fields.report();
        let Some(index) = index else {
            report
                .error(Mistake::BadValue, format!("there is no BAR {}", name.value))
                .at(&name.span, "expected 0 to 5");
            continue;
        };
        if undetermined {
            unknown.push(name);
            continue;
        }
        let Some(size) = size else { continue };
        if !size.value.is_power_of_two() || size.value < 16 {
            report
                .error(
                    Mistake::BadValue,
                    "the size of a BAR must be a power of two",
                )
                .at(&size.span, "not a power of two of at least 16 bytes");
            continue;
        }
        if wide && index == 5 {
            report
                .error(Mistake::BadValue, "BAR 5 cannot be 64 bits wide")
                .at(&name.span, "there is no BAR 6 for its upper half");
            continue;
        }
        let len = size.value;
        bars.insert(
            index,
            Bar {
                len,
                wide,
                prefetch,
            },
        );
        names.insert(index, name);
    }
    for (index, name) in &names {
        if let Some(lower) = index.checked_sub(1)
            && bars.get(&lower).is_some_and(|bar: &Bar| bar.wide)
        {
            fields
                .report()
                .error(
                    Mistake::BadValue,
                    format!("BAR {index} is the upper half of BAR {lower}"),
                )
                .at(
                    &name.span,
                    format!("BAR {lower} is 64 bits wide and takes both"),
                )
                .remedy("remove one of the two, or take `wide` from the lower");
        }
    }
    (bars, unknown)
}

/// The model's own properties, then those of `app.toml`, which may also name the model again.
pub fn merge_qemu(model: Option<String>, own: Option<String>) -> Option<String> {
    match (model, own) {
        (Some(model), Some(own)) => {
            let kind = model.split(',').next().unwrap_or_default();
            let properties = own
                .strip_prefix(kind)
                .unwrap_or(&own)
                .trim_start_matches(',');
            if properties.is_empty() {
                Some(model)
            } else {
                Some(format!("{model},{properties}"))
            }
        }
        (model, own) => model.or(own),
    }
}

/// The `quiesce` key: `"flr"`, `"bus"`, `"none"`, `{ wait = … }` or `{ poll = …, deadline = … }`.
pub fn read_quiesce(fields: &Fields<'_>) -> Option<Quiesce> {
    if fields.is_string("quiesce") {
        return fields
            .choice(
                "quiesce",
                &[
                    ("flr", Quiesce::FunctionReset),
                    ("bus", Quiesce::BusReset),
                    ("none", Quiesce::None),
                ],
            )
            .map(|choice| choice.value);
    }
    let recipe = fields.table("quiesce")?;
    let wait = recipe.duration("wait");
    let poll = recipe.table("poll");
    let deadline = recipe.time(
        "deadline",
        1,
        "write how long the device may take, or leave `deadline` out",
    );
    let result = match (wait, poll) {
        (Some(wait), None) if wait.value == 0 => {
            fields
                .report()
                .error(
                    Mistake::NoQuiesce,
                    "a wait of no time makes no device quiet",
                )
                .at(&wait.span, "expected how long its last write can take")
                .remedy("write `quiesce = \"none\"` if nobody knows");
            None
        }
        (Some(wait), None) => Some(Quiesce::Wait(wait.value)),
        (None, Some(poll)) => {
            let bar = poll.required("bar", Fields::word);
            let offset = poll.required("offset", Fields::word);
            let mask = poll.required("mask", Fields::word);
            let expect = poll.required("expect", Fields::word);
            let write = poll.word("write").map(|write| write.value);
            poll.finish();
            if let (Some(mask), Some(expect)) = (&mask, &expect)
                && (mask.value == 0 || expect.value & !mask.value != 0)
            {
                let fault = match mask.value {
                    0 => "no bit is looked at, so any value agrees",
                    _ => "`expect` has bits that `mask` leaves out, so no value agrees",
                };
                fields
                    .report()
                    .error(Mistake::NoQuiesce, format!("this poll can never succeed: {fault}"))
                    .at(&expect.span, "what the register is to have under the mask")
                    .with(&mask.span, "the bits that are looked at")
                    .remedy("let `mask` cover the bits that say the device is quiet, and `expect` be within it");
                return None;
            }
            Some(Quiesce::Poll {
                bar: bar?.value,
                offset: offset?.value,
                mask: mask?.value,
                expect: expect?.value,
                write,
                deadline: deadline.map_or(1_000_000_000, |deadline| deadline.value),
            })
        }
        _ => {
            // A key of the wrong form was reported already.
            if recipe.contains("wait") == recipe.contains("poll") {
                fields
                    .report()
                    .error(Mistake::BadValue, "a recipe is either `wait` or `poll`")
                    .at(recipe.span(), "expected exactly one of them");
            }
            None
        }
    };
    recipe.finish();
    result
}
