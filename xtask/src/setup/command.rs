//! Programs that are asked something.

use std::process::{Command, Stdio};

/// Standard output of a program; the last thing it said if it fails.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("cannot run {}: {error}", command.get_program().display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stderr);
    let last = said.trim().lines().last().unwrap_or("it failed");
    Err(format!("{}: {last}", command.get_program().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_said_last() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out; echo first >&2; echo last >&2; exit 3"]);
        assert_eq!(output(&mut shell), Err("sh: last".to_owned()));
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out"]);
        assert_eq!(output(&mut shell), Ok("out\n".to_owned()));
        assert!(output(&mut Command::new("/nonexistent/program")).is_err());
    }
}
