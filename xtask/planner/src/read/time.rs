//! `budget` and `trusted-time`: how much processor time a task may use.

use super::fields::Fields;
use super::units;
use crate::report::{Mistake, Span, Spanned};

/// Processor time, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// The processor time that may be used, in nanoseconds.
    pub time: u64,
    /// The length of the stretches in which that much may be used, in nanoseconds.
    pub period: u64,
}

/// What a task says of its processor time.
#[derive(Clone, Debug)]
pub enum ProcessorTime {
    /// The task declares nothing: it has its share of what the others leave.
    Share,
    /// The task declares a budget.
    Own(Spanned<Budget>),
    /// The task is trusted with time: what it does of itself is not limited.
    Trusted,
}

/// The smallest budget, in nanoseconds.
pub const BUDGET_LEAST: u64 = 50_000;
/// The longest period of a budget, in nanoseconds.
const PERIOD_MOST: u64 = 1_000_000_000;

/// Reads the keys of a task, of which `supervises` is the right that makes it the supervisor. That one is trusted whether it says so or not: whatever it does
/// keeps the system alive, and no task could bring it back.
pub fn read(fields: &Fields<'_>, supervises: Option<&Span>) -> ProcessorTime {
    let budget = read_budget(fields);
    let trusted = fields.flag("trusted-time");
    match (budget, trusted, supervises) {
        (Some(budget), Some(trusted), _) => {
            contradiction(fields, &budget, &trusted, "says that it has no limit");
            ProcessorTime::Trusted
        }
        (Some(budget), None, Some(supervises)) => {
            contradiction(fields, &budget, supervises, "has no limit with this right");
            ProcessorTime::Trusted
        }
        (None, Some(_), _) | (_, None, Some(_)) => ProcessorTime::Trusted,
        (Some(budget), None, None) => ProcessorTime::Own(budget),
        (None, None, None) => ProcessorTime::Share,
    }
}

fn contradiction(fields: &Fields<'_>, budget: &Spanned<Budget>, other: &Span, why: &str) {
    drop(
        fields
            .report()
            .error(
                Mistake::TrustedBudget,
                "a task that is trusted with time has no budget",
            )
            .at(&budget.span, "a limit")
            .with(other, why),
    );
}

fn read_budget(fields: &Fields<'_>) -> Option<Spanned<Budget>> {
    let budget = fields.parsed("budget", "a budget such as \"2 ms per 10 ms\"", |text| {
        let (time, period) = units::share(text)?;
        Some(Budget { time, period })
    })?;
    let Budget { time, period } = budget.value;
    let wrong = if time < BUDGET_LEAST {
        Some("at least 50 us, or a task cannot make a few calls in it")
    } else if time > period {
        Some("at most its period")
    } else if period > PERIOD_MOST {
        Some("a period of at most 1 s")
    } else {
        None
    };
    if let Some(label) = wrong {
        fields
            .report()
            .error(Mistake::BadValue, "a budget that cannot be kept")
            .at(&budget.span, label)
            .remedy("write for example \"2 ms per 10 ms\", or leave `budget` out for an even share of what is left");
        return None;
    }
    Some(budget)
}
