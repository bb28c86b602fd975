//! The machines to test with: emulators, and what each offers in its SMMU.

use std::path::{Path, PathBuf};

use crate::qemu::{self, OLDEST, Qemu, Registers};
use crate::setup;
use planner::failure::Outcome;
use planner::project::Project;
use planner::read::{self, Platform};
use planner::report::Report;

/// A version from here on counts as new: its SMMU has two stages.
const NEW: (u32, u32) = (10, 0);
/// The property of QEMU's SMMU that says which stages it has, and its values.
const STAGES: (&str, [&str; 3]) = ("arm-smmuv3.stage", ["1", "2", "nested"]);

/// A machine that tests are run on.
pub struct Row {
    pub qemu: Qemu,
    /// The variant of the SMMU; empty if it is the usual one.
    pub variant: String,
    /// Further QEMU arguments.
    pub arguments: Vec<String>,
    /// Whether the machine's SMMU has stage 1, as far as it is known.
    pub stage1: bool,
    /// The row is for machines that no QEMU up to this version has, and for nothing else.
    pub beyond: Option<(u32, u32)>,
}

impl Row {
    fn plain(qemu: Qemu) -> Self {
        Self {
            qemu,
            variant: String::new(),
            arguments: Vec::new(),
            stage1: true,
            beyond: None,
        }
    }

    /// Whether a machine that QEMU has from the version `since` on is to be run on it.
    pub fn is_for(&self, since: Option<(u32, u32)>) -> bool {
        self.beyond.is_none_or(|beyond| since > Some(beyond))
    }

    /// Why the emulator cannot make the machine of a system; nothing if it can, or if the file cannot be read, which
    /// the build says.
    pub fn lacks(&self, project: &Project, app: &Path) -> Option<String> {
        let app = read::load(&Report::default(), project, app).ok()?;
        self.qemu.lacks(&app.platform)
    }

    /// `qemu-10.0 virt-7.2 stage=2`.
    pub fn name(&self) -> String {
        let name = format!("qemu-{} {}", self.qemu.name(), self.variant);
        name.trim_end().to_owned()
    }
}

/// The machines to use, and what is left out and why.
pub struct Matrix {
    pub rows: Vec<Row>,
    pub omitted: Vec<(String, String)>,
}

impl Matrix {
    /// One machine for each emulator in `given`, or for the one that is found; downloads go below `target`.
    pub fn plain(given: &[PathBuf], target: &Path) -> Outcome<Self> {
        let emulators = if given.is_empty() {
            vec![setup::emulator(None, target)?]
        } else {
            let named = given.iter().map(|program| Qemu::at(program));
            named.collect::<Outcome<_>>()?
        };
        Ok(Self {
            rows: emulators.into_iter().map(Row::plain).collect(),
            omitted: Vec::new(),
        })
    }

    /// Adds a second emulator if there is none from before and one from after [`NEW`], what each offers, and the newest
    /// one if a machine of the tests needs the version `since`, which none of them is.
    pub fn whole(
        given: &[PathBuf],
        target: &Path,
        platform: &Platform,
        since: Option<(u32, u32)>,
    ) -> Outcome<Self> {
        let mut matrix = Self::plain(given, target)?;
        let versions: Vec<_> = matrix.rows.iter().map(|row| row.qemu.version).collect();
        if !both(&versions) {
            match second(&versions, target) {
                Ok(qemu) => matrix.rows.push(Row::plain(qemu)),
                Err(why) => matrix.omitted.push(("a second QEMU".to_owned(), why)),
            }
        }
        let plain = std::mem::take(&mut matrix.rows);
        let newest = plain.iter().map(|row| row.qemu.version).max();
        for row in plain {
            matrix.add_variants(row, platform);
        }
        if let (Some(since), Some(newest)) = (since, newest)
            && newest < since
        {
            match newest_of_all(since, target) {
                Ok(qemu) => matrix.rows.push(Row {
                    beyond: Some(newest),
                    ..Row::plain(qemu)
                }),
                Err(why) => matrix.omitted.push(("the newest QEMU".to_owned(), why)),
            }
        }
        Ok(matrix)
    }

