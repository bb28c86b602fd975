//! From frames to lines: each task's records are decoded with that task's program.

use abi::log::RECORD_MAX;
use defmt_decoder::Table;
use defmt_parser::{Fragment, ParserMode, Type};

use status_api::Unreadable;

use super::dist::Task;
use super::piece::Piece;
use super::status::{self, Told};
use builder::compile::Programs;
use planner::planning::Plan;

/// Stands in the place of a task's name where the tool speaks of the line itself. No task can have it: names have no
/// parentheses.
const LINE: &str = "(line)";

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// Name of the task whose ring it is from, or `(line)`; none for the kernel.
    pub task: Option<String>,
    /// `warn` or `error` where the line says so.
    pub level: Level,
    pub text: String,
    /// The part of a status snapshot that it is, if a task says so that may inspect.
    pub status: Option<Result<Told, Unreadable>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Plain,
    Warning,
    Error,
    /// Words out of a stretch of the console that is damaged: nobody knows whose they are.
    Torn,
}

/// Whether decoding a record takes memory in proportion to its length. A record names formats by number, any of
/// its program's, and the task that wrote it is not trusted.
fn is_bounded(table: &Table) -> bool {
    table.raw_symbols().all(|symbol| {
        let symbol: Option<serde_json::Value> = serde_json::from_str(symbol).ok();
        let format = symbol
            .as_ref()
            .and_then(|symbol| symbol.get("data")?.as_str());
        format.is_some_and(has_bound)
    })
}

/// A slice of things with formats of their own is as long as four bytes of the record say, and its elements may
/// take no bytes at all. Everything else is as long as its bytes, or as its format says.
fn has_bound(format: &str) -> bool {
    // What is no format is a name or an interned string.
    let fragments = defmt_parser::parse(format, ParserMode::ForwardsCompatible).unwrap_or_default();
    fragments.iter().all(|fragment| match fragment {
        Fragment::Parameter(parameter) => match parameter.ty {
            Type::FormatSlice => false,
            Type::FormatArray(len) | Type::U8Array(len) => len <= RECORD_MAX,
            _ => true,
        },
        Fragment::Literal(_) => true,
    })
}

/// Decodes pieces of the console.
#[derive(Default)]
pub struct Decoder {
    tasks: Vec<(String, Option<Table>)>,
    /// Numbers of the tasks that may inspect.
    inspectors: Vec<u16>,
}

impl Decoder {
    /// A program without a log has no table, and nothing of it can be decoded; nor of one whose records could
    /// exhaust memory.
    pub fn new(plan: &Plan, programs: &Programs) -> Self {
        let tasks = plan.app.tasks.iter().zip(&programs.tasks);
        Self::of(tasks.map(|(task, program)| Task {
            name: task.name.value.clone(),
            inspects: task.inspects,
            elf: program.elf.clone(),
        }))
    }

    /// From the tasks in the order of their numbers.
    pub fn of(tasks: impl IntoIterator<Item = Task>) -> Self {
        let mut decoder = Self::default();
        for (number, task) in (0..).zip(tasks) {
            let table = Table::parse(&task.elf).ok().flatten();
            decoder.tasks.push((task.name, table.filter(is_bounded)));
            if task.inspects {
                decoder.inspectors.push(number);
            }
        }
        decoder
    }

    /// The names of the tasks.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|(name, _)| name.as_str())
    }

    /// The line of a piece.
    pub fn line(&self, piece: Piece) -> Line {
        let line = |task, level, text| Line {
            task,
            level,
            text,
            status: None,
        };
        let of_line = |text| line(Some(LINE.to_owned()), Level::Warning, text);
        match piece {
            Piece::Text(text) => line(None, Level::Plain, text),
            Piece::Torn(text) => line(None, Level::Torn, text),
            Piece::Lost(task, bytes) => line(
                Some(self.name(task)),
                Level::Warning,
                format!("{bytes} bytes of this log were lost"),
            ),
            Piece::Record(task, record) => self.record(task, &record),
            Piece::Damaged(bytes) => {
                of_line(format!("{bytes} bytes that are neither frame nor text"))
            }
            Piece::Missing(1) => of_line("a frame is missing".to_owned()),
            Piece::Missing(frames) => of_line(format!("{frames} frames are missing")),
            Piece::Repeated => of_line("a frame came twice".to_owned()),
            Piece::Again => of_line("the frames are numbered anew: another boot".to_owned()),
        }
    }

    fn name(&self, task: u16) -> String {
        self.tasks
            .get(usize::from(task))
            .map_or_else(|| format!("task {task}"), |task| task.0.clone())
    }

    fn record(&self, task: u16, record: &[u8]) -> Line {
        let table = self
            .tasks
            .get(usize::from(task))
            .and_then(|task| task.1.as_ref());
        let decoded = table.and_then(|table| table.decode(record).ok());
        let Some((frame, _)) = decoded else {
            return Line {
                task: Some(self.name(task)),
                level: Level::Warning,
                text: format!("a record of {} bytes that cannot be decoded", record.len()),
                status: None,
            };
        };
        let level = match frame.level() {
            Some(defmt_parser::Level::Warn) => Level::Warning,
            Some(defmt_parser::Level::Error) => Level::Error,
            _ => Level::Plain,
        };
        // One record is one line, or a task could forge the next line's sender.
        let mut text: String = frame
            .display_message()
            .to_string()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let status = self.status(task, &text);
        if let Some(Ok(Told::Record(_, record))) = &status {
            let names: Vec<&str> = self.tasks.iter().map(|task| task.0.as_str()).collect();
            text = status::line(record, &names);
        }
        Line {
            task: Some(self.name(task)),
            level,
            text,
            status,
        }
    }

    /// Only a task that may inspect is believed.
    fn status(&self, task: u16, text: &str) -> Option<Result<Told, Unreadable>> {
        let inspects = self.inspectors.contains(&task);
        inspects.then(|| Told::read(text)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::has_bound;

    #[test]
    fn counts_that_the_record_says_are_refused() {
        for bounded in [
            "plain",
            "{=u32:#x} of {=str}",
            "A|B({=?})",
            "{=[u8]} {=[u8; 6]} {=[?; 4]}",
            "no format: {",
        ] {
            assert!(has_bound(bounded), "{bounded}");
        }
        for unbounded in ["{=[?]}", "{0=u8} then {1=[?]}", "{=[?; 1000000]}"] {
            assert!(!has_bound(unbounded), "{unbounded}");
        }
    }
}
