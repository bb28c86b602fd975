//! The core against a functional fake: an SMMU that caches until told otherwise, a kernel, a PCI task.

mod alternatives;
mod boot;
mod bypass;
mod claims;
mod containment;
mod cost;
mod events;
mod fake;
mod hostile;
mod identity;
mod interrupted;
mod journal;
mod losses;
mod maps;
mod order;
mod persistent;
mod queue;
mod quiet;
mod refusals;
mod refused_claims;
mod restart;
mod rig;
mod settling;
mod standing;
mod units;
