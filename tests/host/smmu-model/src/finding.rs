//! What the model and its observers can find wrong.

/// A breach of a guarantee, or of a rule that software must keep. The name is what a mutant's report
/// shows; the rule is the row of `docs/reference/smmu-rules.md`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which check found it.
    pub check: Check,
    /// What was seen, for a person.
    pub detail: String,
}

/// Checks, by the guarantee or the rule they stand for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Check {
    /// G1: a stream can reach memory before anybody claimed it, or bypasses the SMMU.
    Open,
    /// G2: a stream can reach memory that its owner did not map.
    Reach,
    /// G3: after a strict unmap a stale translation is left.
    Stale,
    /// G4: memory was given back that the device could still write.
    Release,
    /// G5: a containment unit was let run before it was empty.
    Containment,
    /// G6: the server's death or its successor changed what devices can reach.
    Adoption,
    /// G6: a pin stays with nothing mapped that it is for.
    Leak,
    /// A device is in no state that there is, or holds, streams or bus mastering are not those of its state.
    State,
    /// G7: a request touched a device that its sender does not hold.
    Bystander,
    /// G8: a fault was neither delivered nor reported as lost.
    Delivery,
    /// A mapping the server granted does not translate.
    Function,
    /// A device was taken away before a dead lender's pool had to be given back, or was not.
    Lender,
    /// The server's reply is not the one its protocol prescribes.
    Protocol,
    /// A structure that a live stream uses is illegal, or a reserved bit in it is set.
    Illegal,
    /// A register was written that may not be written now, or with a value that is not allowed.
    Register,
    /// A command is illegal, or an operand of it makes it ineffective.
    Command,
    /// An index of a queue was moved inconsistently, or a submitted command changed.
    Queue,
    /// Two translations of one address were live at once.
    Conflict,
    /// A table, descriptor or queue is outside the memory for them.
    Fetch,
    /// A mapping's attributes are not those of its memory.
    Attributes,
    /// The server refused the plan or the image, as it should.
    Refusal,
    /// A wait did not end within its bound.
    Liveness,
}

/// Where findings are kept.
#[derive(Clone, Default, Debug)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Notes a finding; only the first few are kept.
    pub fn note(&mut self, check: Check, detail: impl FnOnce() -> String) {
        if self.0.len() < 16 {
            self.0.push(Finding {
                check,
                detail: detail(),
            });
        }
    }

    /// The findings so far.
    #[must_use]
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// The first finding.
    #[must_use]
    pub fn first(&self) -> Option<&Finding> {
        self.0.first()
    }
}
