//! The register file: what each write does, when it may be done, and when it takes effect.

use super::Model;
use crate::finding::Check;

/// Offsets (IHI 0070 G.b, 6.2).
mod at {
    pub const IDR0: usize = 0x0;
    pub const IDR1: usize = 0x4;
    pub const IDR3: usize = 0xc;
    pub const IDR5: usize = 0x14;
    pub const AIDR: usize = 0x1c;
    pub const CR0: usize = 0x20;
    pub const CR0ACK: usize = 0x24;
    pub const CR1: usize = 0x28;
    pub const CR2: usize = 0x2c;
    pub const GBPA: usize = 0x44;
    pub const IRQ_CTRL: usize = 0x50;
    pub const IRQ_CTRLACK: usize = 0x54;
    pub const GERROR: usize = 0x60;
    pub const GERRORN: usize = 0x64;
    pub const GERROR_IRQ_CFG0: usize = 0x68;
    pub const GERROR_IRQ_CFG2: usize = 0x74;
    pub const STRTAB_BASE: usize = 0x80;
    pub const STRTAB_BASE_CFG: usize = 0x88;
    pub const CMDQ_BASE: usize = 0x90;
    pub const CMDQ_PROD: usize = 0x98;
    pub const CMDQ_CONS: usize = 0x9c;
    pub const EVENTQ_BASE: usize = 0xa0;
    pub const EVENTQ_IRQ_CFG0: usize = 0xb0;
    pub const EVENTQ_IRQ_CFG2: usize = 0xbc;
    pub const EVENTQ_PROD: usize = 0x1_00a8;
    pub const EVENTQ_CONS: usize = 0x1_00ac;
}

/// CR0.SMMUEN
pub const SMMUEN: u32 = 1 << 0;
/// CR0.EVENTQEN
pub const EVENTQEN: u32 = 1 << 2;
/// CR0.ATSCHK
const ATSCHK: u32 = 1 << 4;
/// CR0.CMDQEN
pub const CMDQEN: u32 = 1 << 3;
/// GBPA.ABORT
pub const GBPA_ABORT: u32 = 1 << 20;
const GBPA_UPDATE: u32 = 1 << 31;
/// GERROR.CMDQ_ERR
pub const CMDQ_ERR: u32 = 1 << 0;
/// GERROR.EVENTQ_ABT_ERR
pub const EVENTQ_ABT_ERR: u32 = 1 << 2;
const GERROR_DEFINED: u32 = 0x1fd;
/// CR1 for write-back, inner shareable tables and queues.
const CR1_COHERENT: u32 = 0xd75;

/// Registers that hold a value.
#[derive(Clone, Default, Debug)]
pub struct Registers {
    /// CR0 as written.
    pub cr0: u32,
    /// CR0 as in force.
    pub cr0_ack: u32,
    /// CR1.
    pub cr1: u32,
    /// CR2.
    pub cr2: u32,
    /// GBPA in force.
    pub gbpa: u32,
    /// A value of GBPA that is not in force yet.
    pub gbpa_next: Option<u32>,
    /// IRQ_CTRL as written.
    pub irq: u32,
    /// IRQ_CTRL as in force.
    pub irq_ack: u32,
    /// GERROR.
    pub gerror: u32,
    /// GERRORN.
    pub gerror_ack: u32,
    /// STRTAB_BASE.
    pub table_base: u64,
    /// STRTAB_BASE_CFG.
    pub table_config: u32,
    /// CMDQ_BASE.
    pub command_base: u64,
    /// CMDQ_PROD.
    pub command_producer: u32,
    /// EVENTQ_BASE.
    pub event_base: u64,
    /// EVENTQ_PROD with OVFLG.
    pub event_producer: u32,
    /// EVENTQ_CONS with OVACKFLG.
    pub event_consumer: u32,
}

impl Registers {
    /// log2 of the command queue's entries.
    #[must_use]
    pub fn command_log2(&self) -> u32 {
        (self.command_base as u32 & 0x1f).min(19)
    }

