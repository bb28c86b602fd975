//! The core against a fake fabric.

mod allow;
mod alternatives;
mod bars;
mod boards;
mod deaths;
mod enumerate;
mod fake;
mod hostile;
mod lives;
mod messages;
mod mismatch;
mod node;
mod platform;
mod quiesce;
mod scene;
mod server;
mod snapshot;
mod undeclared;
