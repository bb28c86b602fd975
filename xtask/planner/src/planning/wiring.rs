//! Whether what `app.toml` declares is a fabric at all: the solver takes trees only.

use std::collections::BTreeMap;

use solver::model::FunctionKind;

use crate::read::{App, Bridge, Main, Place, Root};
use crate::report::{Mistake, Report, Reported, Spanned};

/// Reports places that do not exist or cannot be taken; `Err` if there is no tree.
pub fn check(report: &Report, app: &App) -> Result<(), Reported> {
    let gate = report.gate();
    names(report, app);
    for bridge in &app.bridges {
        place(
            report,
            app,
            &bridge.name,
            bridge.at.as_ref(),
            bridge.slot.value,
        );
    }
    for device in &app.devices {
        match &device.place {
            Place::Slot { at, slot } => place(report, app, &device.name, at.as_ref(), *slot),
            Place::Virtual { of, .. } => virtual_function(report, app, &device.name, of),
            Place::Platform { .. } => {}
        }
    }
    for root in &app.roots {
        if let Some(slot) = &root.slot {
            place(report, app, &root.name, None, slot.value);
        }
        root_bus(report, app, root);
        if let Some(main) = &root.expander_of {
            expander_of(report, app, main);
        }
        if root.slot.is_some() {
            expander(report, app, root);
        }
    }
    for bridge in &app.bridges {
        loops(report, app, bridge);
    }
    gate.pass(())
}

/// A bus number has one root bus; that of the platform is bus 0 unless the file declares root buses itself.
fn root_bus(report: &Report, app: &App, root: &Root) {
    let own = app.roots.iter().any(|other| other.slot.is_none());
    let before = app
        .roots
        .iter()
        .take_while(|other| other.name.value != root.name.value)
        .find(|other| (other.segment, other.bus) == (root.segment, root.bus));
    let other = match before {
        Some(other) => format!("`{}` has it", other.name.value),
        None if !own && (root.segment, root.bus) == (0, 0) => {
            "the platform's host bridge has it".to_owned()
        }
        None => return,
    };
    let draft = report
        .error(
            Mistake::BadSlot,
            format!("bus {} has a root bus already", root.bus),
        )
        .at(&root.name.span, &other)
        .remedy("give it a `bus` above those of the bridges before it");
    drop(match before {
        Some(other) => draft.with(&other.name.span, "the first"),
        None => draft,
    });
}

/// Bridges and devices share one set of names: `at`, `drives` and reports refer to both.
fn names(report: &Report, app: &App) {
    let mut known: BTreeMap<&str, &Spanned<String>> = BTreeMap::new();
    let roots = app.roots.iter().map(|root| &root.name);
    let bridges = app.bridges.iter().map(|bridge| &bridge.name);
    let devices = app.devices.iter().map(|device| &device.name);
    for name in roots.chain(bridges).chain(devices) {
        if let Some(first) = known.insert(&name.value, name) {
            report
                .error(
                    Mistake::BadName,
                    format!("two functions are called `{}`", name.value),
                )
                .at(&name.span, "the second")
                .with(&first.span, "the first")
                .remedy("rename one: [pci] and [devices] share their names");
        }
    }
}

fn bridge<'a>(app: &'a App, name: &str) -> Option<&'a Bridge> {
    app.bridges.iter().find(|bridge| bridge.name.value == name)
}

fn place(
    report: &Report,
    app: &App,
    name: &Spanned<String>,
    at: Option<&Spanned<String>>,
    slot: (u8, u8),
) {
    let Some(at) = at else {
        on_main_root(report, app, name, slot);
        return;
    };
    if app.roots.iter().any(|root| root.name.value == at.value) {
        return;
    }
    let Some(above) = bridge(app, &at.value) else {
        let bridges = app.bridges.iter().map(|bridge| bridge.name.value.as_str());
        let roots = app.roots.iter().map(|root| root.name.value.as_str());
        let known: Vec<&str> = bridges.chain(roots).collect();
        let draft = report
            .error(
                Mistake::UnknownBridge,
                format!("there is no bridge `{}`", at.value),
            )
            .at(&at.span, "not a table below [pci]");
        drop(if known.is_empty() {
            draft.note("none is declared")
        } else {
            draft.note(format!("declared: {}", known.join(", ")))
        });
        return;
    };
    // A link has one device; only the bus inside a switch and conventional buses have more.
    let link = matches!(
        above.kind,
        FunctionKind::RootPort | FunctionKind::DownstreamPort | FunctionKind::PciToPcie
    );
    if link && slot.0 != 0 {
        report
            .error(
                Mistake::BadSlot,
                format!(
                    "below `{}`, a {}, there is only slot 0",
                    above.name.value,
                    above.kind.text()
                ),
            )
            .at(
                &name.span,
                format!("`{}` is in slot {}", name.value, slot.0),
            )
            .with(&above.name.span, "a link has one device")
            .remedy("give it a port of its own");
    }
}