    /// log2 of the event queue's entries.
    #[must_use]
    pub fn event_log2(&self) -> u32 {
        (self.event_base as u32 & 0x1f).min(19)
    }

    /// Address of a queue's first entry, aligned to its size.
    #[must_use]
    pub fn queue_address(base: u64, log2: u32, entry: u64) -> u64 {
        base & 0x00ff_ffff_ffff_ffe0 & !((entry << log2).max(32) - 1)
    }
}

impl Model {
    /// CMDQ_PROD as written.
    #[must_use]
    pub fn command_producer(&self) -> u32 {
        self.registers.command_producer
    }

    /// EVENTQ_CONS as written.
    #[must_use]
    pub fn event_acknowledgement(&self) -> u32 {
        self.registers.event_consumer
    }

    /// CR0 as written.
    #[must_use]
    pub fn control(&self) -> u32 {
        self.registers.cr0
    }

    /// Whether it is on with the stream table at an address.
    #[must_use]
    pub fn is_on_with(&self, table: u64) -> bool {
        let address = self.registers.table_base & ((1 << 52) - 1) & !0x3f;
        self.registers.cr0_ack & 1 == 1 && address == table
    }

    /// A 32-bit read by the processor.
    pub fn read32(&mut self, register: usize) -> u32 {
        self.act();
        let registers = &self.registers;
        match register {
            at::IDR0 => self.features.idr0(),
            at::IDR1 => self.features.idr1(),
            at::IDR3 => self.features.idr3(),
            at::IDR5 => self.features.idr5(),
            at::AIDR => self.features.minor,
            at::CR0 => registers.cr0,
            at::CR0ACK => registers.cr0_ack,
            at::CR1 => registers.cr1,
            at::CR2 => registers.cr2,
            at::GBPA if self.features.global_bypass => match registers.gbpa_next {
                Some(_) => registers.gbpa | GBPA_UPDATE,
                None => registers.gbpa,
            },
            at::IRQ_CTRL => registers.irq,
            at::IRQ_CTRLACK => registers.irq_ack,
            at::GERROR => registers.gerror,
            at::GERRORN => registers.gerror_ack,
            at::STRTAB_BASE_CFG => registers.table_config,
            at::CMDQ_PROD => registers.command_producer,
            at::CMDQ_CONS => self.read_command_consumer(),
            at::EVENTQ_PROD => registers.event_producer,
            at::EVENTQ_CONS => registers.event_consumer,
            _ => 0,
        }
    }

    /// A 64-bit read by the processor.
    pub fn read64(&mut self, register: usize) -> u64 {
        self.act();
        match register {
            at::STRTAB_BASE => self.registers.table_base,
            at::CMDQ_BASE => self.registers.command_base,
            at::EVENTQ_BASE => self.registers.event_base,
            _ => 0,
        }
    }

    /// A guarded register was written while the enables in `mask` are or may be in force (rule R2):
    /// nothing happens, or anything.
    fn guarded(&mut self, mask: u32, register: usize) -> bool {
        let live = (self.registers.cr0 | self.registers.cr0_ack) & mask != 0;
        if live {
            self.findings.note(Check::Register, || {
                format!("register {register:#x} written while its user is enabled")
            });
        }
        live
    }

    /// A 64-bit write by the processor.
    pub fn write64(&mut self, register: usize, value: u64) {
        self.act();
        match register {
            at::STRTAB_BASE if !self.guarded(SMMUEN, register) => self.registers.table_base = value,
            at::CMDQ_BASE if !self.guarded(CMDQEN, register) => self.registers.command_base = value,
            at::EVENTQ_BASE if !self.guarded(EVENTQEN, register) => {
                self.registers.event_base = value;
            }
            at::GERROR_IRQ_CFG0 | at::EVENTQ_IRQ_CFG0 if value != 0 => {
                self.findings
                    .note(Check::Register, || "MSI address without MSI support".into());
            }
            _ => {}
        }
    }

