//! Sends frames to an echo on the same network, a few at a time, and compares what comes back.
//!
//! Its own driver may die: then all of its pages have to be its own again. Without a `reaper` nobody dies, and no frame
//! may be lost.
//!
//! Plan: the driver `left`, the driver `right` if there is no reaper; a pool, the bit `frame-done`; the parameter `rounds`, or the task `reaper`.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{LeaseAttributes, notification};
use frames_sender::{back, length, write};
use nic_api::client::{Failure, Nic};
use nic_api::{
    Address, Completion, Completions, DEPTH, DONE, Error, Frame, LEASE, Link, link, result,
};
use queue_api::Operation;
use queue_api::client::Queue;
use supervisor_api::Outcome;
use supervisor_api::client::report;
use userlib::delay::{Delay, DelayNs};
use userlib::ipc::{self, LeaseBuffer};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::server::Server;
use userlib::{config, time};

userlib::task!(main);

const PAGE: usize = 4096;
/// Pages for frames to come, from the first page on.
const COMING: u16 = 8;
/// Pages with frames to go, behind them: those of a round.
const GOING: u16 = 4;
/// Nanoseconds after which a frame is lost, where drivers die, and where nobody does: a busy host lets an emulator stand still.
const LOST: u64 = 500_000_000;
const HANGS: u64 = 20_000_000_000;
/// Nanoseconds between two looks at a driver that says nothing.
const WATCH: u64 = 2_000_000;
/// How long a dead life's device gets to show itself.
const SUSPICION_US: u32 = 3000;
/// What a page holds that nobody may write.
const MARK: u8 = 0xa5;
/// Rounds at the end of a chaos, of which one without a loss is enough.
const LAST_ROUNDS: u64 = 200;

type Outcomes<T> = Result<T, &'static str>;

struct Sender {
    nic: Nic,
    reaper: Option<Server>,
    pool: PoolMemory,
    done: u32,
    own: Address,
    /// The first number of a frame of this round.
    number: u64,
    recoveries: u64,
    lost: u64,
}

/// A round, with one life of the driver.
struct Round {
    queue: Queue<Server>,
    /// Pages for frames to come that are not with the driver.
    free: u16,
    /// Frames of the round that have gone, and those that are back.
    gone: u16,
    back: u16,
}

const ALL_GOING: u16 = (1 << GOING) - 1;

impl Round {
    /// The first with a life of the driver, which has no page yet.
    fn first() -> Option<Self> {
        let driver = Server::named("left")?;
        driver.refresh();
        Some(Self {
            queue: Queue::new(driver, DEPTH),
            free: (1 << COMING) - 1,
            gone: 0,
            back: 0,
        })
    }
}

impl Sender {
    fn new() -> Option<Self> {
        Some(Self {
            nic: Nic::named("left")?,
            reaper: Server::named("reaper"),
            pool: PoolMemory::of(config::mappings(MappingKind::Pool).next()?),
            done: config::notification(DONE)?,
            own: [0; 6],
            // No life takes a frame of an earlier one for its own.
            number: (ipc::who_am_i().generation() << 32).wrapping_add(1),
            recoveries: 0,
            lost: 0,
        })
    }

    /// Fails if anybody writes to the pool, all of which is this task's own now.
    fn suspect(&self) -> Outcomes<()> {
        self.pool.fill(0, self.pool.len(), MARK);
        publish();
        Delay::new().delay_us(SUSPICION_US);
        acquire();
        if (0..self.pool.len()).all(|at| self.pool.read8(at) == MARK) {
            Ok(())
        } else {
            Err("a dead life's device wrote to memory given back")
        }
    }

    /// Waits until the driver is up.
    fn recover(&mut self) -> Outcomes<()> {
        loop {
            self.nic.refresh();
            match self.nic.interface() {
                Ok(interface) => {
                    if interface.frame_max < 1518 || interface.room as usize > PAGE {
                        return Err("an interface that is none");
                    }
                    self.own = interface.address;
                    break;
                }
                Err(Failure::Dead | Failure::Down) => {}
                Err(failure) => return Err(failure.name()),
            }
            time::set_timer(Some(time::now().after(WATCH)));
            ipc::receive(notification::TIMER | notification::PEER);
        }
        self.suspect()
    }

    /// Sends frames, and waits until all are back, or lost. False if the driver is down.
    fn round(&mut self, round: &mut Round) -> Outcomes<bool> {
        (round.gone, round.back) = (0, 0);
        for which in 0..GOING {
            let (number, page) = (self.number + u64::from(which), COMING + which);
            write(&self.pool, usize::from(page) * PAGE, number, self.own);
            let frame = Frame::send(page, LEASE, page.into(), length(number));
            if !round.queue.ask(frame.request()) {
                return Err("a page is not back");
            }
        }
        publish();
        let patience = if self.reaper.is_some() { LOST } else { HANGS };
        let end = time::now().after(patience);
        while round.gone != ALL_GOING || round.back != ALL_GOING {
            while round.free != 0 {
                let page = round.free.trailing_zeros() as u16;
                round.free &= round.free - 1;
                let frame = Frame::receive(page, LEASE, page.into());
                round.queue.ask(frame.request());
            }
            let lent = LeaseBuffer::pool(self.pool, LeaseAttributes::all());
            let taken = match round.queue.turn::<Error>(Operation::Run, &[lent]) {
                Ok(completions) => self.take(round, completions)?,
                Err(failure) if failure.is_silence() => return Ok(false),
                Err(Failure::Refused(Error::QueueFull)) => 0,
                Err(failure) => return Err(failure.name()),
            };
            if taken > 0 {
                continue;
            }
            if time::now() >= end {
                if round.gone != ALL_GOING {
                    return Err("a frame does not go");
                }
                self.lost += u64::from((ALL_GOING & !round.back).count_ones());
                break;
            }
            time::set_timer(Some(time::now().after(WATCH)));
            ipc::receive(self.done | notification::TIMER | notification::PEER);
        }
        self.number += u64::from(GOING);
        Ok(true)
    }

