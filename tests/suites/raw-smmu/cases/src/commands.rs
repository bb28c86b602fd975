//! The command queue: wraps, illegal commands, fetches that abort.

use iommu::hardware::Hardware;
use iommu::queue::{CommandQueue, Refused};
use smmu::command::{COMMAND_BYTES, opcode};
use smmu::registers::{
    CMDQ_BASE, CMDQ_CONS, CMDQ_CONS_ERR, CMDQ_PROD, GERROR, GERRORN, command_error, cr0, gerror,
    queue_base,
};
use smmu::{Command, QueueIndex};
use suite::{Case, Result, Stage, check, check_eq};
use userlib::time;

use crate::machine::{FIRST, Got, Machine, QUEUE_LEN, QUEUE_LOG2};
use crate::records::skip;
use crate::shows;
use crate::tables::leaf;

/// Page of the pool that a transfer reaches, and page of the window that it is mapped at.
const TARGET: usize = 3;
const AT: u64 = 5;

/// Batches that are issued, each of 1 to 32 commands.
const BATCHES: usize = 1000;
/// Nanoseconds within which an error shows, also beside whatever else a host does.
const PATIENCE: u64 = 1_000_000_000;

/// An opcode that no edition defines (section 4.1.1).
const RESERVED: u64 = 0xff;
/// §4.4.5.2: exists with stage 2 only.
const TLBI_S12_VMALL: u64 = 0x28;
/// Bit of a CFGI command that says that the StreamID is a Secure one: illegal in this queue (section 4.3).
const SSEC: u64 = 1 << 10;

impl Machine {
    /// Where the next command goes.
    fn producer(&mut self) -> QueueIndex {
        QueueIndex::new(self.smmu.read32(CMDQ_PROD), QUEUE_LOG2)
    }

    /// The next command that is executed.
    fn consumer(&mut self) -> QueueIndex {
        QueueIndex::new(self.smmu.read32(CMDQ_CONS), QUEUE_LOG2)
    }

    /// Writes words into a slot of the queue.
    fn put(&mut self, index: QueueIndex, words: [u64; 2]) {
        let at = self.entry.command_queue + index.slot() * COMMAND_BYTES;
        self.smmu.store_words(at, words);
        self.smmu.publish();
    }

    /// The bits of `GERROR` that are not acknowledged.
    pub fn errors(&mut self) -> u32 {
        self.smmu.read32(GERROR) ^ self.smmu.read32(GERRORN)
    }

    /// Whether a condition comes to hold in time.
    pub fn soon(&mut self, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.smmu.now() + self.smmu.ticks(PATIENCE);
        let expired = |machine: &mut Self| machine.smmu.now() > end;
        let look = |machine: &mut Self| holds(machine).then_some(());
        time::look_until(self, expired, look).is_some()
    }

    /// The server's queue, which takes what was submitted by hand for its own.
    fn adopt_commands(&mut self) {
        let producer = self.producer().raw();
        self.commands = CommandQueue::new(self.entry.command_queue, QUEUE_LOG2, producer);
    }
}

/// Commands in the longest batch: more than the queue holds, and with their CMD_SYNCs less than twice around it.
const LONGEST: usize = 2 * QUEUE_LEN - 4;

