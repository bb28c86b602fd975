//! Notification bits that tasks post to each other.

use abi::notification;

use crate::read::App;

/// A postable bit of one task.
#[derive(Clone, Debug)]
pub struct NotificationBit {
    /// Index of the task that has it.
    pub task: usize,
    pub name: String,
    /// The notification bit, as a mask.
    pub bit: u32,
}

/// All postable bits, and who may post which.
#[derive(Clone, Debug, Default)]
pub struct Notifications {
    /// The bits of all tasks.
    pub bits: Vec<NotificationBit>,
    /// Poster, and index in `bits`.
    pub posts: Vec<(usize, usize)>,
}

impl Notifications {
    /// Bits that `from` may post to `to`, as a mask.
    pub fn mask(&self, from: usize, to: usize) -> u32 {
        self.posts
            .iter()
            .filter(|post| post.0 == from)
            .filter_map(|post| self.bits.get(post.1))
            .filter(|bit| bit.task == to)
            .fold(0, |mask, bit| mask | bit.bit)
    }
}

/// Numbers the bits of each task in the order of its list; the log task's first is the one by which
/// everybody wakes it.
pub fn plan(app: &App) -> Notifications {
    let mut plan = Notifications::default();
    for (task, declared) in app.tasks.iter().enumerate() {
        let mut next = 1u32;
        if declared.reads_logs.is_some() {
            plan.bits.push(NotificationBit {
                task,
                name: "log".to_owned(),
                bit: notification::LOG,
            });
            next = notification::LOG << 1;
        }
        for name in &declared.notifications {
            plan.bits.push(NotificationBit {
                task,
                name: name.value.clone(),
                bit: next,
            });
            next <<= 1;
        }
    }
    for (poster, declared) in app.tasks.iter().enumerate() {
        for (index, bit) in plan.bits.iter().enumerate() {
            let log = app.log_task() == Some(bit.task)
                && bit.bit == notification::LOG
                && bit.task != poster;
            let owner = app.tasks.get(bit.task).map_or("", |task| &task.name.value);
            let named = format!("{owner}.{}", bit.name);
            if log || declared.posts.iter().any(|post| post.value == named) {
                plan.posts.push((poster, index));
            }
        }
    }
    plan
}
