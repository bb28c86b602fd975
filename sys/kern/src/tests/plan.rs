//! Plans that must not run.

use abi::{Rights, notification};
use plan::NONE;
use plan::kernel::{LifeEvent, ListenerEntry, RegionAttributes};

use super::fake::{RAM_BASE, RAM_LEN};
use super::world::*;
use crate::{PlanError, State, TaskSet};

type Spoil = fn(&mut Tables);

const DEVICE_BIT: u32 = RegionAttributes::DEVICE.bits();

fn refused(spoil: Spoil) -> PlanError {
    let mut tables = Tables::new();
    spoil(&mut tables);
    match tables.boot() {
        Ok(_) => panic!("the plan was accepted"),
        Err(error) => error,
    }
}

/// What spoils a plan, and where it is found.
const MISTAKES: [(Spoil, PlanError); 49] = [
    (|t| t.system[0].supervisor = 1, PlanError::System),
    (|t| t.system[0].authority = COUNT as u32, PlanError::System),
    (|t| t.system[0].flags = 1 << 9, PlanError::System),
    (|t| t.system[0].core = 1, PlanError::System),
    (|t| t.system[0].cores = 2, PlanError::System),
    (|t| t.system[0].cores = 0, PlanError::System),
    (|t| t.window[0].len = 0, PlanError::Window(0)),
    (|t| t.window[0].base += 1, PlanError::Window(0)),
    (|t| t.window[1].len += 0x800, PlanError::Window(1)),
    (|t| t.window[1].base -= 0x1000, PlanError::Window(1)),
    (
        |t| t.window[1].base = (1 << 38) - 0x1000,
        PlanError::Window(1),
    ),
    (|t| t.window[1].len = !0xfff, PlanError::Window(1)),
    // Half of it in the next window, or the last page of this one.
    (
        |t| t.window[1].base += (1 << 38) - RAM_BASE - RAM_LEN,
        PlanError::Window(1),
    ),
    // Where no table has an address.
    (
        |t| t.window.iter_mut().for_each(|w| w.base += 1 << 48),
        PlanError::Window(0),
    ),
    // The stack of task 0 would lie half beyond the first range.
    (|t| t.window[0].len = 0x1_1000, PlanError::Region(1)),
    (|t| t.tasks.clear(), PlanError::TaskCount),
    (|t| t.tasks = t.tasks.repeat(10), PlanError::TaskCount),
    (|t| t.tasks[2].priority = 9, PlanError::Task(3)),
    (|t| t.tasks[1].priority = 0, PlanError::Task(1)),
    (|t| t.tasks[4].send_to = 1 << 4, PlanError::Task(4)),
    (|t| t.tasks[4].send_to = 1 << 5, PlanError::Task(4)),
    (
        |t| t.tasks[4].rights = Rights::DMA_AUTHORITY.bits(),
        PlanError::Task(4),
    ),
    (|t| t.tasks[1].rights = 0, PlanError::Task(1)),
    (|t| t.tasks[4].rights = 1 << 20, PlanError::Task(4)),
    (|t| t.tasks[3].entry = STACK, PlanError::Task(3)),
    (|t| t.tasks[3].entry = CODE + 2, PlanError::Task(3)),
    (
        |t| t.tasks[3].stack_top = STACK_TOP + 16,
        PlanError::Task(3),
    ),
    (|t| t.tasks[3].ttbr0 |= 1, PlanError::Task(3)),
    // Another's root, another's ASID, that of the first instructions.
    (
        |t| t.tasks[3].ttbr0 = t.tasks[1].ttbr0 & !(0xffff << 48) | 9 << 48,
        PlanError::Task(3),
    ),
    (
        |t| t.tasks[3].ttbr0 = t.tasks[3].ttbr0 & !(0xffff << 48) | 1 << 48,
        PlanError::Task(3),
    ),
    (|t| t.tasks[0].ttbr0 &= !(0xffff << 48), PlanError::Task(0)),
    // Stacks that are registers, registers that are run or lent.
    (
        |t| t.regions[1].attributes |= DEVICE_BIT,
        PlanError::Task(0),
    ),
    (
        |t| t.regions[9].attributes |= DEVICE_BIT,
        PlanError::Task(2),
    ),
    (
        |t| t.regions[2].attributes |= DEVICE_BIT,
        PlanError::Region(2),
    ),
    (
        |t| t.regions[3].attributes |= RegionAttributes::DMA.bits(),
        PlanError::Region(3),
    ),
    (
        |t| {
            t.regions[3].attributes = DEVICE_BIT | RegionAttributes::EXECUTE.bits();
        },
        PlanError::Region(3),
    ),
    (|t| t.tasks[3].region_count = 99, PlanError::Task(3)),
    (|t| t.regions[1].va = CODE, PlanError::Task(0)),
    (|t| t.regions[2].va = STACK, PlanError::Region(2)),
    (|t| t.regions[6].pa = 0x1000, PlanError::Region(6)),
    (|t| t.regions[6].len = 100, PlanError::Region(6)),
    (
        |t| t.regions[4].attributes |= RegionAttributes::WRITE.bits(),
        PlanError::Region(4),
    ),
    (|t| t.posts[3].to = COUNT as u32, PlanError::Post(3)),
    (|t| t.interrupts[1].intid = 1020, PlanError::Interrupt(1)),
    (|t| t.interrupts[1].bit = 0x30000, PlanError::Interrupt(1)),
    (|t| t.interrupts[1].class = 3, PlanError::Interrupt(1)),
    // A message without tables, and with the number of a line.
    (|t| t.interrupts[1].class = 2, PlanError::Interrupt(1)),
    (
        |t| {
            t.interrupts[1].class = 2;
            t.interrupts[1].intid = MESSAGE_INTID;
        },
        PlanError::Messages,
    ),
    // The right without the place in the system's record.
    (
        |t| t.tasks[SERVER].rights = Rights::MESSAGES.bits(),
        PlanError::Task(SERVER),
    ),
];

