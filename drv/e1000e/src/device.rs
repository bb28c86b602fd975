//! The controller: reset and bring-up, pages in and out, the link.

use nic_api::{Address, Error, Link, ROOM};
use userlib::delay::{DelayNs, Polling};
use userlib::memory::Memory;
use userlib::registers::Registers;

use crate::layout::{POOL_LEN, RECEIVE, SEND};
use crate::registers::{
    CAUSE_LINK, CAUSE_RECEIVED, CAUSE_SENT, CAUSES_OF_MESSAGES, CTRL, CTRL_FORCED,
    CTRL_MASTER_DISABLE, CTRL_RESET, CTRL_SET_LINK_UP, EECD, EECD_READ, EIAC, ICR, IMC, IMS, IVAR,
    IVAR_EACH, MTA, RAH, RAH_VALID, RAL, RCTL, RCTL_ON, RDBAL, RDTR, RXCSUM, STATUS,
    STATUS_FULL_DUPLEX, STATUS_LINK, STATUS_MASTER, TCTL, TCTL_ON, TDBAL, TIPG, TIPG_COPPER,
    TXDCTL, TXDCTL_ONE,
};
use crate::ring::{Ended, Page, Ring};

/// Looks without a frame that has gone, after which the controller is reset: 5 s of looks.
pub const LOOKS_MAX: u32 = 20;
/// Nanoseconds from one look to the next.
pub const LOOK_EVERY_NS: u64 = 250_000_000;

/// A frame to go: its end is in this page, the check sequence is added, and the state is written back.
const COMMAND_SEND: u64 = (1 | 1 << 1 | 1 << 3) << 24;
/// The frame ends in this page.
const STATE_END: u8 = 1 << 1;
/// The frame has not gone: too many collisions, or a late one.
const STATE_COLLISIONS: u8 = 1 << 1 | 1 << 2;
/// The frame is damaged: its check sequence, a symbol, the sequence, the carrier, or the data. Check sums of what is in it
/// are the client's business.
const ERRORS_OF_FRAME: u8 = 1 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 7;

/// Why the controller cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// Its accesses to memory do not end.
    Master,
    /// Its reset does not end.
    Reset,
    /// It does not find its address.
    NoAddress,
    /// It has another address after a reset.
    Changed,
    /// The driver's memory is too small.
    Memory,
}

impl StartError {
    /// For a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "the controller's accesses to memory do not end",
            Self::Reset => "the controller's reset does not end",
            Self::NoAddress => "the controller has no address",
            Self::Changed => "the controller has another address after a reset",
            Self::Memory => "the driver's pool is too small",
        }
    }
}

/// The controller broke the protocol. It is not used again without a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceFault {
    /// A frame that is longer than a page's room, or has no bytes.
    Length,
    /// A frame that does not end in its page.
    NoEnd,
}

impl DeviceFault {
    /// For a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "a frame of a length that no page has",
            Self::NoEnd => "a frame that does not end in its page",
        }
    }
}

/// A page that the controller is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// The page.
    pub page: Page,
    /// Bytes of the frame.
    pub result: Result<u32, Error>,
}

/// The controller, and the pages that it has.
#[derive(Debug)]
pub struct Nic<R, M> {
    registers: R,
    memory: M,
    /// IOVA of the driver's pool.
    place: u64,
    /// Messages that it signals by; 0 if it signals by its line.
    vectors: u32,
    address: Option<Address>,
    receive: Ring,
    send: Ring,
    /// Looks since a frame has gone, or the first of those under way was given.
    looks: u32,
}

const fn polling(milliseconds: u32) -> Polling {
    Polling {
        interval_us: 10,
        waits: milliseconds * 100,
    }
}

