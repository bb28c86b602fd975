//! A second opinion on a finished image: what its tables let every task and every device reach, compared with `plan.json`.
//!
//! The reader shares no code with the build step, only the architecture's formats (Arm ARM D8, IHI 0070 5) and
//! `docs/reference/image.md`. It starts where the processor and the SMMU start, at the boot header and at the stream
//! table, follows every pointer, and says what it finds that `plan.json` does not say, and the reverse. A few rules
//! it holds by itself, whatever the plan says: nothing is writable and executable, nobody but the IOMMU server has the
//! SMMU's tables, no task has another's memory unless both are named for it.
#![forbid(unsafe_code)]

mod agreement;
mod blob;
mod expected;
mod header;
mod image;
mod kernel;
mod leaf;
mod messages;
mod pci;
mod run;
mod sharing;
mod signals;
mod smmu;
mod spaces;
mod supervisor;
mod told;
mod walk;

use std::fmt::{Debug, Display};

pub use leaf::Leaf;

/// The findings of a check, and where it looked.
#[derive(Debug, Default)]
pub struct Verified {
    /// The differences, one line each; none if the image does what its plan says.
    pub findings: Vec<String>,
    /// Tasks whose address spaces were walked.
    pub tasks: usize,
    /// Stream table entries that were read, those that abort included.
    pub streams: usize,
    /// Domains whose tables were walked.
    pub domains: usize,
    /// Tables that were read: of the kernel, of tasks and of domains.
    pub tables: usize,
    /// The addresses of everything, for tests that seed faults.
    pub addresses: Addresses,
}

/// An entry of a stream table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Number of the SMMU.
    pub smmu: u32,
    /// Its StreamID.
    pub stream: u32,
    /// Its physical address.
    pub at: u64,
}

/// Physical addresses of what was read.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Leaf descriptors, with whose they are: `kernel`, `task NAME`, `domain ASID of SMMU`.
    pub leaves: Vec<(String, Leaf)>,
    /// Stream table entries of every SMMU.
    pub entries: Vec<Entry>,
    /// Context descriptors by ASID, those of the first SMMU first.
    pub contexts: Vec<(u16, u64)>,
    /// The first stream table descriptor of each SMMU.
    pub stream_tables: Vec<u64>,
    /// The kernel's plan.
    pub kernel_plan: u64,
    /// The plans of all tasks, by their numbers.
    pub task_plans: Vec<u64>,
    /// The supervisor's plan.
    pub supervisor_plan: u64,
    /// The PCI task's plan; 0 without one.
    pub pci_plan: u64,
    /// The IOMMU server's plan; 0 without one.
    pub server_plan: u64,
}

impl Verified {
    fn say(&mut self, finding: impl Into<String>) {
        self.findings.push(finding.into());
    }

    /// Says so if what the image tells is not what `plan.json` says.
    fn compare<T: PartialEq + Debug>(
        &mut self,
        whose: impl Display,
        what: &str,
        told: &T,
        planned: &T,
    ) {
        if told != planned {
            self.say(format!(
                "{whose}: {what} {told:x?}, plan.json says {planned:x?} (numbers are hexadecimal)"
            ));
        }
    }

    /// Compares the rows of a table; only rows that differ are reported.
    fn compare_rows<T: PartialEq + Debug>(
        &mut self,
        whose: impl Display,
        what: &str,
        told: Option<&[T]>,
        planned: &[T],
    ) {
        let Some(told) = told else {
            self.say(format!(
                "{whose}: {what} records that are another's, or none"
            ));
            return;
        };
        let before = self.findings.len();
        for row in told.iter().filter(|row| !planned.contains(row)) {
            self.say(format!(
                "{whose}: {what} {row:x?}, not in plan.json (numbers are hexadecimal)"
            ));
        }
        for row in planned.iter().filter(|row| !told.contains(row)) {
            self.say(format!(
                "{whose}: {what} {row:x?} in plan.json only (numbers are hexadecimal)"
            ));
        }
        if told != planned && self.findings.len() == before {
            self.say(format!(
                "{whose}: {what} the same in another order, or more than once"
            ));
        }
    }
}

/// Compares an image's bytes with the text of its `plan.json`.
///
/// # Errors
/// What cannot be read at all: a file that is no plan, or an image whose header or plans make no sense.
pub fn verify(image: &[u8], plan: &str) -> Result<Verified, String> {
    let plan = expected::read(plan)?;
    let image = image::Image::new(image)?;
    let mut verified = Verified::default();
    let spaces = spaces::check(&image, &plan, &mut verified)?;
    agreement::check(&plan, &mut verified);
    sharing::check(&plan, &spaces, &mut verified);
    told::check(&image, &plan, &spaces, &mut verified);
    supervisor::check(&image, &plan, &spaces, &mut verified)?;
    pci::check(&image, &plan, &spaces, &mut verified)?;
    messages::check(&image, &plan, &spaces, &mut verified)?;
    smmu::check(&image, &plan, &spaces, &mut verified)?;
    Ok(verified)
}
