//! What goes wrong around the server in a history, beside what the SMMU takes the liberty to do.

/// How often things go wrong: once in that many opportunities, 0 for never.
#[derive(Clone, Copy, Default, Debug)]
pub struct Troubles {
    /// A quiesce fails.
    pub quiesce_failures: u32,
    /// The PCI task dies in a call, before or after it has done what it was asked to do.
    pub call_deaths: u32,
    /// It does not come back from a death.
    pub retirements: u32,
    /// A function that is bus master is so no more when a next life of the PCI task finds it.
    pub losses: u32,
    /// A function is not what the plan says, as a life of the PCI task finds out, or as it turns one on.
    pub mismatches: u32,
    /// The SMMU completes no command any more, by steps.
    pub stops: u32,
    /// A task starts something in a device that it owns and has not claimed, by steps.
    pub touches: u32,
}

impl Troubles {
    /// Those of devices only, by a history's seed.
    #[must_use]
    pub fn of_devices(seed: u64) -> Self {
        Self {
            quiesce_failures: if seed.is_multiple_of(5) { 20 } else { 0 },
            mismatches: if seed.is_multiple_of(4) { 8 } else { 0 },
            losses: 6,
            touches: 4,
            ..Self::default()
        }
    }

    /// The troubles of a history, by its seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let some = Self::of_devices(seed);
        // By blocks of nine seeds, which have every machine and all liberties.
        match seed / 9 % 6 {
            0 => Self {
                call_deaths: 60,
                ..some
            },
            1 => Self {
                call_deaths: 20,
                retirements: 60,
                ..some
            },
            2 => Self { stops: 500, ..some },
            3 => Self {
                stops: 300,
                call_deaths: 40,
                ..some
            },
            _ => some,
        }
    }
}
