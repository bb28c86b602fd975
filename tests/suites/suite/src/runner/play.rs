//! One case.

use abi::fault::FaultKind;
use abi::notification;
use abi::privileged::TaskState;
use userlib::ipc::Received;

use super::life::Ended;
use super::line::Line;
use super::{CASE, Runner, START, System};
use crate::report::REPORT_MAX;
use crate::{Case, End};

/// How a case ended.
pub(crate) enum Verdict {
    Passed,
    Failed(Line),
    Skipped(Line),
}

impl<S: System> Runner<'_, S> {
    /// Runs one case from restarted roles to its verdict.
    pub(crate) fn play(&mut self, number: usize, case: &Case) -> Verdict {
        self.notes.clear();
        self.note_count = 0;
        self.stop_roles();
        if !self.wait(START, None, |runner| runner.all_wait()) {
            return Verdict::Failed(self.who_does_not_start());
        }
        for (part_number, part) in case.parts.iter().enumerate() {
            match self.roles.get_mut(part.role) {
                Some(role) if !role.retired => role.part = Some(part_number),
                _ => return Verdict::Failed(Line::of(format_args!("a role was lost before"))),
            }
        }
        for part in case.parts {
            let index = self.roles.get(part.role).map_or(0, |role| role.index);
            self.hand_part(number, index);
        }
        let ended = self.wait(CASE, Some(number), |runner| runner.all_ended(case));
        self.judge(case, ended)
    }

    /// Serves the roles until `done`, or until the time is over (false).
    fn wait(
        &mut self,
        time: u64,
        running: Option<usize>,
        done: impl Fn(&mut Self) -> bool,
    ) -> bool {
        let end = self.system.now().saturating_add(time);
        let mut buffer = [0; REPORT_MAX];
        loop {
            if running.is_none() {
                self.restart_roles();
            }
            // Before the look: what was done while the runner was not run was done in time.
            let now = self.system.now();
            if done(self) {
                self.system.set_timer(None);
                return true;
            }
            if now >= end {
                self.system.set_timer(None);
                return false;
            }
            self.system.set_timer(Some(end - now));
            match self
                .system
                .receive(notification::FAULT | notification::TIMER, &mut buffer)
            {
                Received::Message(message) => self.handle(&message, &buffer, running),
                Received::Notification(bits) if bits & notification::FAULT != 0 => {
                    self.look_for_deaths();
                }
                _ => {}
            }
        }
    }

    fn all_wait(&mut self) -> bool {
        self.roles.iter().all(|role| role.waiting || role.retired)
    }

    fn who_does_not_start(&self) -> Line {
        let late = self
            .roles
            .iter()
            .find(|role| !role.waiting && !role.retired);
        Line::of(format_args!(
            "{} does not start",
            late.map_or("", |role| role.name)
        ))
    }

    /// Whether every part that is waited for has ended; one that returned although it has to die has
    /// ended, too.
    fn all_ended(&mut self, case: &Case) -> bool {
        case.parts.iter().all(|part| {
            let ended = self
                .roles
                .get(part.role)
                .and_then(|role| role.ended.as_ref());
            part.end == End::Serves && !matches!(ended, Some(Ended::Failed(_))) || ended.is_some()
        })
    }

    fn judge(&mut self, case: &Case, all_ended: bool) -> Verdict {
        let mut skipped = None;
        let mut late = None;
        for part in case.parts {
            let Some(role) = self.roles.get(part.role) else {
                continue;
            };
            let (name, index) = (role.name, role.index);
            match (part.end, &role.ended) {
                (_, Some(Ended::Skipped(why))) => skipped = Some(why.clone()),
                (_, Some(Ended::Failed(why))) => {
                    return Verdict::Failed(Line::of(format_args!("{name}: {why}")));
                }
                (End::Dies(_), Some(Ended::Returned)) => {
                    return Verdict::Failed(Line::of(format_args!("{name}: lived on")));
                }
                (End::Dies(kind) | End::ReturnsOrDies(kind), Some(Ended::Died(status)))
                    if is_kind(status.fault[0], kind) => {}
                (
                    End::Returns | End::Dies(_) | End::ReturnsOrDies(_),
                    Some(Ended::Died(status)),
                ) => {
                    let [kind, address, pc, ..] = status.fault;
                    return Verdict::Failed(Line::of(format_args!(
                        "{name}: died of fault {}, address {address:#x}, pc {pc:#x}",
                        kind & 0xffff
                    )));
                }
                (End::Returns | End::Dies(_) | End::ReturnsOrDies(_), None) => {
                    let state = self.system.status(index).map(|status| status.state);
                    let how = match state {
                        Some(state) if state == TaskState::Blocked as u64 => "waits",
                        Some(state) if state == TaskState::Ready as u64 => "runs",
                        _ => "is down",
                    };
                    late.get_or_insert(Line::of(format_args!(
                        "{name}: still {how} at the deadline"
                    )));
                }
                (End::Returns | End::ReturnsOrDies(_), Some(Ended::Returned))
                | (End::Serves, _) => {}
            }
        }
        match (skipped, late) {
            (Some(why), _) => Verdict::Skipped(why),
            (None, Some(why)) => Verdict::Failed(why),
            (None, None) if all_ended => Verdict::Passed,
            (None, None) => Verdict::Failed(Line::of(format_args!("it does not end"))),
        }
    }
}

fn is_kind(word: u64, kind: FaultKind) -> bool {
    word & 0xffff == kind as u64
}
