//! What the cases of a run come to, and what the record says of them.

use super::*;

#[test]
fn one_case_that_failed_is_a_run_that_failed() {
    let case = |outcome| Case::new("a::b", outcome);
    let skipped = || case(Outcome::Skipped("there is none".to_owned()));
    let failed = || case(Outcome::Failed("late".to_owned()));
    let passed = || case(Outcome::Passed);
    assert!(matches!(End::of(vec![skipped(), passed()]), End::Passed));
    assert!(matches!(End::of(vec![skipped()]), End::Skipped(why) if why == "there is none"));
    let end = End::of(vec![passed(), failed(), skipped()]);
    assert!(matches!(end, End::Failed(cases) if cases.len() == 1));
}

#[test]
fn an_unjudged_failure_is_not_forgotten() {
    let unit = Unit {
        name: "a".to_owned(),
        app: PathBuf::new(),
        what: What::Image(Suite::sample("a")),
    };
    let mut record = Record::default();
    assert!(known(&unit, &record).is_none());
    let broken = |reason: &str| Broken {
        unit: "a".to_owned(),
        commit: "12".to_owned(),
        qemu: "7.2".to_owned(),
        cases: vec!["a::b: late".to_owned()],
        reason: reason.to_owned(),
    };
    let mut judged = Record::default();
    judged.failed(broken("It waits longer."));
    assert!(known(&unit, &judged).is_none());
    assert_eq!(
        Plan::new(std::slice::from_ref(&unit), &judged).left(),
        ENOUGH
    );
    record.failed(broken(""));
    assert!(known(&unit, &record).is_some_and(|case| case.failed()));
    assert_eq!(Plan::new(std::slice::from_ref(&unit), &record).left(), 0);
    for _ in 0..ENOUGH {
        judged.passed("a", "12", "7.2");
    }
    let case = known(&unit, &judged);
    assert!(case.is_some_and(|case| case.outcome == Outcome::Passed));
}