impl<R: Registers, M: Memory> Nic<R, M> {
    /// The controller behind these registers, which is not looked at yet.
    pub fn new(registers: R, memory: M, place: u64, vectors: u32) -> Result<Self, StartError> {
        if memory.len() < POOL_LEN {
            return Err(StartError::Memory);
        }
        Ok(Self {
            registers,
            memory,
            place,
            vectors,
            address: None,
            receive: Ring::new(RECEIVE, RDBAL),
            send: Ring::new(SEND, TDBAL),
            looks: 0,
        })
    }

    /// Stops and resets it: afterwards it uses no memory, and the pages are still kept (datasheet, 5.2 and 10.2.2.1).
    pub fn stop(&mut self, delay: &mut impl DelayNs) -> Result<(), StartError> {
        let registers = &self.registers;
        registers.write32(IMC, u32::MAX);
        registers.write32(RCTL, 0);
        registers.write32(TCTL, 0);
        let control = registers.read32(CTRL) | CTRL_MASTER_DISABLE;
        registers.write32(CTRL, control);
        let idle = || (registers.read32(STATUS) & STATUS_MASTER == 0).then_some(());
        polling(80).until(delay, idle).ok_or(StartError::Master)?;
        registers.write32(CTRL, control | CTRL_RESET);
        // It does not answer for a microsecond.
        delay.delay_us(10);
        let over = || (registers.read32(CTRL) & CTRL_RESET == 0).then_some(());
        polling(100).until(delay, over).ok_or(StartError::Reset)?;
        let read = || (registers.read32(EECD) & EECD_READ != 0).then_some(());
        polling(100)
            .until(delay, read)
            .ok_or(StartError::NoAddress)?;
        registers.write32(IMC, u32::MAX);
        registers.write32(ICR, u32::MAX);
        Ok(())
    }

    /// The address that the controller has found.
    fn read_address(&self) -> Option<Address> {
        let [a, b, c, d] = self.registers.read32(RAL).to_le_bytes();
        let high = self.registers.read32(RAH);
        let [e, f, _, _] = high.to_le_bytes();
        let address = [a, b, c, d, e, f];
        // One of a group is nobody's own.
        let usable = high & RAH_VALID != 0 && a & 1 == 0 && address != [0; 6];
        usable.then_some(address)
    }

    /// Brings up a controller that was [stopped](Self::stop), and whose pages were all [taken](Self::abandoned).
    pub fn start(&mut self) -> Result<(), StartError> {
        let address = self.read_address().ok_or(StartError::NoAddress)?;
        if self.address.is_some_and(|known| known != address) {
            return Err(StartError::Changed);
        }
        self.address = Some(address);
        let registers = &self.registers;
        let place = |offset: usize| self.place + offset as u64;
        self.receive.start(registers, &self.memory, place(RECEIVE));
        self.send.start(registers, &self.memory, place(SEND));
        for word in 0..128 {
            registers.write32(MTA + 4 * word, 0);
        }
        registers.write32(RXCSUM, 0);
        registers.write32(RDTR, 0);
        registers.write32(TXDCTL, TXDCTL_ONE);
        registers.write32(TIPG, TIPG_COPPER);
        if let Some(last) = self.vectors.checked_sub(1) {
            let valid = |vector: u32| 1 << 3 | vector.min(last);
            let vectors = valid(0) | valid(1) << 8 | valid(2) << 16;
            registers.write32(IVAR, vectors | IVAR_EACH);
            registers.write32(EIAC, CAUSES_OF_MESSAGES);
        }
        let control = registers.read32(CTRL) & !(CTRL_MASTER_DISABLE | CTRL_FORCED);
        registers.write32(CTRL, control | CTRL_SET_LINK_UP);
        registers.write32(TCTL, TCTL_ON);
        registers.write32(RCTL, RCTL_ON);
        self.looks = 0;
        self.listen();
        Ok(())
    }

    /// The address that it knows as its own; before it was started, none.
    pub fn address(&self) -> Address {
        self.address.unwrap_or_default()
    }

