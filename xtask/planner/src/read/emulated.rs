//! The machine under QEMU: the `qemu` table of a platform.

use super::fields::Fields;

/// A machine of QEMU's.
#[derive(Clone, Debug, Default)]
pub struct Emulated {
    /// QEMU's `-machine`; empty if QEMU has no such machine.
    pub machine: String,
    /// QEMU's `-cpu`.
    pub processor: String,
    /// Further arguments, words as on a command line.
    pub arguments: Vec<String>,
    /// The first version whose machine will do, and what that of an older one lacks.
    pub since: Option<((u32, u32), String)>,
    /// The model of the SMMUs, where they are devices of the command line: each belongs to the root bus whose
    /// requests it sees.
    pub smmu_model: Option<String>,
}

/// Reads the table.
pub fn read(qemu: Fields<'_>) -> Option<Emulated> {
    let machine = qemu.required("machine", Fields::string);
    let processor = qemu.required("processor", Fields::string);
    let arguments = qemu.strings("arguments").into_iter();
    let arguments = arguments.map(|argument| argument.value).collect();
    let since = qemu.table("since").map(read_since);
    let smmu_model = qemu.string("smmu-model").map(|model| model.value);
    qemu.finish();
    Some(Emulated {
        machine: machine?.value,
        processor: processor?.value,
        arguments,
        since: match since {
            Some(since) => Some(since?),
            None => None,
        },
        smmu_model,
    })
}

/// `since = { version = "10.0", lack = "…" }`.
fn read_since(since: Fields<'_>) -> Option<((u32, u32), String)> {
    let version = since.required("version", |fields, key| {
        fields.parsed(key, "a version such as \"10.0\"", |text| {
            let (major, minor) = text.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        })
    });
    let lack = since.required("lack", Fields::line);
    since.finish();
    Some((version?.value, lack?.value))
}
