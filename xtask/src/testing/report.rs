//! Reports: JUnit XML for other tools, and a short text.

use std::path::{Path, PathBuf};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Case, Outcome};
use planner::failure::{self, Failure};

/// The results of one stage, in the order they came.
pub type Stage = (String, Vec<Case>);

/// Writes `junit.xml` and `report.txt` into `folder`: their places.
pub fn write(folder: &Path, stages: &[Stage]) -> failure::Outcome<[PathBuf; 2]> {
    let xml = junit(stages).map_err(Failure::when("cannot make the JUnit report"))?;
    std::fs::create_dir_all(folder)
        .map_err(Failure::when(format!("cannot make {}", folder.display())))?;
    let files = [folder.join("junit.xml"), folder.join("report.txt")];
    for (file, text) in files.iter().zip([xml, text(stages)]) {
        std::fs::write(file, text)
            .map_err(Failure::when(format!("cannot write {}", file.display())))?;
    }
    Ok(files)
}

fn junit(stages: &[Stage]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("portcullis");
    for (name, cases) in stages {
        let mut suite = TestSuite::new(name.as_str());
        for case in cases {
            let status = match &case.outcome {
                Outcome::Passed => TestCaseStatus::success(),
                Outcome::Failed(why) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(why.as_str());
                    status.set_description(case.log.join("\n"));
                    status
                }
                Outcome::Skipped(why) => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(why.as_str());
                    status
                }
            };
            let mut entry = TestCase::new(case.name.as_str(), status);
            entry.set_time(case.time);
            suite.add_test_case(entry);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

/// One line a stage, then what did not pass and the slowest tests.
fn text(stages: &[Stage]) -> String {
    let mut text = String::new();
    for (name, cases) in stages {
        let [passed, failed, skipped] = counts(cases);
        let seconds: f64 = cases.iter().map(|case| case.time.as_secs_f64()).sum();
        text += &format!(
            "{name}: {passed} passed, {failed} failed, {skipped} skipped, {seconds:.1} s\n"
        );
    }
    let all = || stages.iter().flat_map(|(_, cases)| cases);
    for case in all() {
        match &case.outcome {
            Outcome::Passed => {}
            Outcome::Failed(why) => text += &format!("FAILED {}: {why}\n", case.name),
            Outcome::Skipped(why) => text += &format!("skipped {}: {why}\n", case.name),
        }
    }
    let mut slow: Vec<&Case> = all().collect();
    slow.sort_by_key(|case| std::cmp::Reverse(case.time));
    for case in slow.iter().take(10) {
        text += &format!("{:7.1} s  {}\n", case.time.as_secs_f64(), case.name);
    }
    text
}

/// Passed, failed, skipped.
pub fn counts<'a>(cases: impl IntoIterator<Item = &'a Case>) -> [usize; 3] {
    let mut counts = [0; 3];
    for case in cases {
        let [passed, failed, skipped] = &mut counts;
        *match case.outcome {
            Outcome::Passed => passed,
            Outcome::Failed(_) => failed,
            Outcome::Skipped(_) => skipped,
        } += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages() -> Vec<Stage> {
        let mut failed = Case::new(
            "kernel::b",
            Outcome::Failed("server: lived <on>".to_owned()),
        );
        failed.log.push("server  up".to_owned());
        let cases = vec![
            Case::new("kernel::a", Outcome::Passed),
            failed,
            Case::new("kernel::c", Outcome::Skipped("no ATS".to_owned())),
        ];
        vec![("kernel".to_owned(), cases)]
    }

    #[test]
    fn junit_of_each_outcome() {
        let xml = junit(&stages()).unwrap();
        assert!(xml.contains(r#"tests="3""#), "{xml}");
        assert!(xml.contains("server: lived &lt;on&gt;"), "{xml}");
        assert!(xml.contains("server  up"), "{xml}");
        assert!(xml.contains("<skipped"), "{xml}");
    }

    #[test]
    fn text_of_each_outcome() {
        let text = text(&stages());
        assert!(text.starts_with("kernel: 1 passed, 1 failed, 1 skipped"));
        assert!(text.contains("FAILED kernel::b: server: lived <on>\n"));
        assert!(text.contains("skipped kernel::c: no ATS\n"));
    }
}
