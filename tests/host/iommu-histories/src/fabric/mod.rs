//! The PCI task as far as the server sees it: what it finds, bus mastering, resets, its deaths.
//!
//! It does what the real one does (`task/pci`) with less to look at: a function has no registers here but bus
//! mastering, and nothing is lost of it but that.

mod lives;
mod quiesce;

use abi::TaskId;
use pci_api::client::Failure;
use pci_api::{BootStatus, DeviceState, Error, QuiesceState};

use lives::Record;

use super::layout::{Machine, Recipe};
use super::troubles::Troubles;
use smmu_model::Chooser;

/// One function.
#[derive(Clone, Copy, Debug)]
struct Function {
    found: DeviceState,
    /// It was not, and is taken for it.
    pretended: bool,
    bus_master: bool,
    quiesce: QuiesceState,
    /// Steps until a running quiesce ends, and until it resets the function.
    left: u32,
    until_reset: Option<u32>,
    /// What it was to be reset by has failed.
    failed: bool,
    /// A running bus reset takes it too.
    covered: bool,
    /// It was being reset in an earlier life, and is waited for: until then it counts as being made quiet.
    returning: bool,
    /// What the next life is to know.
    record: Record,
    /// How often a life found it on and left it off.
    losses: u64,
    /// A quiesce of it has failed, or could not be begun since it was not as planned.
    refused: bool,
    /// Whose it was since it was last reset: that life may open it again, if it said that nothing is under
    /// way; [`TaskId::KERNEL`] if nobody can say so.
    user: Option<TaskId>,
}

/// All functions.
pub struct Fabric {
    machine: &'static Machine,
    functions: Vec<Function>,
    /// How often what goes wrong.
    pub troubles: Troubles,
    /// A quiesce ended since the server was last told.
    pub quiesced: bool,
    /// The PCI task is dead.
    pub down: bool,
    /// It is dead and does not come back.
    pub retired: bool,
    /// It is up again or will not come back, and the server was not told.
    pub up: bool,
    /// By the plan's policy nothing is started.
    pub refused: bool,
    /// Calls so far that brought no answer, and restarts of the PCI task.
    pub disturbances: u64,
    /// The PCI task's life, which advances with its death, and the one that the server names in its calls, if it runs.
    life: u64,
    named: Option<u64>,
}

impl Fabric {
    /// Every function as firmware left it.
    #[must_use]
    pub fn new(machine: &'static Machine, troubles: Troubles, chooser: &mut Chooser) -> Self {
        let function = |planned: &super::layout::Planned| Function {
            found: DeviceState::Ready,
            pretended: false,
            bus_master: false,
            quiesce: QuiesceState::Never,
            left: 0,
            until_reset: None,
            failed: false,
            covered: false,
            returning: false,
            record: Record::NOTHING,
            losses: 0,
            refused: false,
            // Firmware may have used it, unless somebody has given his word that it has not.
            user: (planned.recipe != Recipe::None).then_some(TaskId::KERNEL),
        };
        let mut fabric = Self {
            machine,
            functions: machine.devices.iter().map(function).collect(),
            troubles,
            quiesced: false,
            down: false,
            retired: false,
            up: false,
            refused: false,
            disturbances: 0,
            life: 0,
            named: None,
        };
        fabric.plug(chooser);
        fabric.find(chooser);
        fabric.keep();
        fabric
    }

    fn function(&mut self, device: u32) -> Result<&mut Function, Failure> {
        let function = self.functions.get_mut(device as usize);
        function.ok_or(Failure::Refused(Error::NoSuchDevice))
    }

    /// Whether a device may start transactions, as far as nobody but its streams keeps it from it: it is bus master, or
    /// needs not be and has something to do.
    #[must_use]
    pub fn may_act(&self, device: usize) -> bool {
        let platform = self.machine.device(device).is_some_and(|d| d.platform);
        let armed = self.user(device as u32).is_some();
        platform && armed || self.is_bus_master(device)
    }

