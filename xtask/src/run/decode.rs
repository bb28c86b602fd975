//! From frames to lines: each task's records are decoded with that task's program.

use defmt_decoder::Table;

use super::frames::Piece;
use crate::compile::Programs;
use crate::planning::Plan;

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// Name of the task whose ring it is from; none for the kernel.
    pub task: Option<String>,
    /// `warn` or `error` where the line says so.
    pub level: Level,
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Plain,
    Warning,
    Error,
}

/// Decodes pieces of the console.
pub struct Decoder {
    tasks: Vec<(String, Option<Table>)>,
}

impl Decoder {
    /// A program without a log has no table, and nothing of it can be decoded.
    pub fn new(plan: &Plan, programs: &Programs) -> Self {
        let tasks = plan.app.tasks.iter().zip(&programs.tasks);
        Self {
            tasks: tasks
                .map(|(task, program)| {
                    (
                        task.name.value.clone(),
                        Table::parse(&program.elf).ok().flatten(),
                    )
                })
                .collect(),
        }
    }

    /// The line of a piece.
    pub fn line(&self, piece: Piece) -> Line {
        match piece {
            Piece::Text(text) => Line {
                task: None,
                level: Level::Plain,
                text,
            },
            Piece::Lost(task, bytes) => Line {
                task: Some(self.name(task)),
                level: Level::Warning,
                text: format!("{bytes} bytes of this log were lost"),
            },
            Piece::Record(task, record) => self.record(task, &record),
        }
    }

    fn name(&self, task: u8) -> String {
        self.tasks
            .get(usize::from(task))
            .map_or_else(|| format!("task {task}"), |task| task.0.clone())
    }

    fn record(&self, task: u8, record: &[u8]) -> Line {
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
            };
        };
        let level = match frame.level() {
            Some(defmt_parser::Level::Warn) => Level::Warning,
            Some(defmt_parser::Level::Error) => Level::Error,
            _ => Level::Plain,
        };
        // One record is one line, or a task could forge the next line's sender.
        let text = frame
            .display_message()
            .to_string()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Line {
            task: Some(self.name(task)),
            level,
            text,
        }
    }
}