    /// Takes completions: how many there are.
    fn take(&self, round: &mut Round, completions: Completions) -> Outcomes<usize> {
        let mut count = 0;
        for completion in completions {
            count += 1;
            let page = completion.tag();
            if page < COMING {
                round.free |= 1 << page;
                self.came(round, completion)?;
            } else {
                match result(completion) {
                    Ok(_) => round.gone |= 1 << (page - COMING),
                    Err(Error::Busy) => {
                        let number = self.number + u64::from(page - COMING);
                        let again = Frame::send(page, LEASE, page.into(), length(number));
                        round.queue.ask(again.request());
                    }
                    Err(error) => return Err(error.name()),
                }
            }
        }
        Ok(count)
    }

    fn came(&self, round: &mut Round, completion: Completion) -> Outcomes<()> {
        let found = match result(completion) {
            Ok(found) => found as usize,
            Err(Error::Busy) => return Ok(()),
            Err(error) => return Err(error.name()),
        };
        acquire();
        let at = usize::from(completion.tag()) * PAGE;
        let number = back(&self.pool, at, found, self.own);
        let number = number.ok_or("a frame came back as another")?;
        match number.checked_sub(self.number) {
            Some(which) if which < u64::from(GOING) => {
                if round.back & 1 << which != 0 {
                    // The echo's driver died after it had sent.
                    return self.reaper.as_ref().map(|_| ()).ok_or("a frame came twice");
                }
                round.back |= 1 << which;
                Ok(())
            }
            Some(_) => Err("a frame that was not sent"),
            // One that was given up.
            None => self.reaper.as_ref().map(|_| ()).ok_or("a late frame"),
        }
    }

    /// That there is a link is told at once to who does not know it.
    fn ask_for_link(&self) -> Outcomes<()> {
        let now = self.nic.interface().map_err(|error| error.name())?.link;
        let asked = self.nic.wait(&[link(40, Link::default())], None);
        let told = asked.map_err(|error| error.name())?.next();
        match told {
            Some(told) if told.tag() == 40 && Link::told(told) == now && now.is_up() => Ok(()),
            _ => Err("the link is not what the interface says"),
        }
    }

    /// The other interface is another task's.
    fn ask_another(&self) -> Outcomes<()> {
        let other = Nic::named("right").ok_or("no other interface")?;
        let asked = other.interface().map(|_| ());
        let given = other.run(&[Frame::receive(0, LEASE, 0).request()], None);
        let refused = Err(Failure::Refused(Error::NotClient));
        if asked == refused && given.map(|_| ()) == refused {
            Ok(())
        } else {
            Err("an interface serves whom it is not for")
        }
    }

    fn is_over(&self) -> bool {
        self.reaper.as_ref().is_none_or(chaos_reaper::is_over)
    }

    /// Rounds while others die, and then until one loses nothing.
    fn chaos(&mut self) -> Outcomes<()> {
        let mut last = LAST_ROUNDS;
        loop {
            let mut round = Round::first().ok_or("no driver")?;
            loop {
                let before = self.lost;
                if !self.round(&mut round)? {
                    break;
                }
                if !self.is_over() {
                    continue;
                }
                if self.lost == before {
                    return Ok(());
                }
                last = last.checked_sub(1).ok_or("frames are lost for ever")?;
            }
            self.recoveries += 1;
            self.recover()?;
        }
    }

    fn run(&mut self) -> Outcomes<()> {
        self.recover()?;
        if self.reaper.is_some() {
            return self.chaos();
        }
        self.ask_for_link()?;
        self.ask_another()?;
        let rounds = config::parameter("rounds").ok_or("the plan has no rounds")?;
        let mut round = Round::first().ok_or("no driver")?;
        for _ in 0..rounds {
            if !self.round(&mut round)? {
                return Err("the driver died");
            }
        }
        if self.lost > 0 {
            return Err("frames were lost");
        }
        Ok(())
    }
}

fn main() -> ! {
    let Some(mut sender) = Sender::new() else {
        panic!("the plan lacks something");
    };
    let (outcome, text) = match sender.run() {
        Ok(()) => (Outcome::Pass, "frames came back as they went"),
        Err(why) => (Outcome::Fail, why),
    };
    defmt::info!(
        "number {=u64:x}, {=u64} lost, {=u64} recoveries",
        sender.number,
        sender.lost,
        sender.recoveries
    );
    let _ = report(outcome, text);
    loop {
        ipc::receive(0);
    }
}
