//! The core against a fake fabric.

mod allow;
mod alternatives;
mod boards;
mod enumerate;
mod fake;
mod hostile;
mod lives;
mod mismatch;
mod platform;
mod quiesce;
mod scene;
mod server;
mod undeclared;
