//! What the solver found, as diagnostics of the file.

use solver::model::{Machine, NodeId, Source};
use solver::solution::Solution;
use solver::{Code, Diagnostic, Severity};

use crate::report::{Report, Span};

/// Places by the solver's numbers; 0 is nowhere.
#[derive(Default)]
pub struct Sources(Vec<Span>);

impl Sources {
    pub fn add(&mut self, span: &Span) -> Source {
        self.0.push(span.clone());
        Source(u32::try_from(self.0.len()).unwrap_or(0))
    }

    fn get(&self, source: Source) -> Option<&Span> {
        self.0.get(usize::try_from(source.0).ok()?.checked_sub(1)?)
    }
}

/// Hands everything over to the report. `owners_unknown`: that a device has no owner follows from what
/// was reported already.
pub fn report(
    report: &Report,
    machine: &Machine,
    sources: &Sources,
    solution: &Solution,
    owners_unknown: bool,
) {
    for found in &solution.diagnostics {
        if owners_unknown && found.code == Code::UnownedBlocked {
            continue;
        }
        one(report, machine, sources, found);
    }
}

fn one(report: &Report, machine: &Machine, sources: &Sources, found: &Diagnostic) {
    let code = found.code.to_string();
    let mut draft = match found.severity {
        Severity::Error => report.error_with_code(code, &found.message),
        Severity::Warning => report.warning_with_code(code, &found.message),
    };
    let mut first = true;
    for party in &found.parties {
        if let Some(span) = sources.get(party.source) {
            draft = if first {
                draft.at(span, &party.text)
            } else {
                draft.with(span, &party.text)
            };
            first = false;
        } else {
            draft = draft.note(&party.text);
        }
    }
    let name = |node: NodeId| {
        machine
            .nodes
            .get(node.index())
            .map_or("", |node| &node.name)
    };
    for edge in &found.chain {
        draft = draft.note(format!(
            "{}: {} - {}: {}",
            edge.kind.text(),
            name(edge.from),
            name(edge.to),
            edge.because
        ));
    }
    for remedy in &found.remedies {
        draft = draft.remedy(&remedy.text);
    }
}
