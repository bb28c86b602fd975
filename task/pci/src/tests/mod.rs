//! The core against a fake fabric.

mod allow;
mod alternatives;
mod enumerate;
mod fake;
mod hostile;
mod mismatch;
mod platform;
mod quiesce;
mod scene;
mod server;
mod undeclared;
