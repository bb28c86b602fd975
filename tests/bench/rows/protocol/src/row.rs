//! One figure: how it is measured and how it is reported.

use userlib::time;

/// Runs `operation` and returns what it took, without the cost of reading the counter.
#[inline(always)]
pub fn instructions<T>(operation: impl FnOnce() -> T) -> (u32, T) {
    let nothing = {
        let start = time::instructions();
        time::instructions().wrapping_sub(start)
    };
    let start = time::instructions();
    let result = operation();
    let end = time::instructions();
    (end.wrapping_sub(start).saturating_sub(nothing), result)
}

/// Samples of one row. The first is a warm-up: it may find a stale id or an unpredicted path.
const SAMPLES: usize = 5;

/// Median of some repetitions; each sample is `None` if the operation failed.
pub fn median(mut sample: impl FnMut() -> Option<u32>) -> Option<u32> {
    let mut samples = [0; SAMPLES];
    sample()?;
    for slot in &mut samples {
        *slot = sample()?;
    }
    samples.sort_unstable();
    samples.get(SAMPLES / 2).copied()
}

/// Reports one row, in the form that `cargo xtask bench` reads. False if there is no figure. A function of its own, whose
/// entries tell a trace which row was counted before.
#[inline(never)]
pub fn report(name: &'static str, figure: Option<u32>) -> bool {
    match figure {
        Some(figure) => defmt::info!("row {=str} {=u32}", name, figure),
        None => defmt::error!("row {=str} failed", name),
    }
    figure.is_some()
}

/// Reports what must not take longer than a document says; false if it does, or there is no figure.
pub fn report_bounded(name: &'static str, figure: Option<u32>, bound: u64) -> bool {
    let within = figure.is_some_and(|figure| u64::from(figure) <= bound);
    if !within {
        defmt::error!("row {=str} is bounded by {=u64}", name, bound);
    }
    report(name, figure) && within
}

/// Reports a time with interrupts masked; false if it is longer than the specification allows, or nothing was
/// counted.
pub fn report_masked(name: &'static str, figure: u32) -> bool {
    report(name, Some(figure));
    (1..=abi::LONGEST_MASKED).contains(&figure)
}
