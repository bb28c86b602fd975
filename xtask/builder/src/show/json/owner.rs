//! The owner of a device, as `plan.json` has it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of the owners that there are.
const TASK: &str = "task";

/// An owner by kind and name: two of different kinds may have one name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Debug)]
pub struct Owner {
    kind: String,
    name: String,
}

impl Owner {
    /// The task of that name.
    pub fn task(name: impl Into<String>) -> Self {
        Self {
            kind: TASK.to_owned(),
            name: name.into(),
        }
    }
}

/// A task by its name alone, as everywhere in reports.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != TASK {
            write!(f, "{} ", self.kind)?;
        }
        f.write_str(&self.name)
    }
}