    /// A 32-bit write by the processor.
    pub fn write32(&mut self, register: usize, value: u32) {
        self.act();
        match register {
            at::CR0 => self.write_cr0(value),
            at::CR1 if !self.guarded(SMMUEN | CMDQEN | EVENTQEN, register) => {
                self.registers.cr1 = value;
            }
            at::CR2 if !self.guarded(SMMUEN, register) => self.registers.cr2 = value,
            at::GBPA if self.features.global_bypass => self.write_gbpa(value),
            at::IRQ_CTRL => self.write_irq(value),
            at::GERRORN => self.write_gerrorn(value),
            at::STRTAB_BASE_CFG if !self.guarded(SMMUEN, register) => {
                self.registers.table_config = value;
            }
            at::CMDQ_PROD => self.write_command_producer(value),
            at::CMDQ_CONS if !self.guarded(CMDQEN, register) => self.set_command_consumer(value),
            at::EVENTQ_PROD if !self.guarded(EVENTQEN, register) => {
                self.registers.event_producer = value;
            }
            at::EVENTQ_CONS => self.write_event_consumer(value),
            at::GERROR_IRQ_CFG2 | at::EVENTQ_IRQ_CFG2 => {}
            _ => {}
        }
        self.act();
    }

    fn write_irq(&mut self, value: u32) {
        let changing = self.registers.irq ^ self.registers.irq_ack;
        if (value ^ self.registers.irq) & changing != 0 {
            self.findings.note(Check::Register, || {
                format!("IRQ_CTRL field rewritten before its acknowledgement: {value:#x}")
            });
        }
        self.registers.irq = value & 7;
    }

    fn write_cr0(&mut self, value: u32) {
        let changing = self.registers.cr0 ^ self.registers.cr0_ack;
        let defined = SMMUEN | EVENTQEN | CMDQEN | 1 << 1 | 1 << 4;
        if (value ^ self.registers.cr0) & changing != 0 {
            self.findings.note(Check::Register, || {
                format!("CR0 field rewritten before its acknowledgement: {value:#x}")
            });
        }
        if value & !defined != 0 {
            self.findings.note(Check::Register, || {
                format!("reserved bits of CR0: {value:#x}")
            });
        }
        let rising = value & !self.registers.cr0;
        self.registers.cr0 = value & defined;
        if rising != 0 {
            self.check_enable(rising);
        }
    }

    /// What must hold when something is switched on (rules B8, R8, R9, H1, E19).
    fn check_enable(&mut self, rising: u32) {
        let registers = &self.registers;
        let mut wrong = Vec::new();
        if registers.cr1 & 0xfff != CR1_COHERENT {
            wrong.push(format!(
                "CR1 {:#x} is not write-back inner shareable",
                registers.cr1
            ));
        }
        if rising & SMMUEN != 0 {
            self.check_translation(&mut wrong);
            self.check_stream_table(&mut wrong);
        }
        if rising & CMDQEN != 0 {
            let log2 = registers.command_log2();
            self.check_queue(registers.command_base, log2, 16, &mut wrong);
            if registers.command_producer != self.command_consumer() {
                wrong.push("command queue enabled with unequal indices".into());
            }
        }
        if rising & EVENTQEN != 0 {
            self.check_queue(registers.event_base, registers.event_log2(), 32, &mut wrong);
            let size = 1u32 << registers.event_log2();
            let apart = registers
                .event_producer
                .wrapping_sub(registers.event_consumer);
            if apart & (2 * size - 1) > size {
                wrong.push("event queue enabled with CONS beyond PROD".into());
            }
        }
        for text in wrong {
            self.findings.note(Check::Register, || text);
        }
    }

