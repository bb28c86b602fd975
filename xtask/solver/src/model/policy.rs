//! Owners, what they say of each other, and what holds by default.

use super::{NodeId, OwnerId, Source};

/// Type of a domain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DomainType {
    /// Translated by what its owners map.
    Dma,
    /// 1:1, over the pools of its owners only.
    Identity,
    /// Every request aborts.
    Blocked,
}

impl DomainType {
    /// The type's name as written in `app.toml`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Dma => "dma",
            Self::Identity => "identity",
            Self::Blocked => "blocked",
        }
    }
}

/// A task that owns devices.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// The owner's name, unique.
    pub name: String,
    /// The place where the owner was declared.
    pub source: Source,
}

/// `from` trusts `to`: it accepts that devices of `to` reach its own. A pair needs both directions.
#[derive(Clone, Copy, Debug)]
pub struct Trust {
    /// The owner that trusts.
    pub from: OwnerId,
    /// The owner that is trusted.
    pub to: OwnerId,
    /// The place where the trust was declared.
    pub source: Source,
}

/// Two owners share an isolation group although they do not trust each other.
#[derive(Clone, Debug)]
pub struct Waiver {
    /// The pair, in either order.
    pub pair: (OwnerId, OwnerId),
    /// Why that is accepted; must not be empty, and every report repeats it.
    pub reason: String,
    /// The devices it was written for; if there are none, wherever the two meet. It covers the two in a group if
    /// all their devices there are among these.
    pub devices: Vec<NodeId>,
    /// The place where the waiver was declared.
    pub source: Source,
}

/// Owners that stop and restart together.
#[derive(Clone, Debug)]
pub struct Containment {
    /// The name of the containment unit.
    pub name: String,
    /// The tasks of the containment unit.
    pub owners: Vec<OwnerId>,
    /// The place where the containment unit was declared.
    pub source: Source,
}

/// A name and a policy for the isolation group that `members` are in. It asserts that they are in one
/// group; it joins nothing.
#[derive(Clone, Debug)]
pub struct GroupPolicy {
    /// The group's name.
    pub name: String,
    /// Devices that are in it; one is enough.
    pub members: Vec<NodeId>,
    /// Domain type of its neutral members.
    pub default_domain: Option<DomainType>,
    /// The place where the group was declared.
    pub source: Source,
}

/// The treatment of a device that has no owner and does not demand `blocked`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unowned {
    /// The device is a mistake.
    #[default]
    Refuse,
    /// Block it, with one warning for all.
    Block,
}

/// The policy where nothing else is declared.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Domain type of groups in which nobody demands anything.
    pub default_domain: DomainType,
    /// The place where the default type was declared.
    pub source: Source,
    /// Devices without an owner.
    pub unowned: Unowned,
    /// Page part of a window whose device names no size, bytes.
    pub window: u64,
    /// The address at which windows start by default.
    pub window_base: u64,
    /// Bits of an IOVA.
    pub iova_bits: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_domain: DomainType::Dma,
            source: Source::default(),
            unowned: Unowned::Refuse,
            window: 2 << 20,
            window_base: 1 << 32,
            iova_bits: 39,
        }
    }
}