/// Goes around the queue in batches of every size up to more than it holds, and has an effect at each.
fn wrap(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let output = leaf(machine.page(TARGET), true);
    let iova = machine.iova(AT)?;
    let asid = machine.device(FIRST)?.domain.asid as u16;
    let (mut issued, mut wraps) = (0, 0);
    let begun = machine.producer().raw() as usize;
    let mut last = begun;
    for round in 0..BATCHES {
        let batch = round % LONGEST;
        for _ in 0..batch {
            let command = Command::TlbAddress {
                asid,
                address: iova,
            };
            check!(machine.commands.push(&mut machine.smmu, command).is_ok());
        }
        check!(machine.commands.sync(&mut machine.smmu).is_ok());
        // A full batch ends with a CMD_SYNC of its own.
        issued += batch + batch.saturating_sub(1) / (QUEUE_LEN - 1) + 1;
        let producer = machine.producer().raw() as usize;
        check_eq!(machine.consumer().raw(), producer);
        check_eq!(producer, (begun + issued) % (2 * QUEUE_LEN));
        wraps += usize::from(producer <= last);
        last = producer;
    }
    check_eq!(wraps, (begun + issued) / (2 * QUEUE_LEN));
    check!(wraps > BATCHES / 4);
    check_eq!(machine.errors(), 0);
    // They are still carried out.
    machine.map(FIRST, AT, output)?;
    check!(machine.reaches(stage, iova, TARGET)?);
    machine.map(FIRST, AT, 0)?;
    machine.issue(&[Command::TlbAddress {
        asid,
        address: iova,
    }])?;
    check!(!machine.reaches(stage, iova, TARGET)?);
    Ok(())
}

/// Submits a bad command and a SYNC behind it; gives the bad one's index.
fn submit(machine: &mut Machine, words: [u64; 2]) -> Got<QueueIndex> {
    let at = machine.producer();
    check_eq!(machine.consumer().raw(), at.raw());
    check_eq!(machine.errors(), 0);
    machine.put(at, words);
    machine.put(at.advance(1), Command::Sync.encode());
    machine.smmu.write32(CMDQ_PROD, at.advance(2).raw());
    Ok(at)
}

/// Fails unless the queue stands at `at` with this code.
fn stopped(machine: &mut Machine, at: QueueIndex, code: u32) -> Result {
    check_eq!(machine.errors(), gerror::CMDQ_ERR.mask());
    let raw = machine.smmu.read32(CMDQ_CONS);
    check_eq!(CMDQ_CONS_ERR.get32(raw), code);
    check_eq!(machine.consumer().raw(), at.raw());
    Ok(())
}

/// An illegal command: it stops the queue, stops it again if nothing is done about it, and after the server's
/// repair everything behind it is executed.
fn illegal(stage: &Stage, words: [u64; 2]) -> Result {
    let mut machine = Machine::start(stage)?;
    // Twice: after the first repair the code is still in the register.
    for _ in 0..2 {
        let at = submit(&mut machine, words)?;
        check!(machine.soon(|machine| machine.errors() != 0));
        stopped(&mut machine, at, command_error::ILLEGAL)?;
        let before = machine.smmu.read32(GERROR);
        machine.smmu.write32(GERRORN, before);
        check!(machine.soon(|machine| machine.smmu.read32(GERROR) != before));
        stopped(&mut machine, at, command_error::ILLEGAL)?;
        machine.adopt_commands();
        check!(machine.commands.on_error(&mut machine.smmu));
        check!(machine.soon(|machine| machine.consumer().raw() == at.advance(2).raw()));
        check_eq!(machine.errors(), 0);
        check!(!machine.commands.on_error(&mut machine.smmu));
        let refused = Some(Refused {
            code: command_error::ILLEGAL,
            command: words[0],
        });
        check!(machine.commands.take_refused() == refused);
        machine.issue(&[Command::TlbAll])?;
    }
    Ok(())
}

fn reserved_opcode(stage: &Stage) -> Result {
    illegal(stage, [RESERVED, 0])
}

fn zeros(stage: &Stage) -> Result {
    illegal(stage, [0, 0])
}

fn secure_stream(stage: &Stage) -> Result {
    illegal(stage, [opcode::CFGI_STE | SSEC, 1])
}

fn absent_stage(stage: &Stage) -> Result {
    let mut machine = Machine::start(stage)?;
    if machine.features.stage2 {
        return skip("this SMMU has stage 2");
    }
    let words = [TLBI_S12_VMALL, 0];
    let at = submit(&mut machine, words)?;
    if machine.soon(|machine| machine.consumer().raw() == at.advance(2).raw()) {
        check_eq!(machine.errors(), 0);
        return skip("this machine executes commands of a stage that it has not");
    }
    illegal(stage, words)
}

