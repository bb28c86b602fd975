//! Plan blobs: any bytes are read in place without leaving them, by tasks, by the kernel, by the IOMMU server.

use iommu::indices::DeviceIndex;
use iommu::plan_view::PlanView;
use plan::iommu::{DeviceEntry, DomainEntry, DomainKind, PoolEntry, SmmuEntry, StreamEntry};
use plan::kernel::{
    AccountEntry, InterruptClass, InterruptEntry, KernelEntry, LifeEvent, ListenerEntry, PostEntry,
    RegionAttributes, RegionEntry, TaskEntry, WindowEntry,
};
use plan::task::{MappingEntry, ParameterEntry, PeerEntry, SelfEntry};
use plan::{Blob, Builder, NONE, Name, Record, TaskList, TaskNumber};
use zerocopy::{FromZeros, IntoBytes};

/// Every table of a plan.
pub fn run(bytes: &[u8]) {
    // Where the kernel and the tasks find theirs, it is aligned.
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    let bytes = &words.as_bytes()[..bytes.len()];
    let _ = Blob::claimed_len(bytes);
    let Ok(blob) = Blob::new(bytes) else {
        return;
    };
    table::<SelfEntry>(&blob, bytes);
    table::<PeerEntry>(&blob, bytes);
    table::<MappingEntry>(&blob, bytes);
    table::<ParameterEntry>(&blob, bytes);
    if let Ok(own) = blob.one::<SelfEntry>() {
        let _ = own.name.as_str().len();
    }
    let peers = blob.table::<PeerEntry>();
    for peer in peers.into_iter().flatten() {
        assert!(peer.name.as_str().len() <= size_of::<Name>());
    }
    if let Ok(plan) = PlanView::new(&blob) {
        server(&plan);
    }
    if let Ok(tables) = kern::Tables::read(blob) {
        kernel(&tables);
    }
}

fn table<T: Record>(blob: &Blob<'_>, bytes: &[u8]) {
    let inside = bytes.as_ptr_range();
    let check = |range: core::ops::Range<*const T>| {
        let (start, end) = (range.start.cast(), range.end.cast());
        assert!(inside.start <= start && end <= inside.end);
    };
    if let Ok(table) = blob.exact::<T>() {
        assert!(size_of_val(table) <= bytes.len());
        if !table.is_empty() {
            check(table.as_ptr_range());
        }
    }
    if let Ok(table) = blob.table::<T>() {
        let found = table.iter().take(bytes.len());
        let found: Vec<&T> = found.collect();
        for record in &found {
            check(core::slice::from_ref(*record).as_ptr_range());
        }
        assert_eq!(found.len(), table.len(), "every record is there");
    }
}

/// What the kernel has checked it uses without a check.
fn kernel(tables: &kern::Tables<'_>) {
    for task in tables.tasks {
        let mut free = 0;
        for region in tables.regions_of(task).expect("checked") {
            assert!(region.va >= free && region.len > 0);
            free = region.va + region.len;
            let device = region.attributes & RegionAttributes::DEVICE.bits() != 0;
            let within = |range: &WindowEntry| {
                range.base <= region.pa && region.pa + region.len <= range.base + range.len
            };
            assert!(device || tables.window.iter().any(within));
        }
        for event in LifeEvent::ALL {
            for listener in tables.listeners_of(task, event).unwrap_or_default() {
                assert!(listener.event == event as u32);
                assert!((listener.to as usize) < tables.tasks.len());
            }
        }
        for post in tables.posts_of(task).expect("checked") {
            assert!((post.to as usize) < tables.tasks.len());
        }
    }
    for interrupt in tables.interrupts {
        assert!((interrupt.task as usize) < tables.tasks.len());
    }
}

/// The same of the IOMMU server.
fn server(plan: &PlanView<'_>) {
    for (index, device) in plan.devices.iter().enumerate() {
        assert_eq!(
            plan.streams_of(device).len(),
            device.stream_count as usize,
            "a device without its streams"
        );
        let auditors = device.auditors.of(plan.numbers, abi::TASKS_MAX);
        assert!(auditors.is_some(), "lists are checked");
        let index = DeviceIndex::new(index).expect("devices are counted");
        assert!(plan.member(index) < plan.devices.len() as u64);
        if let Some((_, domain)) = plan.domain_of(device) {
            assert!((domain.smmu as usize) < plan.smmus.len());
        }
        let (first, count) = plan.pools_of(device.owner);
        assert!(first + count <= plan.pools.len());
    }
    for stream in plan.streams {
        assert!((stream.smmu as usize) < plan.smmus.len());
    }
}

