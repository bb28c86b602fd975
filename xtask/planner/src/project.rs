//! Where things lie: the repository, and what is built from it.

use std::path::PathBuf;

/// The folders of the project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target directory, which has everything that is built.
    pub target: PathBuf,
    /// A file of `sys/platform` that is taken for the one that a system names; the system's name then ends with it.
    pub platform: Option<String>,
}

impl Project {
    /// The project in a repository whose target directory is the usual one.
    pub fn at(root: PathBuf) -> Self {
        Self {
            target: root.join("target"),
            root,
            platform: None,
        }
    }

    /// The project with every system on another platform, if one is given.
    pub fn on(&self, platform: Option<&str>) -> Self {
        Self {
            platform: platform
                .map(str::to_owned)
                .or_else(|| self.platform.clone()),
            ..self.clone()
        }
    }

    /// The folder of the platform files.
    pub fn platforms(&self) -> PathBuf {
        self.root.join("sys/platform")
    }
}
