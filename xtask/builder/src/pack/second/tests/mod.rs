//! Images with a fault in one place, which the second opinion must find.

mod document;
mod place;
mod several;
mod smmu;
mod tasks;

use std::path::{Path, PathBuf};

use super::*;
use crate::compile::made_up;
use crate::layout::Layout;
use crate::pack::image;
use crate::show::json;
use planner::planning::Plan;
use planner::project::Project;
use planner::read;
use planner::report::Report;

/// An image of a system of this repository with made-up programs, and its `plan.json`.
struct Built {
    image: Vec<u8>,
    plan: String,
    addresses: verify::Addresses,
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// The layout of a system, if it can be planned and laid out.
fn layout_of(report: &Report, file: &Path) -> Option<(Plan, Layout)> {
    let app = read::load(report, &Project::at(root()), file).ok()?;
    let plan = Plan::new(report, app).ok()?;
    let programs = made_up::programs(plan.app.tasks.len());
    let layout = Layout::new(report, &plan, &programs).ok()?;
    Some((plan, layout))
}

fn verified_image((plan, layout): &(Plan, Layout)) -> Outcome<Built> {
    let image = image::build(plan, layout)?;
    let plan = json(plan, Some(layout.placement()));
    let addresses = verified(&image, &plan)?.addresses;
    Ok(Built {
        image,
        plan,
        addresses,
    })
}

fn built(app: &str) -> Built {
    let report = Report::default();
    let layout = layout_of(&report, &root().join(app));
    verified_image(&layout.unwrap_or_else(|| panic!("{}", report.text()))).unwrap()
}

const SUITE: &str = "tests/suites/iommu/app.toml";

impl Built {
    fn base(&self) -> u64 {
        self.word_of(80)
    }

    fn word_of(&self, offset: usize) -> u64 {
        u64::from_le_bytes(*self.image[offset..].first_chunk().unwrap())
    }

    fn offset(&self, at: u64) -> usize {
        usize::try_from(at - self.base()).unwrap()
    }

    fn word(&self, at: u64) -> u64 {
        self.word_of(self.offset(at))
    }

    /// What is found if the word at `at` is another one.
    fn with(&self, at: u64, change: impl FnOnce(u64) -> u64) -> String {
        let mut image = self.image.clone();
        let offset = self.offset(at);
        let word = change(self.word(at));
        assert_ne!(word, self.word(at), "nothing is changed");
        image[offset..][..8].copy_from_slice(&word.to_le_bytes());
        let verified = verify::verify(&image, &self.plan);
        verified.map_or_else(|error| error, |verified| verified.findings.join("\n"))
    }

    /// The bits, by address and number, that nobody misses: of each word of 32 bits all, of every `step`th word.
    fn unnoticed(&self, start: u64, len: u64, step: usize) -> Vec<(u64, u32)> {
        let mut image = self.image.clone();
        let mut silent = Vec::new();
        for at in (start..start + len).step_by(4 * step) {
            let offset = self.offset(at);
            for bit in 0..32 {
                let place = offset + bit as usize / 8;
                image[place] ^= 1 << (bit % 8);
                let verified = verify::verify(&image, &self.plan);
                if verified.is_ok_and(|verified| verified.findings.is_empty()) {
                    silent.push((at, bit));
                }
                image[place] ^= 1 << (bit % 8);
            }
        }
        silent
    }

    fn leaf(&self, whose: &str, which: impl Fn(&verify::Leaf) -> bool) -> verify::Leaf {
        let mut all = self.addresses.leaves.iter();
        let found = all.find(|(name, leaf)| name == whose && which(leaf));
        found.unwrap_or_else(|| panic!("no such leaf of {whose}")).1
    }

    /// Where the record with a number is, in the plan at `blob`.
    fn record(&self, blob: u64, kind: u32, number: u64) -> u64 {
        let sections = self.word(blob) >> 48;
        let section = (0..sections).map(|index| blob + 16 + index * 16);
        let section = section
            .into_iter()
            .find(|section| self.word(*section) as u32 == kind)
            .unwrap();
        let stride = self.word(section) >> 32;
        blob + (self.word(section + 8) as u32 as u64) + number * stride
    }
}

fn found(findings: &str, words: &str) {
    assert!(findings.contains(words), "no `{words}` in: {findings}");
}

/// Files below a folder that declare tasks.
fn systems(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            systems(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && std::fs::read_to_string(&path)
                .unwrap()
                .contains("\n[tasks.")
        {
            found.push(path);
        }
    }
}

/// The domain of the suite in which the image maps something.
fn direct_asid(built: &Built) -> String {
    let mut names = built.addresses.leaves.iter().map(|(name, _)| name);
    let name = names.find_map(|name| name.strip_prefix("domain ")?.strip_suffix(" of smmu"));
    name.unwrap().to_owned()
}