fn on_main_root(report: &Report, app: &App, name: &Spanned<String>, slot: (u8, u8)) {
    let [first, last] = app.platform.pci.root_slots;
    if !(first..=last).contains(&slot.0) {
        report
            .error(
                Mistake::BadSlot,
                format!("the root bus has no free slot {}", slot.0),
            )
            .at(&name.span, format!("slots {first} to {last} are free"))
            .remedy(format!(
                "declare a `slot` from {first} to {last}, or `at` if it is below a bridge"
            ));
    }
}

fn virtual_function(report: &Report, app: &App, name: &Spanned<String>, of: &Spanned<String>) {
    let physical = app
        .devices
        .iter()
        .find(|device| device.name.value == of.value);
    let problem = match physical {
        None => "not a device of this file",
        Some(device) if matches!(device.place, Place::Slot { .. }) => return,
        Some(_) => "not a function in a slot",
    };
    report
        .error(
            Mistake::UnknownDevice,
            format!("`{}` has no physical function `{}`", name.value, of.value),
        )
        .at(&of.span, problem)
        .remedy("name the table of the physical function below [devices]");
}

/// Reported once for each loop, at the first of its bridges.
fn loops(report: &Report, app: &App, start: &Bridge) {
    let mut members = vec![&start.name];
    let mut at = start.at.as_ref();
    while let Some(above) = at.and_then(|at| bridge(app, &at.value)) {
        if above.name.value == start.name.value {
            let least = members.iter().map(|name| name.span.range.start).min();
            if least == Some(start.name.span.range.start) {
                let mut draft = report
                    .error(
                        Mistake::Loop,
                        format!("`{}` is above itself", start.name.value),
                    )
                    .at(
                        &start.name.span,
                        "the chain of `at` does not end at a root bus",
                    );
                for other in members.iter().skip(1) {
                    draft = draft.with(&other.span, "on the way");
                }
                drop(draft.remedy("remove `at` of the bridge that is on the root bus"));
            }
            return;
        }
        if members.len() > app.bridges.len() {
            return;
        }
        members.push(&above.name);
        at = above.at.as_ref();
    }
}

/// The root bus to which an expander belongs: the first root bus of a root complex. Through a chain of
/// expanders two of its buses would pass for two root complexes, whose ports nothing joins.
fn expander_of(report: &Report, app: &App, main: &Spanned<String>) {
    let found = app.roots.iter().find(|root| root.name.value == main.value);
    let Some(found) = found else {
        report
            .error(
                Mistake::UnknownBridge,
                format!("there is no root bus `{}`", main.value),
            )
            .at(&main.span, "not a table below [pci]");
        return;
    };
    if let Some(first) = &found.expander_of {
        report
            .error(
                Mistake::Loop,
                format!("`{}` is an expander itself", main.value),
            )
            .at(&main.span, "not the first root bus of a root complex")
            .with(&first.span, "that is this one")
            .remedy(format!("write `expander-of = \"{}\"`", first.value));
    }
}

/// An expander is a function on a bus that is numbered before its own.
fn expander(report: &Report, app: &App, root: &Root) {
    let name = &root.name;
    let (main, place) = match app.main_of(root) {
        Main::Declared(main) => (Some(&main.name), (main.segment, main.bus)),
        Main::Platform => (None, (0, 0)),
        Main::Unknown if root.expander_of.is_none() => {
            let roots = app.roots.iter().filter(|other| other.slot.is_none());
            let roots: Vec<&str> = roots.map(|other| other.name.value.as_str()).collect();
            report
                .error(
                    Mistake::MissingKey,
                    format!("`{}` does not say which root bus it is on", name.value),
                )
                .at(
                    &name.span,
                    format!("an expander in segment {}", root.segment),
                )
                .note(format!("root buses: {}", roots.join(", ")))
                .remedy("write `expander-of`, the root bus of its segment that has its function");
            return;
        }
        // The name was looked up already.
        Main::Unknown | Main::Itself => return,
    };
    let of = main.map_or("the platform's root bus".to_owned(), |main| {
        format!("`{}`", main.value)
    });
    let message = if place.0 != root.segment {
        format!(
            "`{}` is not in the segment of {of}, to which it belongs",
            name.value
        )
    } else if root.bus < place.1 {
        format!("`{}` begins before {of}, to which it belongs", name.value)
    } else {
        return;
    };
    let draft = report
        .error(Mistake::BadSlot, message)
        .at(
            &name.span,
            format!("segment {}, bus {}", root.segment, root.bus),
        )
        .remedy("put it in the segment of its root bus and give it a higher `bus`, or name another in `expander-of`");
    drop(match main {
        Some(main) => draft.with(&main.span, format!("segment {}, bus {}", place.0, place.1)),
        None => draft.note("the platform's root bus is bus 0 of segment 0"),
    });
}
