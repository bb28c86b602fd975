//! The second opinion on an image, by a reader that shares no code with what made it.

use verify::Verified;

use planner::failure::{Failure, Outcome};

/// Differences that a message shows: one fault in a table may make thousands.
const SHOWN: usize = 20;

/// Compares an image with the text of its `plan.json`.
///
/// # Errors
/// With the differences; nobody should run such an image.
pub fn verified(image: &[u8], plan: &str) -> Outcome<Verified> {
    let verified = verify::verify(image, plan).map_err(Failure::new)?;
    if verified.findings.is_empty() {
        return Ok(verified);
    }
    let mut message = "the image and its plan.json differ, so it is not to be run".to_owned();
    for finding in verified.findings.iter().take(SHOWN) {
        message.push_str(&format!("\n  {finding}"));
    }
    let more = verified.findings.len().saturating_sub(SHOWN);
    if more > 0 {
        message.push_str(&format!("\n  and {more} more"));
    }
    Err(Failure::new(message))
}

#[cfg(test)]
mod tests;
