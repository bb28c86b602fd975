//! Step 1: `app.toml`, its platform and the known devices, as checked values with their places.

mod acs;
mod app;
mod check;
mod device;
mod fields;
mod host;
mod include;
mod iommu;
mod known;
mod pci;
mod place;
mod platform;
mod ranges;
mod registers;
mod task;
pub mod units;

use std::path::{Path, PathBuf};

pub use app::{App, Main, from_text, load};
pub use device::{Device, Direct, Domain, Invalidation};
pub use fields::distance;
pub use host::{Aperture, StreamRow};
pub use iommu::{MismatchPolicy, SolverMode};
pub use known::{Bar, FunctionForm, Quiesce};
pub use pci::{Bridge, EXPANDER, Root};
pub use place::Place;
pub use platform::{Gic, Platform, Psci, REDISTRIBUTOR, Reserved};
pub use ranges::{AddressRange, RangeKind};
pub use registers::PlatformDeviceKind;
pub use task::{Parameter, Task, TaskRight};

use crate::report::{Mistake, Report, Reported, Span};

/// Text of a file as one of the report's files.
struct Source {
    file: usize,
    document: toml_edit::Document<String>,
}

impl Source {
    fn read(report: &Report, path: &Path) -> Result<Self, Reported> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                report.error(
                    Mistake::Unreadable,
                    format!("cannot read {}: {error}", path.display()),
                );
                return Err(Reported);
            }
        };
        Self::parse(report, path, text)
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

/// Where the parts of the project are.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The repository's root.
    pub root: PathBuf,
}

impl Paths {
    /// The folder of the platform files.
    pub fn platforms(&self) -> PathBuf {
        self.root.join("sys/platform")
    }
}
