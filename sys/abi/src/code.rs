//! Results of a call: the server's own codes, and the few that only the kernel gives.

/// Result of a call or a post. 0 is success; a server uses 1..=0xffff_feff as it likes; the rest is
/// the kernel's, so that a server cannot pretend that it died.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Code(pub u32);

impl Code {
    /// Success.
    pub const OK: Self = Self(0);
    /// The peer died, or the id names an earlier life: refresh the id before trying again.
    pub const DEAD: Self = Self(0xffff_ff00);
    /// The peer is down now and will be started again.
    pub const DOWN: Self = Self(0xffff_ff01);
    /// The peer was retired: it is down and will not come back.
    pub const RETIRED: Self = Self(0xffff_ff02);
    /// A borrow names a lender that does not wait for this task's reply, or an undefined lease.
    pub const NO_LEASE: Self = Self(0xffff_ff03);
    /// A borrow exceeds the lease, or asks for an access the lease does not grant.
    pub const LEASE_BOUNDS: Self = Self(0xffff_ff04);
    /// A privileged call names something that is not in a state that allows it.
    pub const REFUSED: Self = Self(0xffff_ff05);
    /// No slot is left for another hold or pin.
    pub const EXHAUSTED: Self = Self(0xffff_ff06);
    /// The kernel's codes with their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("OK", Self::OK),
        ("DEAD", Self::DEAD),
        ("DOWN", Self::DOWN),
        ("RETIRED", Self::RETIRED),
        ("NO_LEASE", Self::NO_LEASE),
        ("LEASE_BOUNDS", Self::LEASE_BOUNDS),
        ("REFUSED", Self::REFUSED),
        ("EXHAUSTED", Self::EXHAUSTED),
    ];
    /// First code that only the kernel gives.
    pub const KERNEL_FIRST: u32 = 0xffff_ff00;
    /// Highest code that a server may reply with.
    pub const SERVER_LAST: u32 = 0xffff_feff;
}
