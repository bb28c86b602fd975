//! `[devices.NAME]`: endpoints, virtual functions and platform devices.

use std::collections::BTreeMap;

use solver::model::{Acs, DomainType};

use super::fields::Fields;
use super::invalidation::{self, Invalidation};
use super::known::{self, Bar, FORMS, FunctionForm, KnownDevices, Quiesce};
use super::messages::{self, Messages, MsiXTable};
use super::place::{self, Place};
use super::units;
use crate::report::{Mistake, Report, Span, Spanned};

/// A device that a task can drive.
#[derive(Clone, Debug)]
pub struct Device {
    /// The name of the device.
    pub name: Spanned<String>,
    /// The device's place.
    pub place: Place,
    /// Vendor and device; zeros for a platform device.
    pub id: Spanned<(u16, u16)>,
    /// The demand; `None` is neutral.
    pub domain: Option<Spanned<DomainType>>,
    /// Bytes of the window's page part, a multiple of 2 MiB.
    pub window: Spanned<u64>,
    /// Bytes of the window's block part, a multiple of 2 MiB.
    pub block_window: u64,
    /// First IOVA, where it is fixed.
    pub window_base: Option<u64>,
    /// Address bits it can drive; 0 for no limit.
    pub address_bits: u32,
    /// Whether it snoops the caches; `None`: as the platform says.
    pub coherent: Option<bool>,
    /// How the device's maps are invalidated; as `[iommu]` says if nothing is declared.
    pub invalidation: Option<Spanned<Invalidation>>,
    /// The form that configuration space shows.
    pub form: FunctionForm,
    /// Which ACS bits the function has, and which are enabled; none if the file does not say.
    pub acs: Option<Acs>,
    /// Function 0 says that the slot has more functions, declared or not.
    pub multifunction: bool,
    /// Pin of its INTx, 1 to 4; 0 for none.
    pub pin: u8,
    /// The messages by which it signals instead of a line.
    pub messages: Option<Messages>,
    /// The place of its MSI-X table, where it is known.
    pub msi_x: Option<MsiXTable>,
    /// How it is made quiet; `None`: nobody knows.
    pub quiesce: Option<Quiesce>,
    /// The BARs that the file declares, by their index.
    pub bars: BTreeMap<usize, Bar>,
    /// Whether the device's BARs are known. They must be if a task drives it.
    pub bars_known: bool,
    /// The regions that firmware or hardware needs mapped 1:1 at any time.
    pub direct: Vec<Direct>,
    /// Why its stream is not translated.
    pub bypass: Option<Spanned<String>>,
    /// QEMU's model with its properties; without one the device is not emulated.
    pub qemu: Option<String>,
    /// The platform declares it: the machine has it without being told.
    pub built_in: bool,
}

