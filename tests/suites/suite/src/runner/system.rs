//! What the runner needs of the kernel.

use abi::{Code, TaskId};
use userlib::ipc::{self, Payload, Received};
use userlib::privileged::{self, Status};
use userlib::{config, provoke, time};

/// The kernel as the supervisor of a test image sees it.
pub trait System {
    /// Task index of a role.
    fn index_of(&mut self, name: &str) -> Option<usize>;
    /// A parameter of the plan.
    fn parameter(&mut self, name: &str) -> Option<u64>;
    /// Waits for a message or a notification in `mask`.
    fn receive(&mut self, mask: u32, buffer: &mut [u8]) -> Received;
    /// Replies with code 0.
    fn reply(&mut self, to: TaskId, payload: &Payload, len: usize);
    /// `Status`.
    fn status(&mut self, index: usize) -> Option<Status>;
    /// `Restart`.
    fn restart(&mut self, index: usize) -> Code;
    /// `Stop`.
    fn stop(&mut self, index: usize, for_good: bool) -> Code;
    /// `ArmFault`.
    fn arm_fault(&mut self, index: usize, n: u64) -> Code;
    /// Any privileged call: number and arguments.
    fn privileged(&mut self, number: u64, arguments: [u64; 5]) -> [u64; 8];
    /// `ReadMemory` of one word.
    fn read_word(&mut self, index: usize, address: u64) -> Result<u64, Code>;
    /// Nanoseconds.
    fn now(&mut self) -> u64;
    /// Sets the timer to so many nanoseconds from now, or stops it.
    fn set_timer(&mut self, nanoseconds: Option<u64>);
    /// Writes to the console.
    fn print(&mut self, text: &str);
}

/// The kernel itself.
#[derive(Clone, Copy, Debug)]
pub struct OnTarget;

impl System for OnTarget {
    fn index_of(&mut self, name: &str) -> Option<usize> {
        config::peer(name).map(|peer| peer.index as usize)
    }
    fn parameter(&mut self, name: &str) -> Option<u64> {
        config::parameter(name)
    }
    fn receive(&mut self, mask: u32, buffer: &mut [u8]) -> Received {
        ipc::receive_into(mask, buffer)
    }
    fn reply(&mut self, to: TaskId, payload: &Payload, len: usize) {
        ipc::reply(to, 0, payload, len);
    }
    fn status(&mut self, index: usize) -> Option<Status> {
        privileged::status(index)
    }
    fn restart(&mut self, index: usize) -> Code {
        privileged::restart(index)
    }
    fn stop(&mut self, index: usize, for_good: bool) -> Code {
        privileged::stop(index, for_good)
    }
    fn arm_fault(&mut self, index: usize, n: u64) -> Code {
        privileged::arm_fault(index, n)
    }
    fn privileged(&mut self, number: u64, arguments: [u64; 5]) -> [u64; 8] {
        provoke::privileged(number, arguments)
    }
    fn read_word(&mut self, index: usize, address: u64) -> Result<u64, Code> {
        let mut bytes = [0; 8];
        match privileged::read_memory(index, address, &mut bytes) {
            Code::OK => Ok(u64::from_le_bytes(bytes)),
            code => Err(code),
        }
    }
    fn now(&mut self) -> u64 {
        time::now().nanoseconds()
    }
    fn set_timer(&mut self, nanoseconds: Option<u64>) {
        time::set_timer(nanoseconds.map(|nanoseconds| time::now().after(nanoseconds)));
    }
    fn print(&mut self, text: &str) {
        privileged::console(text);
    }
}