    /// Whether bus mastering of a device is on.
    #[must_use]
    pub fn is_bus_master(&self, device: usize) -> bool {
        self.functions
            .get(device)
            .is_some_and(|function| function.bus_master)
    }

    /// How often a life of the PCI task found a device on and left it off: it had lost its state, or is not as planned.
    #[must_use]
    pub fn losses(&self, device: usize) -> u64 {
        self.functions.get(device).map_or(0, |f| f.losses)
    }

    /// Whether there ever was a reason not to call a device quiet.
    #[must_use]
    pub fn was_refused(&self, device: usize) -> bool {
        let none = self
            .machine
            .device(device)
            .is_none_or(|d| d.recipe == Recipe::None);
        none || self.functions.get(device).is_some_and(|f| f.refused)
    }

    /// What a device was found to be.
    #[must_use]
    pub fn found(&self, device: usize) -> Option<DeviceState> {
        self.functions.get(device).map(|function| function.found)
    }

    /// Whether a device is being made quiet, for itself or with another.
    #[must_use]
    pub fn is_busy(&self, device: usize) -> bool {
        let function = self.functions.get(device);
        function.is_some_and(|f| f.covered || f.quiesce == QuiesceState::Running)
    }

    /// Who may have left something under way in a device.
    #[must_use]
    pub fn user(&self, device: u32) -> Option<TaskId> {
        let function = self.functions.get(device as usize);
        function.and_then(|function| function.user)
    }

    /// Notes who may leave something under way in a device; nobody after a reset.
    pub fn set_user(&mut self, device: u32, user: Option<TaskId>) {
        if let Some(function) = self.functions.get_mut(device as usize) {
            function.user = user;
        }
    }

    /// A life of its owner starts something in a device, which waits for its turn.
    pub fn touch(&mut self, device: u32, life: TaskId) {
        let before = self.user(device);
        let user = before.filter(|&user| user != life).map(|_| TaskId::KERNEL);
        self.set_user(device, user.or(Some(life)));
    }

    /// Outcome of the enumeration.
    #[must_use]
    pub fn status(&self) -> BootStatus {
        let count = |state| {
            let functions = self.functions.iter();
            functions.filter(|f| f.found == state).count() as u32
        };
        BootStatus {
            ready: count(DeviceState::Ready),
            mismatches: count(DeviceState::Blocked),
            undeclared: 0,
            refused: self.refused,
        }
    }

    /// Turns bus mastering on or off; off is always granted.
    ///
    /// # Errors
    /// Why it stays off: the PCI task refuses the device, is making it quiet, could not, or finds it changed.
    pub fn bus_master(
        &mut self,
        device: u32,
        on: bool,
        chooser: &mut Chooser,
    ) -> Result<(), Failure> {
        let (refused, mismatches) = (self.refused, self.troubles.mismatches);
        let function = self.function(device)?;
        if !on {
            function.bus_master = false;
            return Ok(());
        }
        let busy = function.covered || function.quiesce == QuiesceState::Running;
        let error = match function.quiesce {
            _ if refused => Error::BootRefused,
            _ if function.found != DeviceState::Ready => Error::Blocked,
            _ if busy => Error::Quiescing,
            QuiesceState::Failed(_) => Error::NotQuiet,
            _ if chooser.once_in(mismatches) && chooser.once_in(8) => {
                function.found = DeviceState::Blocked;
                function.bus_master = false;
                Error::Blocked
            }
            _ => {
                function.bus_master = true;
                function.quiesce = QuiesceState::Never;
                return Ok(());
            }
        };
        Err(Failure::Refused(error))
    }

    /// Takes a device for one that is as planned.
    pub fn pretend_found(&mut self, device: usize) {
        if let Some(function) = self.functions.get_mut(device) {
            function.found = DeviceState::Ready;
            function.pretended = true;
        }
    }

    /// Whether a device really is as planned.
    #[must_use]
    pub fn is_as_planned(&self, device: usize) -> bool {
        let function = self.functions.get(device);
        function.is_some_and(|f| f.found == DeviceState::Ready && !f.pretended)
    }
}
