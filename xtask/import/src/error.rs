//! Mistakes in a dump.

/// One thing that is wrong with a dump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// Line in the text, from 1; 0 if no line is to blame.
    pub line: usize,
    /// The error's kind.
    pub kind: ErrorKind,
    /// The mistake, in one sentence.
    pub message: String,
    /// How to get a dump without it; empty if a later error says the same.
    pub help: &'static str,
}

/// Kind of an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// No function at all: not the output of `lspci`.
    Empty,
    /// A line that is neither a function, nor a hexadecimal line, nor an indented text.
    Line,
    /// A hexadecimal line is damaged: other digits, a gap, the wrong offset.
    Hex,
    /// A function's configuration space ends in the middle of a line, or at a size no function has.
    Truncated,
    /// 64 bytes only: run by a user who may not read more.
    NotRoot,
    /// 256 bytes only where the capabilities beyond are needed: `-xxx` instead of `-xxxx`.
    NotExtended,
    /// No hexadecimal lines at all.
    NoDump,
    /// Text without the contents of capabilities: `-v` instead of `-vvv`.
    TooTerse,
    /// The configuration space reads as ones: the function is powered down or gone.
    Asleep,
    /// The contents contradict themselves.
    Contradiction,
    /// A function is listed twice.
    Duplicate,
    /// Bridges have the same bus numbers, or there were not enough of them.
    BusNumbers,
    /// A bus has functions, but no bridge leads to it.
    MissingBridge,
}

const AGAIN: &str =
    "run `sudo lspci -Dnxxxx 2>/dev/null` on the machine again and keep all of its output";

impl Error {
    pub(crate) fn new(line: usize, kind: ErrorKind, message: String) -> Self {
        let help = match kind {
            ErrorKind::NotRoot => "run `lspci -Dnxxxx` as root: others see the first 64 bytes only",
            ErrorKind::NotExtended => {
                "use `-xxxx` (four x): ACS is a capability beyond the first 256 bytes"
            }
            ErrorKind::NoDump => "add `-xxxx`, so that the configuration space is printed",
            ErrorKind::TooTerse => "use `-vvv` (three v), or better `-xxxx`",
            ErrorKind::Asleep => {
                "wake the function (`echo on > /sys/bus/pci/devices/ADDRESS/power/control`) and dump again"
            }
            ErrorKind::BusNumbers => {
                "let the buses be numbered anew, with room below each bridge (Linux: `pci=assign-busses`, and `hpbussize=` with fewer), and dump again"
            }
            ErrorKind::Empty
            | ErrorKind::Line
            | ErrorKind::Hex
            | ErrorKind::Truncated
            | ErrorKind::Contradiction
            | ErrorKind::Duplicate
            | ErrorKind::MissingBridge => AGAIN,
        };
        Self {
            line,
            kind,
            message,
            help,
        }
    }
}

/// Errors of one kind that are told one by one.
const TOLD: usize = 3;

/// The first errors of each kind, then how many more there are. The advice stands at the last.
pub(crate) fn condense(errors: Vec<Error>) -> Vec<Error> {
    let mut kinds: Vec<ErrorKind> = Vec::new();
    for error in &errors {
        if !kinds.contains(&error.kind) {
            kinds.push(error.kind);
        }
    }
    let mut condensed = Vec::new();
    for kind in kinds {
        let mut same: Vec<Error> = errors.iter().filter(|e| e.kind == kind).cloned().collect();
        let more = same.len().saturating_sub(TOLD);
        if more > 1 {
            same.truncate(TOLD);
            same.push(Error::new(0, kind, format!("and {more} more like these")));
        }
        if let Some((_, others)) = same.split_last_mut() {
            others.iter_mut().for_each(|error| error.help = "");
        }
        condensed.append(&mut same);
    }
    condensed
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.line != 0 {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{}", self.message)?;
        if self.help.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.help)
    }
}

impl core::error::Error for Error {}