    /// Adds the machine and those of its variants whose SMMU is another one.
    fn add_variants(&mut self, plain: Row, platform: &Platform) {
        let qemu = plain.qemu.clone();
        let name = plain.name();
        let Some(smmu) = platform.smmus().first().map(|smmu| smmu.base) else {
            self.rows.push(plain);
            return;
        };
        let ask = |arguments: &[String]| {
            let mut all = vec!["-machine".to_owned(), platform.qemu.machine.clone()];
            all.extend(["-cpu".to_owned(), platform.qemu.processor.clone()]);
            all.extend_from_slice(arguments);
            qemu::registers(&qemu, &all, smmu)
        };
        self.rows.push(plain);
        let mut seen = match ask(&[]) {
            Ok(registers) => vec![(String::from("the plain machine"), registers)],
            Err(why) => {
                self.omitted.push((format!("variants of {name}"), why));
                return;
            }
        };
        let mut left_out: Vec<(String, Vec<String>)> = Vec::new();
        for (variant, arguments) in candidates(&qemu::machines(&qemu)) {
            let why = match ask(&arguments).map(|registers| (registers, twin(&seen, registers))) {
                Ok((registers, None)) => {
                    seen.push((variant.clone(), registers));
                    self.rows.push(Row {
                        qemu: qemu.clone(),
                        variant,
                        arguments,
                        stage1: registers.features().stage1,
                        beyond: None,
                    });
                    continue;
                }
                Ok((_, Some(twin))) => format!("the SMMU is that of {twin}"),
                Err(why) => stage_named(&why, &variant),
            };
            match left_out.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, variants)) => variants.push(variant),
                None => left_out.push((why, vec![variant])),
            }
        }
        let omitted = left_out
            .into_iter()
            .map(|(why, variants)| (format!("{name} with {}", variants.join(", ")), why));
        self.omitted.extend(omitted);
    }
}

/// QEMU repeats the value that it refuses; without it the reasons of all values are one.
fn stage_named(why: &str, variant: &str) -> String {
    let value = variant.rsplit('=').next().unwrap_or_default();
    why.replace(&format!("{}={value}", STAGES.0), STAGES.0)
}

/// The row that has the same SMMU.
fn twin(seen: &[(String, Registers)], registers: Registers) -> Option<String> {
    let mut seen = seen.iter();
    let (name, _) = seen.find(|(_, known)| *known == registers)?;
    Some(name.clone())
}

/// Names and arguments: the oldest machine type of an age that is supported, and on it and on the newest every
/// value of the property of the stages. Newer machine types may overrule the property.
fn candidates(machines: &[((u32, u32), String)]) -> Vec<(String, Vec<String>)> {
    let (property, values) = STAGES;
    let oldest = machines.iter().find(|(version, _)| *version >= OLDEST);
    let types = [None, oldest.map(|(_, name)| name.as_str())];
    let mut found = Vec::new();
    for machine in types.into_iter().take(1 + usize::from(oldest.is_some())) {
        for value in [None].into_iter().chain(values.map(Some)) {
            let mut name = Vec::new();
            let mut arguments = Vec::new();
            if let Some(machine) = machine {
                name.push(machine.to_owned());
                arguments.extend(["-machine".to_owned(), machine.to_owned()]);
            }
            if let Some(value) = value {
                name.push(format!("stage={value}"));
                arguments.extend(["-global".to_owned(), format!("{property}={value}")]);
            }
            if !name.is_empty() {
                found.push((name.join(" "), arguments));
            }
        }
    }
    found
}

/// Whether there is one from before [`NEW`] and one from after it.
fn both(versions: &[(u32, u32)]) -> bool {
    let new = |version: &(u32, u32)| *version >= NEW;
    versions.iter().any(new) && !versions.iter().all(new)
}

