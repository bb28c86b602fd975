//! The attributes of a leaf entry, beside its address: memory type, rights, shareability, scope.

/// Memory types, as indices into [`MAIR`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Memory {
    /// Normal, write-back, read- and write-allocate, inner and outer.
    NormalWriteBack = 0,
    /// Device-nGnRE: registers, and the doorbell of an interrupt controller.
    DeviceNgnre = 1,
    /// Normal, non-cacheable: memory shared with a device that does not snoop.
    NormalNonCacheable = 2,
    /// Device-nGnRnE: configuration space, where a write must have arrived before the next access.
    DeviceNgnrne = 3,
}

/// Value of `MAIR_EL1` and of a context descriptor's MAIR: byte i describes attribute index i.
pub const MAIR: u64 = 0x0044_04ff;

impl Memory {
    /// The memory type of an attribute index.
    #[must_use]
    pub fn of_index(index: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|memory| *memory as u32 == index)
    }

    const ALL: [Self; 4] = [
        Self::NormalWriteBack,
        Self::DeviceNgnre,
        Self::NormalNonCacheable,
        Self::DeviceNgnrne,
    ];

    /// Whether accesses may have side effects, so that nothing may be fetched or speculated there.
    #[must_use]
    pub const fn is_device(self) -> bool {
        matches!(self, Self::DeviceNgnre | Self::DeviceNgnrne)
    }
}

/// The accesses that a mapping permits. Writing and executing cannot be combined, by type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permissions {
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
    /// Reading and executing.
    ReadExecute,
}

impl Permissions {
    const ALL: [Self; 3] = [Self::Read, Self::ReadWrite, Self::ReadExecute];

    /// The permissions for a combination of rights.
    ///
    /// # Errors
    /// [`AttributeError::Unreadable`]: stage 1 knows nothing that is not readable.
    /// [`AttributeError::WritableAndExecutable`].
    pub const fn new(read: bool, write: bool, execute: bool) -> Result<Self, AttributeError> {
        match (read, write, execute) {
            (false, _, _) => Err(AttributeError::Unreadable),
            (true, true, true) => Err(AttributeError::WritableAndExecutable),
            (true, true, false) => Ok(Self::ReadWrite),
            (true, false, true) => Ok(Self::ReadExecute),
            (true, false, false) => Ok(Self::Read),
        }
    }
}

/// Whose tables a leaf is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Regime {
    /// The kernel's half: EL1 only, global, never executable at EL0.
    Kernel,
    /// The kernel's identity map of the first instructions: as [`Regime::Kernel`] but not global, so
    /// that what a processor cached of it under ASID 0 matches no task's low addresses later.
    Boot,
    /// A task: EL0, not global, never executable at EL1.
    User,
    /// A device behind an SMMU, stage 1: not global, never executable. `AP[1]` is set because
    /// transactions of PCIe functions arrive as unprivileged (IHI 0070, 13.7).
    Device,
}

/// Why a leaf cannot have such attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttributeError {
    /// Neither readable nor anything else that stage 1 can express.
    Unreadable,
    /// Writable and executable at once.
    WritableAndExecutable,
    /// Executable in a regime or a memory type in which nothing may be fetched.
    NotExecutable,
}

const ATTRIBUTE_INDEX_SHIFT: u32 = 2;
const AP_UNPRIVILEGED: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 0b11 << 8;
const ACCESS_FLAG: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const PRIVILEGED_EXECUTE_NEVER: u64 = 1 << 53;
const UNPRIVILEGED_EXECUTE_NEVER: u64 = 1 << 54;

/// Lowest of the bits of a leaf that hardware leaves to software (Arm ARM D8.3, bits 58:55).
pub const MARK_SHIFT: u32 = 55;
/// The bits of the mark, in place.
pub const MARK_MASK: u64 = 0xf << MARK_SHIFT;

/// Attribute bits of a leaf descriptor, checked.
///
/// The access flag is always set: neither the kernel nor the SMMU is set up to take or to handle a
/// fault for it. Shareability is inner everywhere: device and non-cacheable memory is treated as outer
/// shareable whatever the field says, and cacheable memory must not be non-shareable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Attributes(u64);

impl Attributes {
    /// Bits of a leaf that are attributes: all but its address and its kind.
    pub const MASK: u64 = 0xfff0_0000_0000_0ffc;

    /// The attributes of a leaf in `regime`.
    ///
    /// # Errors
    /// [`AttributeError::NotExecutable`] for an executable mapping of a device's tables, or of memory
    /// with side effects.
    pub const fn new(
        regime: Regime,
        memory: Memory,
        permissions: Permissions,
    ) -> Result<Self, AttributeError> {
        let executable = matches!(permissions, Permissions::ReadExecute);
        if executable && (memory.is_device() || matches!(regime, Regime::Device)) {
            return Err(AttributeError::NotExecutable);
        }
        let mut bits = (memory as u64) << ATTRIBUTE_INDEX_SHIFT | INNER_SHAREABLE | ACCESS_FLAG;
        if !matches!(permissions, Permissions::ReadWrite) {
            bits |= AP_READ_ONLY;
        }
        if !matches!(regime, Regime::Kernel) {
            bits |= NOT_GLOBAL;
        }
        if matches!(regime, Regime::User | Regime::Device) {
            bits |= AP_UNPRIVILEGED;
        }
        if !(executable && matches!(regime, Regime::Kernel | Regime::Boot)) {
            bits |= PRIVILEGED_EXECUTE_NEVER;
        }
        if !(executable && matches!(regime, Regime::User)) {
            bits |= UNPRIVILEGED_EXECUTE_NEVER;
        }
        Ok(Self(bits))
    }

    /// These attributes with `mark`, of which four bits are kept, in the bits that hardware leaves to
    /// software.
    #[must_use]
    pub const fn marked(self, mark: u64) -> Self {
        Self(self.0 & !MARK_MASK | mark << MARK_SHIFT & MARK_MASK)
    }

    /// The attribute bits, in place.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The attribute bits of a descriptor that somebody wrote, whatever they mean.
    #[must_use]
    pub const fn of(descriptor: u64) -> Self {
        Self(descriptor & Self::MASK)
    }

    /// The meaning of these attributes in `regime`; `None` if [`Attributes::new`] does not make
    /// them.
    #[must_use]
    pub fn decode(self, regime: Regime) -> Option<(Memory, Permissions)> {
        Memory::ALL
            .into_iter()
            .flat_map(|memory| Permissions::ALL.map(|permissions| (memory, permissions)))
            .find(|&(memory, permissions)| Self::new(regime, memory, permissions) == Ok(self))
    }
}