    /// The link. A controller that is gone has none.
    pub fn link(&self) -> Link {
        let status = self.registers.read32(STATUS);
        if status == u32::MAX || status & STATUS_LINK == 0 {
            return Link::default();
        }
        let speed = match status >> 6 & 3 {
            0 => 10,
            1 => 100,
            _ => 1000,
        };
        Link {
            speed,
            full_duplex: status & STATUS_FULL_DUPLEX != 0,
        }
    }

    /// Forgets the causes of interrupts so far. What they tell of has to be looked at afterwards.
    #[inline]
    pub fn acknowledge(&self) {
        // By its line, to read them is what lowers it (datasheet, 10.2.4.1).
        if self.vectors == 0 {
            self.registers.read32(ICR);
        }
        self.registers.write32(ICR, u32::MAX);
    }

    /// Lets it signal again: a message has ended its own causes.
    #[inline]
    pub fn listen(&self) {
        let causes = if self.vectors == 0 {
            CAUSE_RECEIVED | CAUSE_SENT
        } else {
            CAUSES_OF_MESSAGES
        };
        self.registers.write32(IMS, causes | CAUSE_LINK);
    }

    /// Whether it has no pages.
    #[inline(always)]
    pub const fn is_idle(&self) -> bool {
        self.receive.count() == 0 && self.send.count() == 0
    }

    /// How many other pages fit each ring.
    #[inline(always)]
    pub const fn room(&self) -> usize {
        let (receive, send) = (self.receive.room(), self.send.room());
        if receive < send { receive } else { send }
    }

    /// Gives it a page for a frame to come, which it sees when it is [told](Self::announce).
    #[inline]
    pub fn receive(&mut self, page: Page) -> Result<(), Error> {
        let put = self.receive.put(&self.memory, page, 0);
        put.then_some(()).ok_or(Error::Busy)
    }

    /// Gives it a page with a frame to go.
    #[inline]
    pub fn send(&mut self, page: Page) -> Result<(), Error> {
        if self.send.count() == 0 {
            self.looks = 0;
        }
        let command = COMMAND_SEND | u64::from(page.length & 0xffff);
        let put = self.send.put(&self.memory, page, command);
        put.then_some(()).ok_or(Error::Busy)
    }

    /// Lets it see the pages that were given since the last time.
    #[inline]
    pub fn announce(&mut self) {
        self.receive.tell(&self.registers);
        self.send.tell(&self.registers);
    }

    /// The next page that it is done with.
    #[inline]
    pub fn finished(&mut self) -> Result<Option<Finished>, DeviceFault> {
        if let Some(ended) = self.receive.ended(&self.memory) {
            return received(ended).map(Some);
        }
        let Some(ended) = self.send.ended(&self.memory) else {
            return Ok(None);
        };
        self.looks = 0;
        let result = if ended.state & STATE_COLLISIONS != 0 {
            Err(Error::Damaged)
        } else {
            Ok(ended.page.length)
        };
        Ok(Some(Finished {
            page: ended.page,
            result,
        }))
    }

    /// The next page of a controller that was [stopped](Self::stop), finished or not.
    pub fn abandoned(&mut self) -> Option<Page> {
        self.receive.take().or_else(|| self.send.take())
    }

    /// A look every [`LOOK_EVERY_NS`] while it has pages; whether it has to be reset.
    pub const fn look(&mut self) -> bool {
        if self.send.count() == 0 {
            return false;
        }
        self.looks += 1;
        self.looks > LOOKS_MAX
    }
}

/// A frame that came. A length and an end that are wrong are no frame's: the controller has lost its way.
#[inline]
fn received(ended: Ended) -> Result<Finished, DeviceFault> {
    let length = u32::from(ended.length);
    if length == 0 || length > ROOM {
        return Err(DeviceFault::Length);
    }
    if ended.state & STATE_END == 0 {
        return Err(DeviceFault::NoEnd);
    }
    let result = if ended.errors & ERRORS_OF_FRAME != 0 {
        Err(Error::Damaged)
    } else {
        Ok(length)
    };
    Ok(Finished {
        page: ended.page,
        result,
    })
}

#[cfg(test)]
mod tests;