    /// What must hold of everything but the tables when translation begins.
    fn check_translation(&self, wrong: &mut Vec<String>) {
        let registers = &self.registers;
        if self.features.global_bypass && registers.gbpa & GBPA_ABORT == 0 {
            wrong.push("GBPA does not abort".into());
        }
        if !self.tlb.leaves.is_empty() || !self.tlb.steps.is_empty() || !self.cache.is_empty() {
            // Nothing is cached while SMMUEN is 0, so this was there before.
            wrong.push("SMMUEN with something cached from before".into());
        }
        if self.features.ats && registers.cr0 & ATSCHK == 0 {
            wrong.push("translated traffic is not checked".into());
        }
        if registers.cr2 & 1 != 0 {
            wrong.push("CR2.E2H set".into());
        }
        if registers.cr0_ack & CMDQEN == 0 {
            wrong.push("SMMUEN before the command queue".into());
        }
    }

    fn check_stream_table(&self, wrong: &mut Vec<String>) {
        let registers = &self.registers;
        let log2 = registers.table_config & 0x3f;
        let split = registers.table_config >> 6 & 0x1f;
        let two_levels = registers.table_config >> 16 & 3 == 1;
        let bytes = if two_levels {
            8u64 << log2.saturating_sub(split)
        } else {
            64u64 << log2.min(32)
        };
        let base = registers.table_base & 0x00ff_ffff_ffff_ffc0;
        if two_levels && !matches!(split, 6 | 8 | 10) {
            wrong.push(format!("SPLIT {split}"));
        }
        if !base.is_multiple_of(bytes.max(64)) {
            wrong.push(format!("stream table {base:#x} not aligned to {bytes:#x}"));
        }
        if !self.memory.contains(base) || !self.memory.contains(base + bytes - 8) {
            wrong.push(format!(
                "stream table {base:#x}+{bytes:#x} is not all memory"
            ));
        }
    }

    fn check_queue(&self, base: u64, log2: u32, entry: u64, wrong: &mut Vec<String>) {
        let address = base & 0x00ff_ffff_ffff_ffe0;
        let bytes = entry << log2;
        if !address.is_multiple_of(bytes.max(32)) {
            wrong.push(format!("queue {address:#x} not aligned to {bytes:#x}"));
        }
        if !self.memory.contains(address) || !self.memory.contains(address + bytes - 8) {
            wrong.push(format!("queue {address:#x}+{bytes:#x} is not all memory"));
        }
    }

    fn write_gbpa(&mut self, value: u32) {
        if value & GBPA_UPDATE == 0 || self.registers.gbpa_next.is_some() {
            self.findings.note(Check::Register, || {
                format!("GBPA written without Update, or while one is under way: {value:#x}")
            });
        } else {
            self.registers.gbpa_next = Some(value & !GBPA_UPDATE);
        }
    }

    fn write_gerrorn(&mut self, value: u32) {
        let active = self.registers.gerror ^ self.registers.gerror_ack;
        let toggled = (value ^ self.registers.gerror_ack) & GERROR_DEFINED;
        if toggled & !active != 0 {
            self.findings.note(Check::Register, || {
                format!("GERRORN acknowledges what is not active: {toggled:#x}")
            });
        }
        self.registers.gerror_ack ^= toggled & active;
        if toggled & active & CMDQ_ERR != 0 {
            self.restart_commands();
        }
    }

    /// Lets written values take effect: some, or all with `force`.
    pub(crate) fn take_effect(&mut self, force: bool) {
        let waiting = self.registers.cr0 ^ self.registers.cr0_ack;
        for field in 0..5 {
            let field = 1 << field;
            if waiting & field != 0 && (force || self.chooser.once_in(self.liberties.acknowledge)) {
                if field == CMDQEN && self.registers.cr0 & CMDQEN == 0 {
                    self.stop_commands();
                }
                if field == EVENTQEN && self.registers.cr0 & EVENTQEN == 0 {
                    self.flush_events();
                }
                self.registers.cr0_ack ^= field;
            }
        }
        if let Some(next) = self.registers.gbpa_next
            && (force || self.chooser.once_in(self.liberties.acknowledge))
        {
            self.registers.gbpa = next;
            self.registers.gbpa_next = None;
        }
        if force || self.chooser.once_in(self.liberties.acknowledge) {
            self.registers.irq_ack = self.registers.irq;
        }
    }
}
