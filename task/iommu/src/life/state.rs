//! The parts of a life.

use abi::TaskId;
use iommu_api::Error;

use crate::indices::TaskIndex;

/// Why a device is being made quiet, and so what follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The task waits for its claim.
    Claim(TaskId),
    /// The task waits for the refusal of its claim: opening the device failed when it could already reach pools.
    Refusal(TaskId, Error),
    /// The task waits for the end of its release.
    Release(TaskId),
    /// The task died; its next life, which is held down until then, has this id.
    Death(TaskId),
    /// The device was taken away from this task, which lives on and has its registers.
    Taken(TaskId),
}

impl Purpose {
    /// The life that it is for.
    pub const fn life(self) -> TaskId {
        match self {
            Self::Claim(life)
            | Self::Refusal(life, _)
            | Self::Release(life)
            | Self::Death(life)
            | Self::Taken(life) => life,
        }
    }

    /// The only life that can touch the device's registers, and does not, while it is made quiet for this: it waits for
    /// the server, or has not begun. None if a life goes on meanwhile.
    pub(super) const fn idle_life(self) -> Option<TaskId> {
        match self {
            Self::Taken(_) => None,
            _ => Some(self.life()),
        }
    }
}

/// The state of a device: who has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nobody; its streams abort unless it is always open.
    Free,
    /// The device is being made quiet.
    Quiescing(Purpose),
    /// A life of its owner.
    Claimed(TaskId),
    /// The device could not be made quiet after this task had it: the task stays held.
    HeldForever(TaskIndex),
}

/// The knowledge of a device whose streams are closed.
///
/// That nothing is under way is one thing: then memory that it could reach may be given back. What somebody made
/// it begin since is another: behind closed streams that lands nowhere, but it may begin again, or still be going
/// on, when the streams are opened for somebody else. A task has its device's registers all its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quiet {
    /// Something that began while its streams were open may be under way.
    Unknown,
    /// The device was made quiet since its streams were closed.
    Drained,
    /// The device was made quiet, and only this life could touch its registers since.
    Known(TaskId),
    /// The driver released it with nothing mapped, and so said that no access is under way. If that is wrong, the
    /// access can only hit what this same life maps later.
    ByWord(TaskId),
}

/// Whether a device that was cut off is being made quiet for the sake of those that share its streams, whoever
/// has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForSharers {
    /// No.
    No,
    /// Yes.
    Running,
    /// The device could not be made quiet.
    Failed,
}

/// How the start of a quiesce went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// The PCI task began it.
    Begun,
    /// A quiesce that ran already goes on.
    Joined,
    /// The PCI task did not answer: it is asked again when its next life is up.
    Unheard,
    /// The PCI task did not answer, and there will be no next life.
    Gone,
    /// The PCI task refused.
    Refused,
}
