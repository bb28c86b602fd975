//! `explain`: the long text of a diagnostic's code.

use crate::output::say;
use planner::failure::{Failure, Outcome};
use planner::report::Mistake;

pub fn run(code: &str) -> Outcome<u8> {
    let upper = code.to_ascii_uppercase();
    if let Some(code) = solver::Code::parse(&upper) {
        say!("{code}: {}\n\n{}", code.title(), code.explain());
        return Ok(0);
    }
    if let Some(mistake) = Mistake::parse(&upper) {
        say!(
            "{}: {}\n\n{}",
            mistake.code(),
            mistake.title(),
            mistake.explain()
        );
        return Ok(0);
    }
    let own = Mistake::ALL.iter().map(|mistake| mistake.code());
    let solver = solver::Code::ALL.iter().map(ToString::to_string);
    let known: Vec<String> = own.chain(solver).collect();
    Err(Failure::new(format!(
        "there is no code `{code}`; known are {}",
        known.join(" ")
    )))
}
