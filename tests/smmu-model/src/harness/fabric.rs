//! The PCI task as far as the server sees it: what it finds, bus mastering, resets, its deaths.

use abi::{Code, TaskId};
use pci_api::client::CallError;
use pci_api::{BootStatus, DeviceState, Error, QuiesceFailure, QuiesceState};

use super::layout::{Machine, Recipe};
use super::troubles::Troubles;
use crate::Chooser;

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
    /// It is up again, and the server was not told.
    pub up: bool,
    /// By the plan's policy nothing is started.
    pub refused: bool,
    /// Calls so far that brought no answer, and restarts of the PCI task.
    pub disturbances: u64,
    /// The PCI task's life, which advances with its death, and the one that the server names in its calls.
    life: u64,
    named: u64,
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
            refused: chooser.once_in(troubles.mismatches) && chooser.once_in(8),
            disturbances: 0,
            life: 0,
            named: 0,
        };
        fabric.plug(chooser);
        fabric.find(chooser);
        fabric
    }

    /// Of the alternatives of a slot at most one is there.
    fn plug(&mut self, chooser: &mut Chooser) {
        let machine = self.machine;
        for device in 0..self.functions.len() {
            let others: Vec<usize> = machine.alternatives(device).collect();
            if others.first().is_some_and(|&other| device < other) {
                let there = chooser.below(others.len() + 2);
                for (place, &other) in std::iter::once(&device).chain(&others).enumerate() {
                    if place != there {
                        self.functions[other].found = DeviceState::Absent;
                    }
                }
            }
        }
    }

    /// A life of the PCI task compares everything with the plan.
    fn find(&mut self, chooser: &mut Chooser) {
        for (function, planned) in self.functions.iter_mut().zip(self.machine.devices) {
            if planned.standing {
                continue;
            }
            let blocked = chooser.once_in(self.troubles.mismatches) && chooser.once_in(4);
            if blocked && function.found == DeviceState::Ready {
                function.found = DeviceState::Blocked;
            }
        }
    }

    fn function(&mut self, device: u32) -> Result<&mut Function, CallError> {
        let function = self.functions.get_mut(device as usize);
        function.ok_or(CallError::Refused(Error::NoSuchDevice))
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
    ) -> Result<(), CallError> {
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
        Err(CallError::Refused(error))
    }

    /// Takes a device for quiet that was not reset.
    pub fn pretend_quiet(&mut self, device: u32) {
        for other in self.machine.reset_with(device as usize) {
            self.functions[other].covered = false;
        }
        if let Some(function) = self.functions.get_mut(device as usize) {
            function.quiesce = QuiesceState::Quiet;
            self.quiesced = true;
        }
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

    /// Starts to make a device quiet.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn quiesce(&mut self, device: u32, chooser: &mut Chooser) -> Result<(), CallError> {
        let machine = self.machine;
        let function = *self.function(device)?;
        let recipe = machine.devices[device as usize].recipe;
        if function.found != DeviceState::Ready {
            return Err(CallError::Refused(Error::Blocked));
        }
        if function.covered || function.quiesce == QuiesceState::Running {
            return Err(CallError::Refused(Error::Quiescing));
        }
        let below: Vec<usize> = machine.reset_with(device as usize).collect();
        if recipe == Recipe::None {
            return Err(CallError::Refused(Error::NoRecipe));
        }
        let others = || below.iter().filter(|&&other| other != device as usize);
        let busy = |other: &Function| other.covered || other.quiesce == QuiesceState::Running;
        let refused = if others().any(|&other| self.is_bus_master(other)) {
            Some(Error::UnitActive)
        } else if others().any(|&other| busy(&self.functions[other])) {
            Some(Error::Quiescing)
        } else {
            None
        };
        if let Some(error) = refused {
            // What became of an earlier reset says nothing of now.
            self.function(device)?.quiesce = QuiesceState::Never;
            return Err(CallError::Refused(error));
        }
        for &other in &below {
            self.functions[other].covered = true;
        }
        let left = chooser.below(4) as u32;
        let function = self.function(device)?;
        function.bus_master = false;
        function.quiesce = QuiesceState::Running;
        function.left = left;
        function.until_reset = Some(chooser.below(left as usize + 1) as u32);
        Ok(())
    }

    /// How it went; a reset that takes the device along is one of its own.
    ///
    /// # Errors
    /// There is no such device.
    pub fn result(&mut self, device: u32) -> Result<QuiesceState, CallError> {
        self.function(device)
            .map(|function| match function.covered {
                true => QuiesceState::Running,
                false => function.quiesce,
            })
    }

    /// The PCI task dies, perhaps for good.
    pub fn die(&mut self, chooser: &mut Chooser) {
        self.down = true;
        self.life += 1;
        self.retired |= chooser.once_in(self.troubles.retirements);
    }

    /// The PCI task runs again: what was bus master still is, unless it lost its state meanwhile. Of quiesces nothing
    /// is known any more.
    pub fn restart(&mut self, chooser: &mut Chooser) {
        if self.retired {
            return;
        }
        for function in &mut self.functions {
            if function.bus_master && chooser.once_in(self.troubles.losses) {
                function.bus_master = false;
            }
            function.quiesce = QuiesceState::Never;
            function.covered = false;
        }
        self.find(chooser);
        self.down = false;
        self.up = true;
        self.disturbances += 1;
        self.quiesced = false;
    }

    /// The server learns the id of the PCI task's life; of the next one, if it is dead.
    pub fn refresh(&mut self) {
        self.named = self.life;
    }

    /// Why a call brings no answer.
    #[must_use]
    pub fn silence(&self) -> Option<CallError> {
        let code = match () {
            () if self.retired => Code::HELD,
            () if self.named != self.life => Code::DEAD,
            () => Code::DOWN,
        };
        let silent = self.down || self.named != self.life;
        silent.then_some(CallError::Unavailable(code))
    }

    /// Time passes: the devices that were reset now.
    pub fn pass(&mut self, chooser: &mut Chooser) -> Vec<usize> {
        let mut reset = Vec::new();
        if self.down {
            return reset;
        }
        for device in 0..self.functions.len() {
            let function = &mut self.functions[device];
            if function.quiesce != QuiesceState::Running {
                continue;
            }
            if function.until_reset == Some(function.left) {
                function.until_reset = None;
                for at in self.taken(device) {
                    let failed = chooser.once_in(self.troubles.quiesce_failures);
                    self.functions[at].failed = failed;
                    reset.extend((!failed).then_some(at));
                }
            }
            let function = &mut self.functions[device];
            if function.left > 0 {
                function.left -= 1;
                continue;
            }
            self.end(device);
        }
        reset
    }

    /// What a device's recipe resets.
    fn taken(&self, device: usize) -> Vec<usize> {
        let bus: Vec<usize> = self.machine.reset_with(device).collect();
        if bus.is_empty() { vec![device] } else { bus }
    }

    /// A quiesce ends, of a device and of all that its bus reset took.
    fn end(&mut self, device: usize) {
        self.quiesced = true;
        for at in self.taken(device) {
            let function = &mut self.functions[at];
            function.covered = false;
            function.quiesce = if function.failed {
                QuiesceState::Failed(QuiesceFailure::Deadline)
            } else {
                QuiesceState::Quiet
            };
        }
    }
}
