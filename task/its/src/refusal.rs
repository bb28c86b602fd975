//! Why the service cannot be used.

/// Why the service cannot be used as planned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It translates to no physical interrupts.
    NoMessages,
    /// The entries of one of its tables are larger than the plan has room for.
    EntrySize,
    /// It takes fewer bits of DeviceIDs than a planned device needs.
    DeviceBits,
    /// It takes fewer bits of EventIDs than a planned device needs.
    EventBits,
    /// It has no table of devices.
    NoDeviceTable,
    /// It does not keep the address or the size of a table or of its queue.
    Registers,
    /// It does not come to rest after it was disabled.
    NotQuiescent,
    /// It carries out no commands in the time that it has.
    Slow,
    /// It stopped at a command.
    Stalled,
    /// An interrupt is of no planned device.
    Unknown,
}

impl Refusal {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoMessages => "it has no physical message interrupts",
            Self::EntrySize => "its tables have larger entries than the plan has room for",
            Self::DeviceBits => "it takes fewer bits of DeviceIDs than planned devices need",
            Self::EventBits => "it takes fewer bits of EventIDs than planned devices need",
            Self::NoDeviceTable => "it has no table of devices",
            Self::Registers => "it does not keep what its registers are given",
            Self::NotQuiescent => "it does not come to rest",
            Self::Slow => "it does not carry out its commands in time",
            Self::Stalled => "it stopped at a command",
            Self::Unknown => "no planned device has the interrupt",
        }
    }
}