#[test]
fn mistakes_are_found_and_located() {
    for (number, (spoil, error)) in MISTAKES.into_iter().enumerate() {
        assert_eq!(refused(spoil), error, "case {number}");
    }
}

/// What is wrong by one only, or in two words that hide each other.
#[test]
fn mistakes_by_one_are_found() {
    let cases: [(Spoil, PlanError); 14] = [
        (
            |t| {
                t.window[0].base += 8;
                t.window[0].len += 8;
            },
            PlanError::Window(0),
        ),
        (
            |t| {
                t.tasks[1].priority = t.tasks[0].priority;
                t.tasks[1].send_to = 0;
            },
            PlanError::Task(1),
        ),
        (
            |t| {
                t.tasks[2].priority = 9;
                t.tasks[3].send_to = 0;
            },
            PlanError::Task(3),
        ),
        (
            |t| {
                let code = t.regions[t.tasks[3].regions as usize];
                t.tasks[3].entry = code.va + code.len;
            },
            PlanError::Task(3),
        ),
        (
            |t| t.tasks[3].stack_base = t.tasks[3].stack_top,
            PlanError::Task(3),
        ),
        (|t| t.regions[6].va += 8, PlanError::Region(6)),
        (|t| t.regions[6].pa += 8, PlanError::Region(6)),
        (|t| t.regions[6].len += 8, PlanError::Region(6)),
        (
            |t| {
                t.regions[6].va += 8;
                t.regions[6].pa += 8;
            },
            PlanError::Region(6),
        ),
        (
            |t| {
                t.regions[6].pa += 8;
                t.regions[6].len -= 0xff8;
            },
            PlanError::Region(6),
        ),
        (
            |t| {
                t.regions[6].va += 8;
                t.regions[6].len -= 0xff8;
            },
            PlanError::Region(6),
        ),
        (
            |t| t.interrupts[1].task = COUNT as u32,
            PlanError::Interrupt(1),
        ),
        (|t| t.interrupts[1].bit = 1 << 3, PlanError::Interrupt(1)),
        (|t| t.interrupts[1].bit = 1 << 28, PlanError::Interrupt(1)),
    ];
    for (number, (spoil, error)) in cases.into_iter().enumerate() {
        assert_eq!(refused(spoil), error, "case {number}");
    }
}

/// The console is told what is wrong and which record it is in.
#[test]
fn each_mistake_has_a_sentence_of_its_own() {
    let all = [
        PlanError::System,
        PlanError::Window(7),
        PlanError::TaskCount,
        PlanError::Task(7),
        PlanError::Region(7),
        PlanError::Post(7),
        PlanError::Listener(7),
        PlanError::Account(7),
        PlanError::Interrupt(7),
        PlanError::Messages,
    ];
    let said: std::collections::BTreeSet<_> = all.iter().map(|error| error.message()).collect();
    assert_eq!(said.len(), all.len());
    for error in all {
        let nowhere = matches!(
            error,
            PlanError::System | PlanError::TaskCount | PlanError::Messages
        );
        assert_eq!(error.record(), if nowhere { 0 } else { 7 }, "{error:?}");
    }
}

/// The records of SERVER: DRIVER hears of starts and of the end, the supervisor and the authority of deaths.
#[test]
fn listeners_are_in_order_and_get_bits_of_lives_only() {
    const FIRST: usize = SERVER * 2;
    let cases: [(Spoil, usize); 14] = [
        (|t| t.listeners[FIRST + 2].event = 5, 2),
        (|t| t.listeners[FIRST + 3].event = u32::MAX, 3),
        (|t| t.listeners[FIRST + 1].to = COUNT as u32, 1),
        (|t| t.listeners[FIRST + 1].to = 1 << 8, 1),
        (|t| t.listeners[FIRST].bits = 0, 0),
        (|t| t.listeners[FIRST].bits |= notification::TIMER, 0),
        (|t| t.listeners[FIRST].bits |= 1, 0),
        (|t| t.listeners[FIRST].bits |= 1 << 16, 0),
        (|t| t.listeners.swap(FIRST, FIRST + 1), 1),
        (|t| t.listeners.swap(FIRST + 2, FIRST + 3), 3),
        (|t| t.listeners[FIRST + 1] = t.listeners[FIRST], 1),
        (
            |t| {
                t.listeners[FIRST + 1] = t.listeners[FIRST];
                t.listeners[FIRST + 1].to -= 1;
            },
            1,
        ),
        (|t| t.tasks[SERVER].listener_count = u32::MAX, 0),
        (|t| t.tasks[SERVER].listener_count = 99, 0),
    ];
    for (number, (spoil, record)) in cases.into_iter().enumerate() {
        let error = PlanError::Listener(FIRST + record);
        assert_eq!(refused(spoil), error, "case {number}");
    }
    let nowhere = refused(|t| t.tasks[SERVER].listeners = 99);
    assert_eq!(nowhere, PlanError::Listener(99));
}

