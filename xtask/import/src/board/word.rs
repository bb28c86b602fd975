//! What a person is told about a part of a board that was left out or is doubtful.

use core::fmt;

/// Where a board states something: the path of a node, or a table with an offset.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place(pub String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One such sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// Where the board states what this is about.
    pub place: Place,
    /// What is wrong, with both parties.
    pub problem: String,
    /// What would mend it, or what to do without it.
    pub remedy: String,
}

impl Word {
    /// The word about a place.
    #[must_use]
    pub fn new(place: &Place, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place, self.problem, self.remedy)
    }
}
