//! What a part can ask of the runner.

use abi::{Code, TaskId};
use userlib::delay::{Delay, DelayNs};
use userlib::ipc::{self, Answer, Payload};
use userlib::privileged::Status;

use crate::protocol::{Action, NOTE, NOTES, PLEASE, REPORT};
use crate::report::{REPORT_MAX, Report};

/// Milliseconds for which a case waits for what ends by itself. The clock of an emulated guest goes on while a busy host runs
/// others, so this is for what hangs; a case's own limit is longer.
pub const PATIENCE: u32 = 20_000;

/// A part under way, and what its task can ask of the runner.
pub struct Stage {
    runner: TaskId,
    indices: [u8; 8],
    /// How often this task was started in this case, from 0.
    pub life: u64,
}

impl Stage {
    /// The stage of a part: its runner, the task indices of eight roles in a word, and its life.
    pub(crate) fn new(runner: TaskId, indices: u64, life: u64) -> Self {
        Self {
            runner,
            indices: indices.to_le_bytes(),
            life,
        }
    }

    pub(crate) fn tell(&self, report: Report<'_>) {
        let mut buffer = [0; REPORT_MAX];
        ipc::call_long(self.runner, REPORT, report.write(&mut buffer), &mut [], &[]);
    }

    fn ask(&self, operation: u16, words: [u64; 5]) -> Answer {
        let [a, b, c, d, e] = words;
        let payload = [a, b, c, d, e, 0, 0, 0];
        ipc::call(self.runner, operation, &payload, 40, 64, &[])
    }

    fn please(&self, action: Action, role: usize, first: u64, second: u64) -> Payload {
        self.ask(PLEASE, [action as u64, role as u64, first, second, 0])
            .payload
    }

    /// The runner's id.
    pub fn runner(&self) -> TaskId {
        self.runner
    }

    /// Task index of a role.
    pub fn index(&self, role: usize) -> usize {
        self.indices.get(role).copied().unwrap_or(u8::MAX).into()
    }

    /// Current id of a role.
    pub fn id(&self, role: usize) -> TaskId {
        ipc::refresh(self.index(role)).0
    }

    /// Leaves a note that the other parts can read, for the order in which things happen.
    pub fn note(&self, value: u64) {
        self.ask(NOTE, [value, 0, 0, 0, 0]);
    }

    /// How many notes were left in this case, and the first seven.
    pub fn notes(&self) -> (u64, [u64; 7]) {
        let [count, notes @ ..] = self.ask(NOTES, [0; 5]).payload;
        (count, notes)
    }

    /// What the supervisor sees of a role.
    pub fn status(&self, role: usize) -> Status {
        let [_, id, state, fault @ ..] = self.please(Action::Status, role, 0, 0);
        Status {
            id: TaskId(id),
            state,
            fault,
        }
    }

    /// Has the supervisor stop a role.
    pub fn stop(&self, role: usize) -> Code {
        Code(self.please(Action::Stop, role, 0, 0)[0] as u32)
    }

    /// Has the supervisor stop a role that will not come back, in this run.
    pub fn retire(&self, role: usize) -> Code {
        Code(self.please(Action::Retire, role, 0, 0)[0] as u32)
    }

    /// Has the supervisor restart a role.
    pub fn restart(&self, role: usize) -> Code {
        Code(self.please(Action::Restart, role, 0, 0)[0] as u32)
    }

    /// Has a fault injected at the role's `n`-th system call from now.
    pub fn arm_fault(&self, role: usize, n: u64) -> Code {
        Code(self.please(Action::ArmFault, role, n, 0)[0] as u32)
    }

    /// Seven registers of a dead role, or the code.
    pub fn registers(&self, role: usize, first: u64) -> core::result::Result<[u64; 7], Code> {
        let [code, registers @ ..] = self.please(Action::Registers, role, first, 0);
        match Code(code as u32) {
            Code::OK => Ok(registers),
            code => Err(code),
        }
    }

    /// A word of a dead role's memory, or the code.
    pub fn read_word(&self, role: usize, address: u64) -> core::result::Result<u64, Code> {
        let [code, word, ..] = self.please(Action::ReadWord, role, address, 0);
        match Code(code as u32) {
            Code::OK => Ok(word),
            code => Err(code),
        }
    }

    /// Any privileged call of the runner, with up to one argument; the code.
    pub fn privileged(&self, number: u64, argument: u64) -> Code {
        self.privileged_two(number, argument, 0)
    }

    /// Any privileged call of the runner, with two arguments; the code.
    pub fn privileged_two(&self, number: u64, first: u64, second: u64) -> Code {
        let words = [Action::Raw as u64, 0, number, first, second];
        Code(self.ask(PLEASE, words).payload[0] as u32)
    }

    /// Lets lower priorities run for some milliseconds.
    pub fn pause(&self, milliseconds: u32) {
        Delay::new().delay_ms(milliseconds);
    }
}
