//! The tables of the SMMUs: the stream table, context descriptors, and the page tables of every domain.

mod context;
mod devices;
mod domain;
mod places;
mod records;
mod streams;

use crate::Verified;
use crate::blob::{Blob, Record};
use crate::expected::{Domain, Extent, Plan, Smmu, Task};
use crate::image::Image;
use crate::spaces::Spaces;
use places::Places;
use records::Records;

/// The memory of an SMMU's tables and what the IOMMU server is told of it.
struct Tables<'a> {
    image: &'a Image<'a>,
    plan: &'a Plan,
    smmu: &'a Smmu,
    /// Number of the SMMU.
    number: u32,
    /// The IOMMU server, by its number and what `plan.json` says of it.
    server: (u32, &'a Task),
    place: Extent,
    records: &'a Records<'a>,
}

/// Walks all tables of every SMMU from the stream table, and compares the records that the IOMMU server reads.
///
/// # Errors
/// If the IOMMU server's plan cannot be read.
pub fn check(
    image: &Image<'_>,
    plan: &Plan,
    spaces: &Spaces,
    verified: &mut Verified,
) -> Result<(), String> {
    let has_tables = |task: &Task| {
        let mut kinds = task.memory.iter().map(|mapping| mapping.what.as_str());
        kinds.any(|what| what == "smmu-tables")
    };
    let servers = plan
        .tasks
        .iter()
        .zip(0u32..)
        .filter(|(task, _)| has_tables(task));
    let servers: Vec<_> = servers.collect();
    let (task, server) = match servers.as_slice() {
        [] if plan.smmus.iter().all(|smmu| smmu.tables.bytes == 0) => return Ok(()),
        [(task, server)] => (*task, *server),
        servers => {
            verified.say(format!("{} tasks have the SMMU's tables", servers.len()));
            return Ok(());
        }
    };
    let at = spaces.plans.get(server as usize).copied().flatten();
    verified.addresses.server_plan = at.unwrap_or_default();
    let records = Records::new(&Blob::new(image.plan(at), "the IOMMU server")?);
    records::count(&records, plan, verified);
    for (smmu, number) in plan.smmus.iter().zip(0..) {
        let tables = Tables {
            image,
            plan,
            smmu,
            number,
            server: (server, task),
            place: smmu.tables,
            records: &records,
        };
        let mut places = Places::default();
        records::check(&tables, &mut places, verified);
        let always_open = streams::check(&tables, &mut places, verified);
        domain::check(&tables, &always_open, &mut places, verified);
        places.check(&tables, verified);
    }
    devices::check(plan, &records, verified);
    for (number, smmu) in plan.smmus.iter().enumerate() {
        let mut others = plan.smmus.iter().skip(number + 1);
        if let Some(other) = others.find(|other| smmu.tables.run().meets(&other.tables.run())) {
            verified.say(format!(
                "the tables of {} and {} are the same memory",
                smmu.name, other.name
            ));
        }
    }
    Ok(())
}

impl<'a> Tables<'a> {
    /// The SMMU's domains, each with its record.
    fn domains(&self) -> impl Iterator<Item = (&'a Record<'a>, &'a Domain)> {
        let domains = self.records.domains.iter().zip(&self.plan.domains);
        domains.filter(|(_, domain)| domain.smmu == self.smmu.name)
    }

    /// The eight words of a stream table entry or a context descriptor, if it is in the tables' memory.
    fn eight(&self, at: u64) -> Option<[u64; 8]> {
        let inside =
            at.is_multiple_of(64) && self.place.has(at) && self.place.has(at.saturating_add(63));
        let mut words = [0; 8];
        for (index, word) in words.iter_mut().enumerate() {
            *word = self.image.word(at.saturating_add(index as u64 * 8))?;
        }
        inside.then_some(words)
    }
}
