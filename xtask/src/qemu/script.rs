//! QEMU's command as a shell script, for people who run an image by hand.

use std::path::Path;

use planner::planning::Plan;

use super::{PROGRAM, command};
use crate::disk;

/// The QEMU command as a shell script, whose program the variable `QEMU` can name; disks are those that `run`
/// makes.
pub fn script(plan: &Plan, target: &Path, image: &Path) -> String {
    let disks = plan
        .app
        .disks
        .iter()
        .map(|declared| {
            let file = disk::place(declared.len, &disk::folder(target));
            (declared.name.clone(), file)
        })
        .collect();
    let mut script = format!("#!/bin/sh\nexec \"${{QEMU:-{PROGRAM}}}\"");
    for argument in command(plan, image, &disks) {
        let separator = if argument.starts_with('-') {
            " \\\n  "
        } else {
            " "
        };
        script.push_str(&format!("{separator}'{}'", argument.replace('\'', "'\\''")));
    }
    script.push_str(" \"$@\"\n");
    script
}
