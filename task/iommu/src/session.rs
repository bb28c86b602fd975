//! A claim as its claimant sees it: a handle, and requests of which each is done once.

use abi::TaskId;
use iommu_api::{Error, Operation};

/// The result of the last sequenced request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// The request's operation.
    pub operation: u16,
    /// The code of the reply.
    pub code: u32,
    /// Payload of the reply.
    pub value: u64,
    /// Bytes of the reply.
    pub len: usize,
}

impl Recorded {
    /// The record while no request has been made.
    const NOTHING: Self = Self {
        operation: 0,
        code: 0,
        value: 0,
        len: 0,
    };

    /// The record of a request with its result.
    #[inline(always)]
    pub(crate) fn new(operation: Operation, result: Result<Option<u64>, Error>) -> Self {
        let (code, value, len) = match result {
            Ok(Some(value)) => (0, value, 8),
            Ok(None) => (0, 0, 0),
            Err(error) => (error as u32, 0, 0),
        };
        Self {
            operation: operation as u16,
            code,
            value,
            len,
        }
    }
    /// The result of a request that was refused before it could be recorded.
    #[cold]
    pub(crate) fn refusal(error: Error) -> Self {
        Self {
            code: error as u32,
            ..Self::NOTHING
        }
    }
}

/// The current or last claim of a device.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Names the claim.
    generation: u64,
    /// Claims so far.
    claims: u64,
    /// The life that claimed last, and how often it did.
    claims_of: (TaskId, u64),
    /// Number of the last sequenced request.
    sequence: u64,
    /// The result of the last request.
    recorded: Recorded,
}

impl Session {
    /// No claim yet; the first one gets the generation after this.
    pub(crate) const fn new(generation: u64) -> Self {
        Self {
            generation,
            claims: 0,
            claims_of: (TaskId::KERNEL, 0),
            sequence: 0,
            recorded: Recorded::NOTHING,
        }
    }

    /// A new claim by `owner`.
    pub(crate) fn begin_claim(&mut self, owner: TaskId) {
        self.generation += 1;
        self.claims += 1;
        self.claims_of = match self.claims_of {
            (life, times) if life == owner => (life, times + 1),
            _ => (owner, 1),
        };
        self.sequence = 0;
        self.recorded = Recorded::NOTHING;
    }

    /// The generation that the handle of the current claim has to name.
    #[inline(always)]
    pub const fn generation(&self) -> u64 {
        self.generation
    }
    /// Claims so far.
    pub const fn claims(&self) -> u64 {
        self.claims
    }
    /// Whether the current claim is the first of its life: a task that claims and releases over and over
    /// is told of once.
    pub const fn is_first_of_life(&self) -> bool {
        self.claims_of.1 == 1
    }
    /// Number of the last sequenced request.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
    /// The answer to the last sequenced request.
    pub const fn recorded(&self) -> Recorded {
        self.recorded
    }

    /// Begins a sequenced request; the recorded result if it is the last one again.
    #[inline(always)]
    pub(crate) fn begin(
        &mut self,
        operation: Operation,
        sequence: u64,
    ) -> Result<Option<Recorded>, Error> {
        if sequence == self.sequence.wrapping_add(1) {
            self.sequence = sequence;
            return Ok(None);
        }
        self.again(operation, sequence).map(Some)
    }

    /// The result of the last request, if that is what is asked for again.
    #[cold]
    fn again(&self, operation: Operation, sequence: u64) -> Result<Recorded, Error> {
        let last = sequence == self.sequence && sequence != 0;
        if last && self.recorded.operation == operation as u16 {
            Ok(self.recorded)
        } else {
            Err(Error::OutOfSequence)
        }
    }

    /// Records the result of the last request.
    #[inline(always)]
    pub(crate) fn record(
        &mut self,
        operation: Operation,
        result: Result<Option<u64>, Error>,
    ) -> Recorded {
        self.recorded = Recorded::new(operation, result);
        self.recorded
    }
}
