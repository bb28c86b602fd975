//! Why the server refuses; each code has one meaning.

use userlib::protocol::Refusal;

/// Code of a reply; 0 is success. Values above are the kernel's (`abi::Code`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    /// Unknown operation, wrong length, reserved bits set, or leases attached.
    Malformed = 1,
    /// The number names no function of the PCI fabric.
    NoSuchDevice = 2,
    /// The caller does not drive this device.
    NotOwner = 3,
    /// The call is reserved to the task with `dma-authority`.
    NotAuthority = 4,
    /// The offset is beyond 4095 or not a multiple of the width, or the device has no configuration space
    /// because it is not on PCI.
    BadAccess = 5,
    /// The register is not on the allow-list, or the value changes a bit that is not.
    WriteRefused = 6,
    /// The device is absent, differs from the plan, or shares its group with one that does.
    Blocked = 7,
    /// A quiesce of this device, or of a bridge above it, has not ended yet.
    Quiescing = 8,
    /// The reset would take another function whose bus mastering is on: turn that off first.
    UnitActive = 9,
    /// The plan has no recipe for this device: memory it could reach stays held until power-off.
    NoRecipe = 10,
    /// The machine differs from the plan and the policy is to refuse: no device is started.
    BootRefused = 11,
    /// The last quiesce of this device failed: bus mastering stays off until one succeeds.
    NotQuiet = 12,
}

impl Refusal for Error {
    fn from_code(code: u32) -> Option<Self> {
        Self::from_code(code)
    }
    fn name(self) -> &'static str {
        self.name()
    }
}

impl Error {
    const ALL: [Self; 12] = [
        Self::Malformed,
        Self::NoSuchDevice,
        Self::NotOwner,
        Self::NotAuthority,
        Self::BadAccess,
        Self::WriteRefused,
        Self::Blocked,
        Self::Quiescing,
        Self::UnitActive,
        Self::NoRecipe,
        Self::BootRefused,
        Self::NotQuiet,
    ];

    /// The error of a reply's code; none for 0 and for codes that this protocol does not define.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|error| *error as u32 == code)
    }

    /// The error's name, for a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoSuchDevice => "no such device",
            Self::NotOwner => "not the owner",
            Self::NotAuthority => "not the authority",
            Self::BadAccess => "bad access",
            Self::WriteRefused => "write refused",
            Self::Blocked => "blocked",
            Self::Quiescing => "quiescing",
            Self::UnitActive => "unit active",
            Self::NoRecipe => "no recipe",
            Self::BootRefused => "boot refused",
            Self::NotQuiet => "not quiet",
        }
    }
}
