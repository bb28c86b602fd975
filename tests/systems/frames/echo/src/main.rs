//! Sends each frame back to where it came from, out of the page that it came into, again and again, whoever dies.
//!
//! Plan: the driver `right`, to which its pool is lent; `depends-on` it.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]
#![forbid(unsafe_code)]

use abi::{LeaseAttributes, notification};
use nic_api::client::{Failure, Nic};
use nic_api::{Address, Completion, DEPTH, Error, Frame, Interface, result};
use queue_api::Operation;
use queue_api::client::Queue;
use userlib::ipc::{self, LeaseBuffer};
use userlib::memory::{Memory, PoolMemory, acquire, publish};
use userlib::plan::task::MappingKind;
use userlib::{config, time};

userlib::task!(main);

const PAGE: usize = 4096;
/// The region that the pool is.
const REGION: u8 = 1;
/// Nanoseconds between two looks at a driver that is down.
const WATCH: u64 = 2_000_000;

/// The interface, of a driver that is up and has been lent the pool.
fn up(nic: &Nic, pool: PoolMemory) -> Interface {
    loop {
        nic.refresh();
        let lent = LeaseBuffer::pool(pool, LeaseAttributes::all());
        let found = nic
            .interface()
            .and_then(|interface| nic.lend(REGION, lent).map(|()| interface));
        match found {
            Ok(interface) => return interface,
            Err(Failure::Dead | Failure::Down | Failure::Refused(Error::Busy)) => {}
            Err(failure) => panic!("the driver does not serve: {}", failure.name()),
        }
        time::set_timer(Some(time::now().after(WATCH)));
        ipc::receive(notification::TIMER | notification::PEER);
    }
}

/// Turns a frame round. Only the addresses are written: all else is what came.
fn turn_round(pool: &PoolMemory, page: usize, own: Address) {
    acquire();
    let mut from = [0; 6];
    let at = page * PAGE;
    for (offset, byte) in (6..).zip(&mut from) {
        *byte = pool.read8(at + offset);
    }
    for (offset, byte) in (0..).zip(from.into_iter().chain(own)) {
        pool.write8(at + offset, byte);
    }
    publish();
}

/// What is to be done with the page of a completion.
fn next(pool: &PoolMemory, own: Address, sends: &mut u64, completion: Completion) -> Frame {
    let (tag, page) = (completion.tag(), u32::from(completion.tag()));
    let bit = 1u64.checked_shl(page).unwrap_or(0);
    let was_sent = *sends & bit != 0;
    *sends &= !bit;
    match result(completion) {
        Ok(length) if !was_sent => {
            turn_round(pool, page as usize, own);
            *sends |= bit;
            Frame::send(tag, REGION, page, length)
        }
        _ => Frame::receive(tag, REGION, page),
    }
}

fn main() -> ! {
    let Some((nic, pool)) = Nic::named("right").zip(config::mappings(MappingKind::Pool).next())
    else {
        panic!("the plan has no driver, or no pool");
    };
    let pool = PoolMemory::of(pool);
    loop {
        let own = up(&nic, pool).address;
        let mut queue = Queue::new(nic.caller(), DEPTH);
        let mut sends = 0;
        for page in 0..(pool.len() / PAGE) as u32 {
            queue.ask(Frame::receive(page as u16, REGION, page).request());
        }
        // Until the driver dies; its next life is lent the pool again.
        loop {
            match queue.turn::<Error>(Operation::Wait, &[]) {
                Ok(completions) => {
                    for completion in completions {
                        let frame = next(&pool, own, &mut sends, completion);
                        queue.ask(frame.request());
                    }
                }
                Err(failure) if failure.is_silence() => break,
                Err(failure) => panic!("a turn failed: {}", failure.name()),
            }
        }
    }
}
