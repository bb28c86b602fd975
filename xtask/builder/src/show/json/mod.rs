//! `plan.json`: the plan for other tools. `docs/reference/plan-json.md` is its schema; keys are spelled as in
//! `app.toml`.

mod board;
mod functions;
mod memory;
mod owner;
mod reach;
#[cfg(test)]
mod schema;
mod solution;

pub use owner::Owner;
pub use reach::{AfterUnmap, DeviceReach, Lent, Reaches};

use serde_json::{Value, json as object};

use super::bypasses;
use crate::layout::Placement;
use plan::kernel::InterruptClass;
use planner::planning::{DomainPlan, InterruptRoute, Plan, Premapped, STREAM_BITS_MAX};
use planner::read::{MismatchPolicy, ProcessorTime, Psci};

/// Version of the schema: a key that goes, or changes its meaning, makes it larger by one.
pub const VERSION: u64 = 4;

/// The plan; with addresses once programs are placed. Keys are sorted, so the same plan is the same text.
pub fn json(plan: &Plan, placement: Option<&Placement>) -> String {
    // What cannot be declared yet has its name, and is empty.
    let none: [Value; 0] = [];
    let value = object!({
        "version": VERSION,
        "name": plan.app.name,
        "counters": plan.app.counters,
        "semihosting": plan.app.semihosting,
        "firmware": match plan.app.platform.psci {
            Psci::None => "none",
            Psci::Smc => "smc",
            Psci::Hvc => "hvc",
        },
        "platform": plan.app.platform.name,
        "board": board::of_plan(plan),
        "test-image": plan.app.test_image,
        "mode": solution::mode(plan),
        "cores": plan.app.cores(),
        "tasks": tasks(plan, placement),
        "channels": none,
        "guests": none,
        "network": none,
        "functions": functions::on_pci(plan),
        "non-pci": functions::others(plan),
        "groups": solution::groups(plan),
        "alias-sets": solution::alias_sets(plan),
        "reset-units": solution::reset_units(plan),
        "domains": domains(plan, placement),
        "smmus": smmus(plan, placement),
        "table-bytes": solution::table_bytes(plan),
        "reach": reach::of_plan(plan),
        "registers": solution::registers(plan),
        "kept-clear": solution::kept_clear(plan),
        "waivers": solution::waivers(plan),
        "bypasses": bypasses(plan),
        "exceptions": solution::exceptions(plan),
        "warnings": solution::warnings(plan),
        "interrupts": interrupts(plan),
        "memory": placement.map(memory::places),
        "kernel": placement.and_then(|placement| memory::kernel(plan, placement)),
    });
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

fn hex(value: u64) -> Value {
    Value::String(format!("{value:#x}"))
}

/// The pools that a task lends as a whole, in the order of the devices.
fn lends(plan: &Plan, index: usize) -> Vec<Value> {
    let devices = plan.device_names();
    let lent = devices.flat_map(|device| {
        let lent = plan.lent_to(device).into_iter();
        lent.filter(|lent| lent.task == index)
            .map(move |lent| (device, lent))
    });
    lent.map(|(device, lent)| {
        object!({
            "device": device,
            "pool": lent.pool,
            "bytes": lent.bytes,
            "writable": lent.writable,
        })
    })
    .collect()
}

fn tasks(plan: &Plan, placement: Option<&Placement>) -> Vec<Value> {
    let names = |list: &[planner::report::Spanned<String>]| -> Vec<String> {
        list.iter().map(|name| name.value.clone()).collect()
    };
    plan.app
        .tasks
        .iter()
        .enumerate()
        .map(|(index, task)| {
            let place = placement.and_then(|placement| placement.tasks.get(index));
            object!({
                "index": index,
                "name": task.name.value,
                "priority": task.priority.value,
                "core": task.core,
                "calls": names(&task.calls),
                "owns": names(&task.owns),
                "drives": names(&task.drives),
                "audits": names(&task.audits),
                "inspects": task.inspects,
                "watches": names(&task.watches),
                "trusts": names(&task.trusts),
                "lends": lends(plan, index),
                "depends-on": names(&task.depends_on),
                "together": together(plan, index),
                "notifications": names(&task.notifications),
                "posts": names(&task.posts),
                "parameters": board::parameters(task),
                "rights": plan.rights(index).iter_names().map(|name| name.0).collect::<Vec<_>>(),
                "entry": place.map(|place| hex(place.entry)),
                "stack": task.stack,
                "log": task.log,
                "max-run-ns": task.max_run,
                "budget": budget(plan, index),
                "worst-wait": worst_wait(plan, index),
                "memory": place.map(|place| memory::task(&task.name.value, place)),
                "restart": {
                    "after-ns": task.restart.after,
                    "limit": task.restart.limit,
                    "period-ns": task.restart.period,
                },
                "start": task.start,
                "verdict": task.verdict,
                "dma-authority": task.authority.is_some(),
                "reads-logs": task.reads_logs.is_some(),
                "persistent": task.persistent.iter().map(|(name, len)| object!({
                    "name": name.value,
                    "bytes": len,
                })).collect::<Vec<_>>(),
                "pools": task.pools.iter().enumerate().map(|(pool, (name, len))| object!({
                    "name": name.value,
                    "bytes": len,
                    "address": place.and_then(|place| place.pools.get(pool)).map(|e| hex(e.pa)),
                })).collect::<Vec<_>>(),
            })
        })
        .collect()
}

/// Number of a task's account and what is in it, in nanoseconds; `null` if its time is not limited.
fn budget(plan: &Plan, task: usize) -> Value {
    let account = plan.time.account_of.get(task).copied().flatten();
    let declared = plan.app.tasks.get(task).map(|task| &task.time);
    match account.zip(plan.time.budget(task)) {
        Some((account, budget)) => object!({
            "account": account,
            "time-ns": budget.time,
            "period-ns": budget.period,
            "declared": matches!(declared, Some(ProcessorTime::Own(_))),
        }),
        None => Value::Null,
    }
}

/// How long a task waits for the processor at most, and which tasks trusted with time can make it longer.
fn worst_wait(plan: &Plan, task: usize) -> Option<Value> {
    let wait = plan.time.waits.get(task)?;
    Some(object!({
        "bound-ns": wait.bound.ok(),
        "beside": super::time::beside(plan, wait),
    }))
}

/// The tasks that stop and start with a task, because they are in one containment unit or in units with a task
/// in common.
fn together(plan: &Plan, task: usize) -> Vec<&str> {
    let others = plan.together(task).into_iter();
    let others = others.filter_map(|other| plan.app.tasks.get(other));
    others.map(|other| other.name.value.as_str()).collect()
}

fn domains(plan: &Plan, placement: Option<&Placement>) -> Vec<Value> {
    plan.domains
        .domains
        .iter()
        .map(|domain| {
            object!({
                "kind": domain.kind.text(),
                "untranslated": domain.bypass,
                "invalidation": match domain.lazy {
                    _ if domain.premaps_pools => "premapped",
                    Some(_) => "lazy",
                    None => "strict",
                },
                "lazy": domain.lazy.as_ref().map(|lazy| reach::AfterUnmap::from(lazy.bounds)),
                "snoops": domain.snoops,
                "smmu": smmu_name(plan, domain.smmu),
                // The SMMU translates by stage 1 alone, whose tables the ASID tags in its caches.
                "stage": 1,
                "tag": domain.asid,
                "pages": window(domain.iova_base, domain.page_bytes),
                "blocks": window(domain.block_base, domain.block_bytes),
                "premapped": premapped(plan, placement, domain),
            })
        })
        .collect()
}

/// A part of a domain's window.
fn window(iova: u64, bytes: u64) -> Value {
    object!({ "iova": hex(iova), "bytes": bytes })
}

fn premapped(plan: &Plan, placement: Option<&Placement>, domain: &DomainPlan) -> Vec<Value> {
    let all = domain.premapped.iter();
    all.map(|premapped| {
        let mut value = match *premapped {
            Premapped::Direct { base, len, .. } => object!({
                "kind": "direct",
                "iova": hex(base),
                "address": hex(base),
                "bytes": len,
            }),
            Premapped::Doorbell { base } => object!({
                "kind": "doorbell",
                "iova": hex(base),
                "address": hex(base),
                "bytes": abi::layout::PAGE,
            }),
            Premapped::Identity { task, pool } => {
                pool_of(plan, placement, "identity", (task, pool), None)
            }
            Premapped::Pool { task, pool, iova } => {
                pool_of(plan, placement, "pool", (task, pool), Some(iova))
            }
        };
        let memory = match premapped {
            Premapped::Direct { ram: false, .. } | Premapped::Doorbell { .. } => "device-nGnRE",
            _ if domain.snoops => "write-back",
            _ => "non-cacheable",
        };
        if let Some(keys) = value.as_object_mut() {
            keys.insert("access".to_owned(), format!("rw- {memory}").into());
        }
        value
    })
    .collect()
}

/// A premapped pool; 1:1 without an IOVA.
fn pool_of(
    plan: &Plan,
    placement: Option<&Placement>,
    kind: &str,
    (task, pool): (usize, usize),
    iova: Option<u64>,
) -> Value {
    let declared = plan.app.tasks.get(task);
    let named = declared.and_then(|task| task.pools.get(pool));
    let placed = placement.and_then(|placement| placement.tasks.get(task));
    let address = placed
        .and_then(|task| task.pools.get(pool))
        .map(|extent| extent.pa);
    object!({
        "kind": kind,
        "task": declared.map(|task| task.name.value.as_str()),
        "pool": named.map(|(name, _)| name.value.as_str()),
        "iova": iova.or(address).map(hex),
        "address": address.map(hex),
        "bytes": named.map(|(_, len)| *len),
    })
}

/// The name of an SMMU of the platform.
fn smmu_name(plan: &Plan, number: usize) -> Option<&str> {
    let smmu = plan.app.platform.smmus().into_iter().nth(number)?;
    Some(smmu.name.as_str())
}

/// The SMMUs, in the order of the platform's description.
fn smmus(plan: &Plan, placement: Option<&Placement>) -> Vec<Value> {
    let platform = &plan.app.platform;
    let smmus = platform.smmus().into_iter().enumerate();
    smmus
        .map(|(number, smmu)| {
            let tables = placement.and_then(|placement| placement.smmus.get(number));
            object!({
                "name": smmu.name,
                "stream-bits": smmu.stream_bits.map(|bits| bits.min(STREAM_BITS_MAX)),
                "coherent": platform.coherent,
                "address-bits": platform.address_bits,
                "on-mismatch": match plan.app.iommu.on_mismatch {
                    MismatchPolicy::Refuse => "refuse",
                    MismatchPolicy::Block => "block",
                },
                "tables": tables.copied().map(memory::place_of),
            })
        })
        .collect()
}

fn interrupts(plan: &Plan) -> Vec<Value> {
    plan.interrupts
        .iter()
        .map(|route| {
            let task = plan.app.tasks.get(route.task);
            object!({
                "intid": route.intid,
                "edge": route.class != InterruptClass::Level,
                // How a function signals whose interrupt is no line.
                "message": message(plan, route),
                // The core that takes it: that of its task.
                "target": task.map(|task| task.core),
                "task": task.map(|task| task.name.value.as_str()),
                "device": route.device,
                "notification": route.name,
                "bit": hex(u64::from(route.bit)),
            })
        })
        .collect()
}

/// The ids by which the interrupt translation service knows a message.
fn message(plan: &Plan, route: &InterruptRoute) -> Value {
    let mut devices = plan.messages.iter();
    let own = devices.find(|device| {
        let vectors = device.first_intid..device.first_intid.saturating_add(device.vectors);
        vectors.contains(&route.intid)
    });
    own.map_or(Value::Null, |device| {
        object!({
            "device-id": device.device_id,
            "event-id": route.intid - device.first_intid,
            "by": device.kind.text(),
        })
    })
}
