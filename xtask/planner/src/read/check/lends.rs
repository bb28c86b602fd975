//! What a task lends to a device as a whole.

use crate::read::app::App;
use crate::read::task::{Lend, Task};
use crate::read::units::show_size;
use crate::report::{Mistake, Report};

/// The pool that is meant: its number, and its bytes.
pub fn pool_of(task: &Task, lend: &Lend) -> Option<(usize, u64)> {
    let mut pools = task.pools.iter().enumerate();
    let found = match &lend.pool {
        Some(name) => pools.find(|(_, pool)| pool.0.value == name.value),
        None => pools.next().filter(|_| task.pools.len() == 1),
    };
    found.map(|(number, pool)| (number, pool.1))
}

/// A lender calls the device's driver, and has the pool.
pub fn check(report: &Report, app: &App) {
    for task in &app.tasks {
        for lend in &task.lends {
            let name = &lend.device;
            if !app
                .devices
                .iter()
                .any(|device| device.name.value == name.value)
            {
                continue;
            }
            let driver = app
                .driver(&name.value)
                .and_then(|driver| app.tasks.get(driver));
            borrower(report, task, lend, driver);
            pool(report, task, lend);
        }
    }
}

fn borrower(report: &Report, task: &Task, lend: &Lend, driver: Option<&Task>) {
    let name = &lend.device;
    let Some(driver) = driver else {
        report
            .error(
                Mistake::Lend,
                format!(
                    "`{}` lends to `{}`, which nobody drives",
                    task.name.value, name.value
                ),
            )
            .at(&name.span, "nobody can borrow")
            .remedy("let a task drive it, or leave it out of `lends`");
        return;
    };
    let calls = task
        .calls
        .iter()
        .any(|call| call.value == driver.name.value);
    if !calls {
        report
            .error(
                Mistake::Lend,
                format!(
                    "`{}` lends to `{}`, but does not call its driver",
                    task.name.value, name.value
                ),
            )
            .at(&name.span, "memory is lent with a call")
            .with(&driver.name.span, "drives the device")
            .remedy(format!(
                "name `{}` in the `calls` of `{}`, or leave the device out of `lends`",
                driver.name.value, task.name.value
            ));
    }
}

fn pool(report: &Report, task: &Task, lend: &Lend) {
    let names: Vec<String> = task
        .pools
        .iter()
        .map(|pool| format!("`{}`", pool.0.value))
        .collect();
    let names = match names.as_slice() {
        [] => "it has none".to_owned(),
        names => format!("it has {}", names.join(", ")),
    };
    let span = lend
        .pool
        .as_ref()
        .map_or(&lend.device.span, |pool| &pool.span);
    let Some((_, bytes)) = pool_of(task, lend) else {
        report
            .error(
                Mistake::Lend,
                match &lend.pool {
                    Some(pool) => format!("`{}` has no pool `{}`", task.name.value, pool.value),
                    None => format!("`{}` does not say which pool it lends", task.name.value),
                },
            )
            .at(span, names)
            .remedy("name one of its pools, `pool = \"NAME\"`");
        return;
    };
    if let Some(most) = lend.most.as_ref().filter(|most| most.value > bytes) {
        report
            .error(
                Mistake::Lend,
                format!("`{}` lends more of a pool than there is", task.name.value),
            )
            .at(&most.span, format!("the pool has {}", show_size(bytes)))
            .remedy("leave `most` out, or make the pool larger");
    }
}
