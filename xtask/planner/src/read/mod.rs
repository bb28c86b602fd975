//! Step 1: `app.toml`, its platform and the known devices, as checked values with their places.

mod acs;
mod app;
mod check;
mod console;
mod device;
mod emulated;
mod fields;
mod host;
mod include;
mod invalidation;
mod iommu;
mod known;
mod load;
mod messages;
mod parts;
mod pci;
mod place;
mod platform;
mod ranges;
mod registers;
mod task;
mod time;
pub mod units;

use std::path::Path;

pub use app::{App, Disk, Main};
pub use check::lends::pool_of;
pub use console::{Console, UartKind};
pub use device::{Device, Direct};
pub use emulated::Emulated;
pub use fields::distance;
pub use host::{Aperture, StreamRow};
pub use invalidation::{Invalidation, LazyBounds};
pub use iommu::MismatchPolicy;
pub use known::{Bar, FunctionForm, Quiesce};
pub use load::{from_text, load};
pub use messages::{MessageKind, Messages, MsiXTable};
pub use parts::Reserved;
pub use pci::{Bridge, EXPANDER, Root};
pub use place::Place;
pub use platform::{GIC_FRAME, Gic, Platform, Psci, REDISTRIBUTOR};
pub use ranges::{AddressRange, RangeKind};
pub use registers::{PlatformDevice, PlatformDeviceKind};
pub use task::{BOOT_CORE, Lend, Parameter, Task, TaskRight};
pub use time::{BUDGET_LEAST, Budget, ProcessorTime};

use crate::report::{Mistake, Report, Reported, Span};

/// Text of a file as one of the report's files.
struct Source {
    file: usize,
    document: toml_edit::Document<String>,
}

impl Source {
    fn read(report: &Report, path: &Path) -> Result<Self, Reported> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                report.error(
                    Mistake::Unreadable,
                    format!("cannot read {}: {error}", path.display()),
                );
                return Err(Reported);
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(report, path, text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                // What no character is becomes one that stands for it, of three bytes.
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let file = report.add_file(path, &text);
                let range = valid..valid + char::REPLACEMENT_CHARACTER.len_utf8();
                report
                    .error(Mistake::Unreadable, "this is not UTF-8")
                    .at(&Span { file, range }, "no character begins so")
                    .remedy("save the file as UTF-8");
                Err(Reported)
            }
        }
    }

    fn parse(report: &Report, path: &Path, text: String) -> Result<Self, Reported> {
        let file = report.add_file(path, &text);
        match toml_edit::Document::parse(text) {
            Ok(document) => Ok(Self { file, document }),
            Err(error) => {
                let range = error.span().unwrap_or(0..0);
                report
                    .error(Mistake::Syntax, "this is not TOML")
                    .at(&Span { file, range }, error.message());
                Err(Reported)
            }
        }
    }

    fn fields<'a>(&'a self, report: &'a Report) -> fields::Fields<'a> {
        let span = Span {
            file: self.file,
            range: 0..0,
        };
        fields::Fields::new(report, "", self.document.as_table(), span)
    }
}
