//! Sizes and times that bound the server's work.

pub use plan::limits::{
    DEVICES_MAX, DOMAINS_MAX, LENT_POOLS_MAX, MAPPED_LEASES_MAX, MEMBERS_MAX, PARTED_MAX,
    PREMAPPED_MAX, SMMUS_MAX, STREAMS_MAX,
};

/// Slots for claims, of which the first is nobody's: more than devices, as a slot is of a device and a user.
pub const SLOTS_MAX: usize = 128;

const _: () = assert!(DEVICES_MAX < SLOTS_MAX, "each device can be claimed");

/// Faults kept for a claimant that does not fetch them.
pub const FAULTS_KEPT: usize = 16;

/// Longest wait for a control register to follow.
pub const CONTROL_DEADLINE_NS: u64 = 100_000_000;
/// Longest wait for a CMD_SYNC; the longest time one request can hold up the server.
pub const SYNC_DEADLINE_NS: u64 = 100_000_000;
/// Looks at the consumer index of a command queue before errors are looked for, and the time.
pub const CONSUMER_LOOKS: u32 = 64;
/// Commands between two CMD_SYNCs. MMU-700 can stop for good at a longer run of invalidations (erratum 2812531).
pub const BATCH_MAX: u32 = 62;
/// Records taken from an event queue in one turn.
pub const EVENTS_PER_TURN: u32 = 32;
/// Pause before the next turn if records are left, so that clients are served in between.
pub const EVENT_PAUSE_NS: u64 = 200_000;
/// Faults of one device within [`STORM_PERIOD_NS`] that block its stream.
pub const STORM_FAULTS: u64 = 4096;
/// See [`STORM_FAULTS`].
pub const STORM_PERIOD_NS: u64 = 100_000_000;
/// Lines about faults in one [`STORM_PERIOD_NS`]; further ones are only counted.
pub const FAULT_LINES: u32 = 32;
/// Pause between two lines that say of the same device that a claim was refused for different reasons.
pub const REFUSAL_PAUSE_NS: u64 = 1_000_000_000;
/// How long a driver may keep pages of a dead lender mapped before its device is taken away.
pub const LENDER_DEADLINE_NS: u64 = 1_000_000_000;
/// Pages beyond which an unmap without range invalidation forgets the whole address space instead.
pub const SINGLE_INVALIDATIONS_MAX: u64 = 64;
