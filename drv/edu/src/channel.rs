//! The device with its interrupt: transfers one at a time.

use userlib::interrupt;
use userlib::ipc::{self, Received};
use userlib::plan::task::DeviceEntry;
use userlib::registers::MappedRegisters;
use userlib::time::{self, Ticks};

use crate::{DEADLINE, Edu, Error, Transfer};

/// Code of the reply to any message: this task serves nobody.
const NOT_A_SERVER: u32 = 1;

/// Why a transfer did not end well, as far as the device tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The transfer could not be started.
    Start(Error),
    /// The transfer did not end within [`DEADLINE`].
    Timeout,
}

/// A device that this task drives.
#[derive(Debug)]
pub struct Channel {
    edu: Edu<MappedRegisters>,
    interrupt: u32,
}

impl Channel {
    /// The device in BAR 0; `None` in the error if the plan maps no such BAR.
    pub fn new(device: &'static DeviceEntry) -> Result<Self, Option<Error>> {
        let registers = MappedRegisters::bar(device, 0).ok_or(None)?;
        let edu = Edu::new(registers).map_err(Some)?;
        Ok(Self {
            edu,
            interrupt: device.interrupt,
        })
    }

    /// The device.
    pub fn edu(&self) -> &Edu<MappedRegisters> {
        &self.edu
    }

    /// Starts a transfer and waits for its interrupt.
    pub fn run(&self, transfer: &Transfer) -> Result<(), Failure> {
        // Nothing of an earlier life of this driver may be taken for the end of this transfer.
        self.edu.acknowledge();
        interrupt::unmask(self.interrupt);
        self.edu.start(transfer).map_err(Failure::Start)?;
        let deadline = time::now().after(DEADLINE);
        time::set_timer(Some(deadline));
        let result = self.wait(deadline);
        time::set_timer(None);
        result
    }

    fn wait(&self, deadline: Ticks) -> Result<(), Failure> {
        loop {
            match ipc::receive(self.interrupt | abi::notification::TIMER) {
                Received::Notification(bits) => {
                    // The timer's bit may be left over from an earlier wait. The clock is read before the device
                    // is looked at: time in which this task did not run was not the device's.
                    let late = time::now() >= deadline;
                    let finished = self.edu.acknowledge();
                    if bits & self.interrupt != 0 {
                        interrupt::unmask(self.interrupt);
                    }
                    match finished && !self.edu.busy() {
                        true => return Ok(()),
                        false if late => return Err(Failure::Timeout),
                        false => {}
                    }
                }
                Received::Message(message) => {
                    ipc::reply(message.sender, NOT_A_SERVER, &[0; 8], 0);
                }
                Received::Dead => {}
            }
        }
    }
}