/// A range that is mapped 1:1.
#[derive(Clone, Debug)]
pub struct Direct {
    /// The name of the region.
    pub name: Spanned<String>,
    /// Physical address of the first byte.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

/// Words for [`DomainType`].
pub const DOMAINS: [(&str, DomainType); 3] = [
    ("dma", DomainType::Dma),
    ("identity", DomainType::Identity),
    ("blocked", DomainType::Blocked),
];

/// Bytes of a window unless the device says otherwise.
const WINDOW: u64 = 2 << 20;
/// Bytes covered by one root entry of a domain's tables: a window, both parts, lies in one.
const WINDOW_MAX: u64 = 1 << 30;

/// Reads one device.
pub fn read(name: Spanned<String>, fields: Fields<'_>, known: &KnownDevices) -> Option<Device> {
    let place = place::read(&fields);
    let platform = fields.contains("streams");
    let id = if platform {
        Some(Spanned::new((0, 0), name.span.clone()))
    } else {
        fields.required("id", |fields, key| {
            fields.parsed(key, "an id such as \"1af4:1042\"", units::device_id)
        })
    };
    let domain = fields.choice("domain", &DOMAINS);
    let window = read_window(&fields, "window");
    let block_window = read_window(&fields, "block-window");
    let window_base = read_window_base(&fields);
    let asked_window = [&window, &block_window, &window_base]
        .into_iter()
        .flatten()
        .map(|asked| asked.span.clone())
        .next();
    let window = window.unwrap_or_else(|| Spanned::new(WINDOW, name.span.clone()));
    let block_window = block_window.map_or(0, |size| size.value);
    let window_base = window_base.map(|base| base.value);
    let address_bits = read_address_bits(&fields);
    let coherent = fields.boolean("coherent").map(|coherent| coherent.value);
    let invalidation = invalidation::read(&fields);
    let (pin, messages) = messages::read(&fields);
    let declared_table = messages::read_table(&fields);
    let quiesce = known::read_quiesce(&fields);
    let (mut bars, unknown) = known::read_bars(&fields);
    let direct = read_direct(&fields);
    let bypass = fields.line("unsafe-bypass");
    let qemu = fields.string("qemu").map(|qemu| qemu.value);
    let form = fields.choice("form", &FORMS).map(|form| form.value);
    let declared_acs = super::acs::read(&fields);
    let multifunction = fields.boolean("multifunction").is_some_and(|v| v.value);
    let report = fields.report();
    fields.finish();
    check_size(report, &name, &window, block_window);
    if let Some(asked) = asked_window {
        check_window(report, &name, &asked, bypass.as_ref(), domain.as_ref());
    }
    let id = id?;
    let model = known.get(&id.value).filter(|_| !platform);
    let declared = !bars.is_empty() || !unknown.is_empty();
    if let (Some(model), false) = (model, declared) {
        bars = model.bars.clone();
    }
    let bars_known = platform || unknown.is_empty() && (model.is_some() || !bars.is_empty());
    let acs = super::acs::resolve(report, &name, declared_acs, model);
    Some(Device {
        place: place?,
        domain,
        window,
        block_window,
        window_base,
        address_bits,
        coherent,
        invalidation,
        pin,
        messages,
        msi_x: declared_table.or_else(|| model.and_then(|model| model.msi_x)),
        form: form
            .or_else(|| model.map(|model| model.form))
            .unwrap_or(FunctionForm::Express),
        acs,
        multifunction,
        quiesce: quiesce.or_else(|| model.and_then(|model| model.quiesce)),
        bars,
        bars_known,
        direct,
        bypass,
        built_in: false,
        qemu: known::merge_qemu(model.and_then(|model| model.qemu.clone()), qemu),
        id,
        name,
    })
}

fn check_size(report: &Report, name: &Spanned<String>, window: &Spanned<u64>, block_window: u64) {
    if window.value.saturating_add(block_window) > WINDOW_MAX {
        report
            .error(
                Mistake::Window,
                format!("the window of `{}` is too large", name.value),
            )
            .at(&window.span, "both parts together are at most 1 GiB")
            .remedy("use a smaller `window` or `block-window`");
    }
}

/// A window is IOVA space, which a device only has if its domain translates.
fn check_window(
    report: &Report,
    name: &Spanned<String>,
    asked: &Span,
    bypass: Option<&Spanned<String>>,
    domain: Option<&Spanned<DomainType>>,
) {
    let without_window = match (bypass, domain) {
        (Some(word), _) => Some((&word.span, "is not translated")),
        (None, Some(word)) if word.value == DomainType::Identity => {
            Some((&word.span, "is mapped 1:1"))
        }
        (None, Some(word)) if word.value == DomainType::Blocked => Some((&word.span, "is blocked")),
        _ => None,
    };
    if let Some((span, why)) = without_window {
        report
            .error(
                Mistake::Window,
                format!("`{}` asks for a window that it cannot have", name.value),
            )
            .at(asked, "would be its IOVA space")
            .with(span, why)
            .remedy("leave the window out, or let the domain be `dma`");
    }
}

fn read_direct(fields: &Fields<'_>) -> Vec<Direct> {
    let mut regions = Vec::new();
    for (name, region) in fields.tables("direct") {
        let base = region.required("base", Fields::integer);
        let size = region.required("size", Fields::size);
        region.finish();
        let (Some(base), Some(size)) = (base, size) else {
            continue;
        };
        let page = abi::layout::PAGE;
        if base.value % page != 0
            || size.value % page != 0
            || size.value == 0
            || base.value.checked_add(size.value).is_none()
        {
            fields
                .report()
                .error(Mistake::Window, "a direct region must be whole pages")
                .at(&base.span, "base and size are multiples of 4 KiB");
            continue;
        }
        regions.push(Direct {
            name,
            base: base.value,
            len: size.value,
        });
    }
    // Reports list them, and the order of keys says nothing.
    regions.sort_by_key(|region| (region.base, region.len));
    regions
}

/// The `window-base` key. A device that was never told an address uses 0, which has to be no address at all.
fn read_window_base(fields: &Fields<'_>) -> Option<Spanned<u64>> {
    let base = fields.integer("window-base")?;
    if base.value == 0 {
        fields
            .report()
            .error(Mistake::Window, "a window does not begin at IOVA 0")
            .at(&base.span, "what a device uses that was told no address")
            .remedy(
                "write the first IOVA, a multiple of 2 MiB from 0x200000, or leave it to the plan",
            );
        return None;
    }
    Some(base)
}

/// The `address-bits` key; 0 for no limit.
fn read_address_bits(fields: &Fields<'_>) -> u32 {
    let Some(bits) = fields.word("address-bits") else {
        return 0;
    };
    if !(1..=64).contains(&bits.value) {
        fields
            .report()
            .error(Mistake::BadValue, "an address has 1 to 64 bits")
            .at(&bits.span, "expected how many the device can drive")
            .remedy("leave `address-bits` out if the device has no limit");
        return 0;
    }
    bits.value
}

fn read_window(fields: &Fields<'_>, key: &'static str) -> Option<Spanned<u64>> {
    let size = fields.size(key)?;
    if size.value % abi::layout::BLOCK != 0 || size.value == 0 {
        fields
            .report()
            .error(
                Mistake::Window,
                format!("`{key}` must be a multiple of 2 MiB"),
            )
            .at(&size.span, "not a multiple of 2 MiB");
        return None;
    }
    Some(size)
}
