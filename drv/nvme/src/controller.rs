//! Enabling, the admin queue, bring-up and shutdown (Base 2.0, 3.5, 3.6).

use heapless::Vec;
use userlib::delay::{DelayNs, Polling};
use userlib::memory::Memory;
use userlib::registers::Registers;

use crate::command::{Command, Identify};
use crate::identify::{self, NAMESPACES_MAX, Namespace};
use crate::layout::{
    ADMIN_COMPLETION, ADMIN_ENTRIES, ADMIN_SUBMISSION, COMPLETIONS, ENTRIES_MAX, IDENTIFY, PAGE,
    POOL_LEN, Places, QUEUES_MAX, SUBMISSION_LEN, SUBMISSIONS,
};
use crate::registers::{ACQ, AQA, ASQ, CAP, CC, CSTS, Capabilities, ENABLED, SHUTDOWN, Status};
use crate::ring::{DeviceFault, Ring};
use crate::status::Verdict;

/// Microseconds between two looks at the controller.
const INTERVAL_US: u32 = 100;
/// How long an admin command may take.
const ADMIN_MS: u32 = 5000;
/// How long a shutdown may take if the controller does not say; no controller gets longer than ten times that.
const SHUTDOWN_MS: u32 = 6000;

/// Why the controller cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// It did not stop in time.
    Disable,
    /// It did not become ready in time, or met a fatal error on the way.
    Enable,
    /// It lacks the NVM command set, pages of 4 KiB, or entries of the usual sizes.
    Unsupported,
    /// An admin command did not end in time.
    AdminTimeout,
    /// An admin command failed.
    Admin,
    /// It broke the protocol.
    Fault(DeviceFault),
    /// It has no namespace that is a disk.
    NoNamespace,
    /// It is another one after a reset.
    Changed,
    /// It did not shut down in time.
    Shutdown,
    /// The driver's memory is too small.
    Memory,
}

impl StartError {
    /// For a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disable => "the controller does not stop",
            Self::Enable => "the controller does not become ready",
            Self::Unsupported => "the controller lacks what this driver needs",
            Self::AdminTimeout => "an admin command does not end",
            Self::Admin => "an admin command failed",
            Self::Fault(fault) => fault.name(),
            Self::NoNamespace => "no namespace is a disk that this driver knows",
            Self::Changed => "the controller has other namespaces after a reset",
            Self::Shutdown => "the controller does not shut down",
            Self::Memory => "the driver's pool is too small",
        }
    }
}

impl From<DeviceFault> for StartError {
    fn from(fault: DeviceFault) -> Self {
        Self::Fault(fault)
    }
}

/// How a pair of I/O queues tells of its completions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector {
    /// The controller's interrupt vector; 0 is the only one of a line.
    pub number: u16,
    /// The notification bit as which it arrives.
    pub bit: u32,
}

/// The vectors of the I/O queues, one a pair: as many pairs as that.
pub type Vectors = Vec<Vector, QUEUES_MAX>;
/// The pairs of I/O queues.
pub type Rings = Vec<Ring, QUEUES_MAX>;
/// The namespaces that are disks.
pub type Namespaces = Vec<Namespace, NAMESPACES_MAX>;

/// The controller's registers, and the memory that it reaches.
#[derive(Debug)]
pub struct Controller<R, M> {
    /// BAR 0.
    pub registers: R,
    /// The driver's pool, as [`crate::layout`] has it.
    pub memory: M,
    places: Places,
    capabilities: Capabilities,
    shutdown_ms: u32,
}

/// What bring-up gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Running {
    /// The I/O queues.
    pub rings: Rings,
    /// The disks.
    pub namespaces: Namespaces,
}

const fn polling(milliseconds: u32) -> Polling {
    Polling {
        interval_us: INTERVAL_US,
        waits: milliseconds.saturating_mul(1000 / INTERVAL_US),
    }
}

impl<R: Registers, M: Memory> Controller<R, M> {
    /// The controller behind these registers, which is not looked at yet but for its capabilities.
    pub fn new(registers: R, memory: M, places: Places) -> Result<Self, StartError> {
        if memory.len() < POOL_LEN {
            return Err(StartError::Memory);
        }
        let low = registers.read32(CAP);
        let high = registers.read32(CAP + 4);
        let capabilities = Capabilities(u64::from(low) | u64::from(high) << 32);
        if !capabilities.has_nvm()
            || !capabilities.has_small_pages()
            || capabilities.entries_max() < 2
        {
            return Err(StartError::Unsupported);
        }
        Ok(Self {
            registers,
            memory,
            places,
            capabilities,
            shutdown_ms: SHUTDOWN_MS,
        })
    }

    /// What it can do.
    #[inline(always)]
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    /// The driver's memory as the controller sees it.
    #[inline(always)]
    pub const fn places(&self) -> &Places {
        &self.places
    }

    /// Its status. Bits that are not known are no status: on a bus without the device all are set.
    fn status(&self) -> Option<Status> {
        let bits = self.registers.read32(CSTS);
        (bits != u32::MAX).then(|| Status::from_bits_truncate(bits))
    }

    /// Whether only a reset helps: a fatal error, or nothing is there.
    pub fn is_broken(&self) -> bool {
        self.status()
            .is_none_or(|status| status.contains(Status::FATAL))
    }

