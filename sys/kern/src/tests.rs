//! Host tests: a small system on a fake machine, played register by register.

mod fake;
mod world;

mod accounts;
mod borrow;
mod budget;
mod death;
mod fast;
mod history;
mod hold;
mod id;
mod interrupt;
mod lives;
mod message;
mod pin;
mod plan;
mod post;
mod receive;
mod reply;
mod run_limit;
mod send;
mod supervise;
mod support;
mod system_error;
mod timer;
mod wide;
