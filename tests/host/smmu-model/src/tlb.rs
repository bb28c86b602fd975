//! Cached translations: leaves, and the table entries that lead to them.
//!
//! Tags are ASID, VMID and address (rule C7); streams are none.

/// A leaf that was walked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// Tag; ignored for a global entry.
    pub asid: u16,
    /// Tag; 0 where stage 2 is not implemented.
    pub vmid: u16,
    /// Matches every ASID.
    pub global: bool,
    /// First input address.
    pub input: u64,
    /// log2 of its bytes.
    pub shift: u32,
    /// Level it was found at.
    pub level: u32,
    /// First output address.
    pub output: u64,
    /// The descriptor.
    pub descriptor: u64,
}

/// A table entry that was walked through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Tag.
    pub asid: u16,
    /// Tag.
    pub vmid: u16,
    /// First input address below it.
    pub input: u64,
    /// log2 of the bytes below it.
    pub shift: u32,
    /// Level of the entry.
    pub level: u32,
    /// The table it leads to, of the next level.
    pub next: u64,
}

const fn covers(input: u64, shift: u32, address: u64) -> bool {
    input >> shift == address >> shift
}

impl Leaf {
    /// Whether an access with these tags hits it.
    #[must_use]
    pub fn matches(&self, asid: u16, vmid: u16, address: u64) -> bool {
        self.tagged(asid, vmid) && covers(self.input, self.shift, address)
    }

    /// Whether an access with these tags can hit it at some address.
    #[must_use]
    pub fn tagged(&self, asid: u16, vmid: u16) -> bool {
        self.vmid == vmid && (self.global || self.asid == asid)
    }
}

impl Step {
    /// Whether a walk with these tags may start here.
    #[must_use]
    pub fn matches(&self, asid: u16, vmid: u16, address: u64) -> bool {
        self.asid == asid && self.vmid == vmid && covers(self.input, self.shift, address)
    }
}

/// What an invalidation names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Everything of the non-secure EL1 world (NSNH_ALL).
    World,
    /// Everything of a VMID (NH_ALL).
    Vmid(u16),
    /// All that is not global of an ASID (NH_ASID).
    Asid {
        /// VMID.
        vmid: u16,
        /// ASID.
        asid: u16,
    },
    /// What translates an address in a range (NH_VA, NH_VAA).
    Range {
        /// VMID.
        vmid: u16,
        /// ASID; `None` for every one.
        asid: Option<u16>,
        /// First address.
        first: u64,
        /// Last address.
        last: u64,
        /// Only leaves need go.
        leaf_only: bool,
        /// Only leaves of that level need go, and table entries above it; 0 for any.
        level: u32,
    },
}

/// All cached translations.
#[derive(Clone, Default, Debug)]
pub struct Tlb {
    /// Leaves.
    pub leaves: Vec<Leaf>,
    /// Table entries.
    pub steps: Vec<Step>,
}

/// Most leaves kept: few enough that audits are quick, more than any one operation touches.
const LEAVES_MAX: usize = 48;
const STEPS_MAX: usize = 32;

impl Tlb {
    /// Keeps a leaf; the oldest goes if there is no room.
    pub fn keep_leaf(&mut self, leaf: Leaf) {
        if !self.leaves.contains(&leaf) {
            if self.leaves.len() >= LEAVES_MAX {
                self.leaves.remove(0);
            }
            self.leaves.push(leaf);
        }
    }

    /// Keeps a table entry; the oldest goes if there is no room.
    pub fn keep_step(&mut self, step: Step) {
        if !self.steps.contains(&step) {
            if self.steps.len() >= STEPS_MAX {
                self.steps.remove(0);
            }
            self.steps.push(step);
        }
    }

    /// Removes what an invalidation names, and nothing else.
    pub fn invalidate(&mut self, scope: Scope) {
        match scope {
            Scope::World => {
                self.leaves.clear();
                self.steps.clear();
            }
            Scope::Vmid(vmid) => {
                self.leaves.retain(|leaf| leaf.vmid != vmid);
                self.steps.retain(|step| step.vmid != vmid);
            }
            Scope::Asid { vmid, asid } => {
                self.leaves
                    .retain(|leaf| leaf.global || leaf.vmid != vmid || leaf.asid != asid);
                self.steps
                    .retain(|step| step.vmid != vmid || step.asid != asid);
            }
            Scope::Range {
                vmid,
                asid,
                first,
                last,
                leaf_only,
                level,
            } => {
                let within = |input: u64, shift: u32| {
                    let end = input | ((1u64 << shift) - 1);
                    input <= last && end >= first
                };
                self.leaves.retain(|leaf| {
                    let tag = leaf.vmid == vmid
                        && (leaf.global || asid.is_none_or(|asid| asid == leaf.asid));
                    !(tag && within(leaf.input, leaf.shift) && (level == 0 || level == leaf.level))
                });
                if leaf_only {
                    return;
                }
                self.steps.retain(|step| {
                    let tag = step.vmid == vmid && asid.is_none_or(|asid| asid == step.asid);
                    !(tag && within(step.input, step.shift) && (level == 0 || step.level < level))
                });
            }
        }
    }
}