    /// Stops the controller: afterwards it uses no memory (3.7.2).
    pub fn disable(&self, delay: &mut impl DelayNs) -> Result<(), StartError> {
        self.registers.write32(CC, ENABLED & !1);
        let stopped = || {
            self.status()
                .is_some_and(|status| !status.contains(Status::READY))
        };
        polling(self.capabilities.timeout_ms())
            .until(delay, || stopped().then_some(()))
            .ok_or(StartError::Disable)
    }

    fn write64(&self, register: usize, value: u64) {
        self.registers.write32(register, value as u32);
        self.registers.write32(register + 4, (value >> 32) as u32);
    }

    /// Gives it its admin queues, and starts it.
    fn enable(&self, delay: &mut impl DelayNs) -> Result<Ring, StartError> {
        let entries = ADMIN_ENTRIES;
        let admin = Ring::new(&self.memory, 0, entries, ADMIN_SUBMISSION, ADMIN_COMPLETION);
        let last = u32::from(entries - 1);
        self.registers.write32(AQA, last | last << 16);
        self.write64(ASQ, self.places.of(ADMIN_SUBMISSION));
        self.write64(ACQ, self.places.of(ADMIN_COMPLETION));
        self.registers.write32(CC, ENABLED);
        let ready = polling(self.capabilities.timeout_ms()).until(delay, || {
            let status = self.status()?;
            status
                .intersects(Status::READY | Status::FATAL)
                .then_some(status)
        });
        match ready {
            Some(status) if !status.contains(Status::FATAL) => Ok(admin),
            _ => Err(StartError::Enable),
        }
    }

    /// Has a command done, and waits for its end: dword 0 of the completion.
    pub fn wait_for(
        &self,
        ring: &mut Ring,
        command: &Command,
        milliseconds: u32,
        delay: &mut impl DelayNs,
    ) -> Result<u32, StartError> {
        const ID: u16 = 0;
        ring.put(&self.memory, command, ID);
        ring.tell(&self.registers, self.capabilities);
        let ended = polling(milliseconds).until(delay, || ring.next(&self.memory).transpose());
        let completion = ended.ok_or(StartError::AdminTimeout)??;
        ring.give_back(&self.registers, self.capabilities);
        if completion.command != ID {
            return Err(StartError::Fault(DeviceFault::Command));
        }
        match completion.status.verdict() {
            Verdict::Done => Ok(self.memory.read32(completion.at)),
            Verdict::Again | Verdict::Failed(_) => Err(StartError::Admin),
        }
    }

    /// Resets the controller, and brings it up to running I/O queues, at most one for each vector.
    pub fn start(
        &mut self,
        vectors: &Vectors,
        delay: &mut impl DelayNs,
    ) -> Result<Running, StartError> {
        self.disable(delay)?;
        let mut admin = self.enable(delay)?;
        let mut ask = |command: Command| self.wait_for(&mut admin, &command, ADMIN_MS, delay);
        let page = self.places.of(IDENTIFY);
        ask(Command::identify(Identify::Controller, page))?;
        let about = identify::Controller::read(&self.memory, IDENTIFY);
        if !about.has_usual_entries {
            return Err(StartError::Unsupported);
        }
        ask(Command::identify(Identify::ActiveNamespaces, page))?;
        let mut namespaces = Namespaces::new();
        for number in identify::active(&self.memory, IDENTIFY) {
            ask(Command::identify(Identify::Namespace(number), page))?;
            if let Some(namespace) = Namespace::read(&self.memory, IDENTIFY, number, &about) {
                // Cannot fail: there are no more numbers.
                let _ = namespaces.push(namespace);
            }
        }
        if namespaces.is_empty() {
            return Err(StartError::NoNamespace);
        }
        let wanted = vectors.len() as u16;
        let granted = ask(Command::set_queues(wanted))?;
        // Counts are less one; the smaller of the two counts.
        let granted = (granted & 0xffff).min(granted >> 16).saturating_add(1);
        let entries = self.capabilities.entries_max().min(u32::from(ENTRIES_MAX)) as u16;
        let mut rings = Rings::new();
        for (index, vector) in vectors.iter().enumerate().take(granted as usize) {
            let commands = SUBMISSIONS + index * SUBMISSION_LEN;
            let completions = COMPLETIONS + index * PAGE;
            let id = index as u16 + 1;
            let ring = Ring::new(&self.memory, id, entries, commands, completions);
            let place = |offset| self.places.of(offset);
            ask(Command::create_completion(
                id,
                entries,
                place(completions),
                vector.number,
            ))?;
            ask(Command::create_submission(id, entries, place(commands)))?;
            // Cannot fail: there are no more vectors.
            let _ = rings.push(ring);
        }
        if about.shutdown_ms > 0 {
            self.shutdown_ms = about.shutdown_ms.clamp(SHUTDOWN_MS, 10 * SHUTDOWN_MS);
        }
        Ok(Running { rings, namespaces })
    }

    /// Has it write out what it has in caches of its own, and stops it: it may lose its power then (3.6.1).
    pub fn shut_down(&self, delay: &mut impl DelayNs) -> Result<(), StartError> {
        self.registers.write32(CC, ENABLED | SHUTDOWN);
        let done = || {
            let state = self.status()? & (Status::SHUTTING_DOWN | Status::SHUT_DOWN);
            (state == Status::SHUT_DOWN).then_some(())
        };
        polling(self.shutdown_ms)
            .until(delay, done)
            .ok_or(StartError::Shutdown)?;
        self.disable(delay)
    }
}

#[cfg(test)]
mod tests;