/// Good ones.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![of_task(), of_kernel(), of_server()]
}

fn of_task() -> Vec<u8> {
    let own = SelfEntry {
        name: Name::new("edu"),
        ..SelfEntry::new_zeroed()
    };
    let peer = PeerEntry {
        name: Name::new("iommu"),
        index: 2,
        may_send: 1,
    };
    let mapping = MappingEntry::new_zeroed();
    Builder::new()
        .push(&[own])
        .push(&[peer, peer])
        .push(&[mapping; 3])
        .finish()
}

fn of_kernel() -> Vec<u8> {
    let system = KernelEntry {
        authority: NONE,
        translator: NONE,
        cores: 1,
        ..KernelEntry::new_zeroed()
    };
    let window = WindowEntry {
        base: 0x4000_0000,
        len: 0x100_0000,
    };
    let (read, write) = (RegionAttributes::READ, RegionAttributes::WRITE);
    let region = |va, attributes: RegionAttributes| RegionEntry {
        va,
        pa: 0x4000_0000 + va,
        len: 0x1000,
        attributes: attributes.bits(),
        reserved: 0,
    };
    let regions = [
        region(0x40_0000, read | RegionAttributes::EXECUTE),
        region(0x80_0000, read | write),
    ];
    let task = |priority: u32| TaskEntry {
        name: Name::new("task"),
        entry: 0x40_0000,
        stack_base: 0x80_0000,
        stack_top: 0x80_1000,
        priority,
        ttbr0: (u64::from(priority + 1) << 48) | (0x4010_0000 + u64::from(priority) * 0x1000),
        send_to: u64::from(priority),
        region_count: 2,
        post_count: 1,
        listener_count: 2,
        start: 1,
        account: priority,
        ..TaskEntry::new_zeroed()
    };
    let post = PostEntry { to: 0, bits: 1 };
    let listeners = [LifeEvent::Up, LifeEvent::Fault].map(|event| ListenerEntry {
        event: event as u32,
        to: 0,
        bits: abi::notification::FAULT,
    });
    let account = AccountEntry {
        budget: 1,
        period: 2,
    };
    let interrupt = InterruptEntry {
        intid: 40,
        task: 1,
        bit: 1 << 16,
        class: InterruptClass::Level as u32,
    };
    Builder::new()
        .push(&[system])
        .push(&[task(0), task(1)])
        .push(&[window])
        .push(&regions)
        .push(&[post])
        .push(&listeners)
        .push(&[account, account])
        .push(&[interrupt])
        .finish()
}

fn of_server() -> Vec<u8> {
    let smmu = SmmuEntry::new_zeroed();
    let domain = DomainEntry {
        kind: DomainKind::Dma as u32,
        asid: 1,
        ..DomainEntry::new_zeroed()
    };
    let stream = StreamEntry::new_zeroed();
    let device = |streams, stream_count| DeviceEntry {
        streams,
        stream_count,
        auditors: TaskList { first: 1, count: 2 },
        ..DeviceEntry::new_zeroed()
    };
    Builder::new()
        .push(&[smmu])
        .push(&[domain])
        .push(&[stream; 3])
        .push(&[device(0, 2), device(2, 1)])
        .push(&[PoolEntry::new_zeroed()])
        .push(&[3, 1, 4].map(|number| TaskNumber { number }))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes start from plans that are accepted.
    #[test]
    fn seeds_are_plans() {
        let read = |bytes: Vec<u8>, accepts: fn(Blob<'_>) -> bool| {
            let mut words = vec![0u64; bytes.len().div_ceil(8)];
            words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
            assert!(accepts(Blob::new(words.as_bytes()).expect("a blob")));
        };
        read(of_task(), |blob| blob.one::<SelfEntry>().is_ok());
        read(of_kernel(), |blob| kern::Tables::read(blob).is_ok());
        read(of_server(), |blob| PlanView::new(&blob).is_ok());
    }
}