#[test]
fn interrupts_have_one_route_each() {
    let same_line = refused(|t| t.interrupts[1].intid = DRIVER_INTID);
    assert_eq!(same_line, PlanError::Interrupt(1));
    let same_bit = refused(|t| {
        t.interrupts[1].task = DRIVER as u32;
        t.interrupts[1].bit = DRIVER_BIT;
    });
    assert_eq!(same_bit, PlanError::Interrupt(1));
}

#[test]
fn a_system_without_authority_runs() {
    let mut tables = Tables::new();
    tables.system[0].authority = NONE;
    tables.tasks[AUTHORITY].rights = 0;
    assert_eq!(tables.boot().unwrap().runs(), SUPERVISOR);
}

#[test]
fn tasks_start_by_priority_or_not_at_all() {
    let mut tables = Tables::new();
    tables.tasks[AUTHORITY].start = 0;
    let mut world = tables.boot().unwrap();
    assert_eq!(world.state(AUTHORITY), State::Down);
    assert_eq!(world.id(AUTHORITY).generation(), 0);
    for expected in [SUPERVISOR, SERVER, DRIVER, LEFT, RIGHT, LOW] {
        assert_eq!(world.runs(), expected);
        world.receive(expected, 0, abi::TaskId::ANY, 0, 0);
    }
    assert_eq!(world.running, None);
}

#[test]
fn the_first_register_file_is_empty() {
    let world = World::new();
    let frame = world.frame(LEFT);
    assert_eq!((frame.x, frame.pstate), ([0; 31], 0));
    assert_eq!((frame.pc, frame.sp), (CODE, STACK_TOP));
    assert_eq!(
        world.kernel.task(index(LEFT)).ttbr0() >> 48,
        LEFT as u64 + 1
    );
}

#[test]
fn no_task_sees_what_was_in_memory_before() {
    let mut world = World::new();
    for task in [SUPERVISOR, LEFT] {
        let stack = world.memory(task, STACK_TOP - 4096, 4096);
        assert!(stack.iter().all(|&byte| byte == 0), "task {task}");
    }
}

#[test]
fn sets_of_tasks_by_priority_are_those_of_the_plan() {
    let world = World::new();
    for (number, own) in PRIORITIES.into_iter().enumerate() {
        let with = |matches: fn(&u32, &u32) -> bool| {
            let others = PRIORITIES.iter().enumerate();
            let those = others.filter(|(_, other)| matches(other, &own));
            TaskSet(those.map(|(other, _)| 1 << other).sum())
        };
        let task = world.kernel.task(index(number));
        assert_eq!(task.above(), with(u32::lt), "task {number}");
        assert_eq!(task.equals(), with(u32::eq), "task {number}");
        assert_eq!(task.at_least(), with(u32::le), "task {number}");
    }
}

#[test]
fn the_stack_is_the_region_that_its_base_lies_in() {
    // Its neighbour ends where it begins, and it begins below its base.
    for (base, above) in [(STACK, 0), (STACK + 0x1000, 0), (STACK + 0x1000, 0x1000)] {
        let mut tables = Tables::new();
        let first = tables.tasks[LEFT].regions as usize;
        tables.regions[first].va = STACK - 0x1000;
        tables.tasks[LEFT].entry = STACK - 0x1000;
        tables.regions[first + 1].va += above;
        tables.regions[first + 1].len -= above;
        tables.tasks[LEFT].stack_base = base;
        let world = tables.boot().unwrap();
        let task = world.kernel.task(index(LEFT));
        let (address, len, _) = task.span();
        assert_eq!((address, len), (STACK + above, 0x1_0000 - above));
    }
}

#[test]
fn nobody_is_told_anything_by_the_first_start() {
    let mut tables = Tables::new();
    let first = tables.listeners.len() as u32;
    let told = |to| ListenerEntry {
        event: LifeEvent::Up as u32,
        to,
        bits: notification::PEER,
    };
    tables.listeners.extend((0..COUNT as u32).map(told));
    let server = &mut tables.tasks[SERVER];
    (server.listeners, server.listener_count) = (first, COUNT as u32);
    let world = tables.boot().unwrap();
    for task in 0..COUNT {
        assert_eq!(world.kernel.task(index(task)).pending(), 0, "{task}");
    }
}
