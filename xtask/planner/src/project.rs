//! Where things lie: the repository, and what is built from it.

use std::path::PathBuf;

/// The folders of the project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target directory, which has everything that is built.
    pub target: PathBuf,
}

impl Project {
    /// The project in a repository whose target directory is the usual one.
    pub fn at(root: PathBuf) -> Self {
        Self {
            target: root.join("target"),
            root,
        }
    }

    /// The folder of the platform files.
    pub fn platforms(&self) -> PathBuf {
        self.root.join("sys/platform")
    }
}