/// The one that is missing, from the packages of this Debian: a new one from its backports, an old one from
/// the release itself.
fn second(versions: &[(u32, u32)], target: &Path) -> Result<Qemu, String> {
    let codename = setup::release().ok_or(
        "a second QEMU comes from Debian's packages, and this is no Debian; name one with --qemu",
    )?;
    let suite = if versions.iter().all(|version| *version < NEW) {
        setup::backports(&codename)
    } else {
        codename.clone()
    };
    let qemu = setup::private_emulator(&codename, &suite, target)
        .map_err(|why| format!("{why}; name one with --qemu"))?;
    if both(&[versions, &[qemu.version]].concat()) {
        Ok(qemu)
    } else {
        let name = qemu.name();
        Err(format!("that of {suite} is {name}; name one with --qemu"))
    }
}

/// The first version of QEMU that has a system's machine; nothing if any has it, or if the file cannot be read, which the
/// build says.
pub fn since(project: &Project, app: &Path) -> Option<(u32, u32)> {
    let app = read::load(&Report::default(), project, app).ok()?;
    app.platform.qemu.since.map(|(version, _)| version)
}

/// The newest QEMU of Debian, unpacked with all of its libraries: it fits no older release.
fn newest_of_all(since: (u32, u32), target: &Path) -> Result<Qemu, String> {
    let codename = setup::release().ok_or(
        "the newest QEMU comes from Debian's packages, and this is no Debian; name one with --qemu",
    )?;
    let qemu = setup::private_emulator(&codename, setup::NEWEST, target)
        .map_err(|why| format!("{why}; name one with --qemu"))?;
    if qemu.version < since {
        let (name, (major, minor)) = (qemu.name(), since);
        return Err(format!(
            "that of {} is {name}, and {major}.{minor} is needed",
            setup::NEWEST
        ));
    }
    Ok(qemu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each() {
        assert!(both(&[(7, 2), (10, 0)]));
        assert!(!both(&[(7, 2), (8, 0)]));
        assert!(!both(&[(10, 0)]));
    }

    #[test]
    fn oldest_supported_machine_and_all_stages() {
        let machine = |major, minor| ((major, minor), format!("virt-{major}.{minor}"));
        let found = candidates(&[machine(7, 1), machine(8, 0), machine(10, 0)]);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "stage=1",
                "stage=2",
                "stage=nested",
                "virt-8.0",
                "virt-8.0 stage=1",
                "virt-8.0 stage=2",
                "virt-8.0 stage=nested"
            ]
        );
        let (_, arguments) = &found[5];
        let expected = ["-machine", "virt-8.0", "-global", "arm-smmuv3.stage=2"];
        assert_eq!(arguments, &expected);
        assert_eq!(candidates(&[]).len(), 3);
    }

    #[test]
    fn one_reason_for_all_values() {
        let said = |value| format!("can't apply global arm-smmuv3.stage={value}: not found");
        let one = stage_named(&said("1"), "stage=1");
        assert_eq!(one, stage_named(&said("nested"), "virt-7.2 stage=nested"));
    }

    #[test]
    fn the_newest_is_for_what_no_other_has() {
        let qemu = Qemu {
            program: PathBuf::new(),
            version: (11, 1),
        };
        let mut row = Row::plain(qemu);
        assert!(row.is_for(None) && row.is_for(Some((10, 2))));
        row.beyond = Some((10, 0));
        assert!(row.is_for(Some((10, 2))));
        assert!(!row.is_for(Some((10, 0))) && !row.is_for(None));
    }

    #[test]
    fn names_of_rows() {
        let qemu = Qemu {
            program: PathBuf::new(),
            version: (10, 0),
        };
        let mut row = Row::plain(qemu);
        assert_eq!(row.name(), "qemu-10.0");
        row.variant = "virt-7.2 stage=2".to_owned();
        assert_eq!(row.name(), "qemu-10.0 virt-7.2 stage=2");
    }
}
