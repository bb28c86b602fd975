//! Access control services of a function: what it implements, and what is enabled at boot.

use solver::model::Acs;

use super::fields::Fields;
use super::known::KnownDevice;
use crate::report::{Mistake, Report, Spanned};

/// The `acs` key.
pub enum Declared {
    /// Everything that isolation needs, or nothing, is enabled.
    Flag(Spanned<bool>),
    /// The values of both registers, as a board shows them.
    Registers(Acs),
}

/// `acs = true`, `acs = false` or `acs = { implemented = 0x1f, enabled = 0x1d }`.
pub fn read(fields: &Fields<'_>) -> Option<Declared> {
    if !fields.is_table("acs") {
        return fields.boolean("acs").map(Declared::Flag);
    }
    let table = fields.table("acs")?;
    let implemented = table.required("implemented", Fields::word);
    let enabled = table.required("enabled", Fields::word);
    table.finish();
    let (implemented, enabled) = (implemented?, enabled?);
    let acs = |word: u32| u16::try_from(word).ok();
    match (acs(implemented.value), acs(enabled.value)) {
        (Some(has), Some(on)) if on & !Acs::controls(has) == 0 => Some(Declared::Registers(Acs {
            implemented: has,
            enabled: on,
        })),
        _ => {
            fields
                .report()
                .error(
                    Mistake::BadValue,
                    "access control that is not implemented cannot be enabled",
                )
                .at(
                    &enabled.span,
                    "has a bit that is not implemented, or more than 16 bits; bits 7 to 12 belong to bit 7 of `implemented`",
                )
                .with(&implemented.span, "what is implemented")
                .remedy("enable only bits of `implemented`, and 7 to 12 where it has bit 7");
            None
        }
    }
}

/// The ACS capability of a function as declared; `None` if it has no such capability.
pub fn resolve(
    report: &Report,
    name: &Spanned<String>,
    declared: Option<Declared>,
    model: Option<&KnownDevice>,
) -> Option<Acs> {
    let has = model.is_some_and(|model| model.acs);
    match declared {
        Some(Declared::Registers(acs)) => Some(acs),
        Some(Declared::Flag(on)) if on.value => {
            if model.is_some() && !has {
                report
                    .error(
                        Mistake::NoAccessControl,
                        format!("`{}` has no access control to enable", name.value),
                    )
                    .at(
                        &on.span,
                        "sys/platform/devices.toml knows of no ACS capability",
                    )
                    .with(&name.span, "this function")
                    .remedy(
                        "leave `acs` out, and let the owners below declare trust in each other",
                    );
            }
            Some(Acs::ON)
        }
        Some(Declared::Flag(_)) | None => has.then_some(Acs::OFF),
    }
}