/// A bad command in the place of a TLBI: the server's queue goes on, and nothing is kept that it should have
/// forgotten.
fn instead_of_an_invalidation(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    machine.map(FIRST, AT, leaf(machine.page(TARGET), true))?;
    check!(machine.reaches(stage, iova, TARGET)?);
    machine.map(FIRST, AT, 0)?;
    let at = machine.producer();
    machine.put(at, [RESERVED, 0]);
    machine.commands =
        CommandQueue::new(machine.entry.command_queue, QUEUE_LOG2, at.advance(1).raw());
    check!(machine.commands.sync(&mut machine.smmu).is_ok());
    check!(!machine.commands.is_broken());
    let refused = Some(Refused {
        code: command_error::ILLEGAL,
        command: RESERVED,
    });
    check!(machine.commands.take_refused() == refused);
    check_eq!(machine.errors(), 0);
    check!(!machine.reaches(stage, iova, TARGET)?);
    Ok(())
}

fn fetch_nowhere(stage: &Stage) -> Result {
    let mut machine = Machine::start(stage)?;
    let (nowhere, log2) = (machine.nowhere, u64::from(QUEUE_LOG2));
    let place = |machine: &mut Machine, base: u64| {
        let value = queue_base::ADDR.address(base) | queue_base::LOG2SIZE.put(log2);
        machine.smmu.write64(CMDQ_BASE, value);
        machine.smmu.write32(CMDQ_PROD, 0);
        machine.smmu.write32(CMDQ_CONS, 0);
    };
    machine.while_off(cr0::CMDQEN, |machine| place(machine, nowhere))?;
    machine.smmu.write32(CMDQ_PROD, 1);
    if !machine.soon(|machine| machine.errors() != 0) {
        return skip("this machine does not report a fetch that aborts");
    }
    let first = QueueIndex::new(0, QUEUE_LOG2);
    stopped(&mut machine, first, command_error::ABORT)?;
    // Only another queue helps.
    let good = machine.entry.tables_pa + machine.entry.command_queue;
    machine.while_off(cr0::CMDQEN, |machine| {
        place(machine, good);
        let errors = machine.smmu.read32(GERROR);
        machine.smmu.write32(GERRORN, errors);
    })?;
    machine.adopt_commands();
    machine.forget_all()?;
    check_eq!(machine.errors(), 0);
    Ok(())
}

fn queue_that_stands(stage: &Stage) -> Result {
    let mut machine = Machine::start(stage)?;
    let mut synced = Ok(());
    machine.while_off(cr0::CMDQEN, |machine| {
        synced = machine.commands.sync(&mut machine.smmu);
    })?;
    check!(synced.is_err());
    // It goes on where it stood; what the server once could not confirm stays so.
    let end = machine.producer().raw();
    check!(machine.soon(|machine| machine.consumer().raw() == end));
    check!(machine.commands.is_broken());
    Ok(())
}

pub const CASES: &[Case] = &[
    shows!("commands-wrap", &["E1", "E6"], wrap),
    shows!("command-reserved", &["E12", "R5"], reserved_opcode),
    shows!("command-of-zeros", &["E12", "R5"], zeros),
    shows!("command-for-a-secure-stream", &["E21"], secure_stream),
    shows!("command-for-an-absent-stage", &["E21"], absent_stage),
    shows!(
        "command-repaired-by-the-server",
        &["E12", "E5"],
        instead_of_an_invalidation
    ),
    shows!("command-fetch-nowhere", &["E12", "E19"], fetch_nowhere),
    shows!(
        "command-queue-that-stands",
        &["E5", "E15"],
        queue_that_stands
    ),
];
