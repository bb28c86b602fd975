//! Diagnostics as data: the caller knows files and lines, the solver knows parties and reasons.

use crate::change::Change;
use crate::edge::Edge;
use crate::model::{Machine, NodeId, Source};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The system cannot be built.
    Error,
    /// The system can be built, but somebody should read this.
    Warning,
}

macro_rules! codes {
    ($($number:literal $name:ident $severity:ident $title:literal, $long:literal;)*) => {
        /// Kind of a diagnostic. Its number is stable: scripts and documents may refer to it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $title] $name = $number,)*
        }

        impl Code {
            /// All codes, by number.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code's number.
            pub fn number(self) -> u16 {
                self as u16
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$name => Severity::$severity,)*
                }
            }

            /// One line that says what is wrong in general.
            pub fn title(self) -> &'static str {
                match self {
                    $(Code::$name => $title,)*
                }
            }

            /// The long text.
            pub fn explain(self) -> &'static str {
                match self {
                    $(Code::$name => $long,)*
                }
            }
        }
    };
}

codes! {
    300 DuplicateName Error "two parts of the machine have one name",
        "Groups, diagnostics and tasks refer to devices, owners and root buses by name. Rename one of them.";
    301 BrokenTree Error "a function is not connected to a root bus",
        "Following what is above a function must end at a root bus. The bridge named does not exist, is no bridge, or is below itself.";
    302 SlotTaken Error "two functions claim one slot",
        "A device and function number on one bus belong to one function. Only below a hotplug port may several devices name the same slot, as alternatives.";
    303 SlotRange Error "a device or function number is out of range",
        "Device numbers are 0 to 31 and function numbers 0 to 7.";
    304 BusNumbers Error "bus numbers do not fit",
        "Bus numbers below a root bus must lie between its own and its last, a pinned number must not be used twice, and the buses below a bridge must lie in its range.";
    305 WrongPlace Warning "a function is where none of its kind is expected",
        "Root ports and root complex endpoints sit on a root bus, a downstream port below an upstream port. The machine is taken as described; check that the description is right.";
    306 NoStream Error "an owned device has no StreamID",
        "No row of its root bus's stream mapping covers its requester id, so its requests would not be translated. A device that bypasses the SMMU cannot be contained.";
    307 StreamRange Error "a StreamID does not fit its SMMU",
        "The StreamID has more bits than the SMMU takes (IDR1.SIDSIZE), or names an SMMU that does not exist.";
    310 AliasDemands Error "two demands in one alias set",
        "The SMMU cannot tell the members of an alias set apart, so all have one domain. Two different demands cannot both hold, and no waiver or trust changes that.";
    311 GroupDemands Error "two demands in one isolation group",
        "The members of the group can reach each other without the SMMU, so a translated device can reach an identity-mapped one, and through it everything that the other may reach. Different demands are possible only if the owners trust each other.";
    312 UntrustedIdentity Error "a device behind an external port demands identity",
        "A device that is plugged into an external port is not trusted; its domain is always `dma`.";
    313 DirectBlocked Error "a device with direct regions is to be blocked",
        "Firmware or hardware needs the direct regions mapped at any time, so the stream cannot abort. Drop the demand or the regions.";
    314 BridgeDemand Error "a bridge has an owner or a demand",
        "Bridges belong to the PCI task; their own streams stay blocked.";
    315 EmptyReason Error "a waiver or a bypass without a reason",
        "The reason is repeated in every report, so that it can be judged later.";
    316 Bypass Error "a bypass that contradicts something else",
        "A stream that bypasses the SMMU reaches all memory. So it is not possible for a device at an external port, for a device that demands a domain or has direct regions, or for only one of several devices that share a domain, because the SMMU cannot tell these apart. A task has to drive the device: the stream is open only while the device is claimed.";
    317 Stranger Error "a device plugged in from outside can reach a driven device",
        "A device that is plugged in at an external port is not known, and has no owner who could be trusted. The port, and every port above it, must redirect requests and validate their ids, or no driven device may be within reach. Validation looks at the bus number only, so the plugged-in device may use every id of the port's buses: no driven device elsewhere may be in a domain that one of these ids leads to.";
    318 DirectSocket Error "a direct region behind a port whose devices change",
        "The stream of a device with direct regions is open from the start, before the PCI task has checked which device uses it. Behind an external or hotplug port this may be another device than the declared one, with other functions and so with any id of the port's buses.";
    319 DrivenBlocked Error "a driven device is blocked",
        "The stream of a blocked device never opens, so that its driver could never claim it.";
    320 GroupTrust Error "owners share an isolation group without trust",
        "Devices of the two owners can reach each other without the SMMU. Each owner must declare trust in the other, or the pair must be waived with a written reason, or the devices must be put apart. A device that nobody drives, and that is on from the start for its direct regions, has no owner to trust: a task must drive it, or the two must be put apart.";
    321 AliasTrust Error "owners share a domain without trust",
        "The devices share a StreamID (in `linux` mode a group) and therefore a domain: the other owner's device can reach what one owner maps. No waiver covers this; the owners must trust each other, or the devices get one owner.";
    322 Containment Error "owners that cannot be contained apart",
        "A reset of one device also resets the other, or the devices share a domain that has to be emptied. Their owners must be declared to stop and restart together.";
    323 Unowned Error "a device neither owned nor blocked",
        "Every device must have an owner or be blocked on purpose, so that a forgotten device is noticed.";
    324 UnusedWaiver Warning "a waiver that nothing needs",
        "The two owners share no group, or trust each other, or the waiver names none of the devices that matter. A waiver that is not needed can hide a later mistake.";
    325 NeverQuiet Warning "an owned device cannot be made quiet",
        "After its owner's death the memory that the device could reach stays held until power-off, because a write of the device may still arrive.";
    326 ForgedStream Error "a device may use the StreamID of a stranger's device",
        "The nearest port above it that checks requester ids (ACS source validation) looks at the bus number only, so the device may use all ids of the buses below that port, or every id of its segment if no port checks ids. With the StreamID of another device's id it reaches whatever the domain of that StreamID reaches. Each owner must declare trust in the other, or the pair must be waived with a written reason, or source validation must be enabled nearer to the device. A device that nobody drives, and that is on from the start for its direct regions, has no owner to trust.";
    327 WideWaiver Warning "one waiver covers several groups",
        "The waiver names no devices, so it holds wherever the two owners meet, also in groups that nobody thought of when it was written. Name the devices that it was written for.";
    328 WaiverTwice Error "a pair of owners is waived twice",
        "Two waivers cover the same devices of the same two owners, and only one of the reasons would be reported.";
    329 HolderTrust Error "a task has registers of a device that reaches a stranger's",
        "A task that writes to the registers of a device can make it do what its driver could: reach what is mapped in its domain, the devices in its group, and, with ids that no port checks, the devices of its segment. So the owner of each of these must declare trust in that task, or the task must not have the registers. No waiver covers this.";
    330 GroupSplit Error "a named group is several groups",
        "A named group asserts that its members are in one isolation group. They are not.";
    331 GroupPolicies Error "one group has two policies",
        "Two named groups turned out to be one, and their default domains differ.";
    332 TwoNames Warning "one group has two names",
        "Two named groups turned out to be one; reports use the first.";
    333 UnownedBlocked Warning "devices without an owner",
        "These devices have no owner. Each stays blocked, unless its stream is open for another device that has it, or because the device demands a domain.";
    334 MixedNeutral Warning "a neutral device in a group with two demands",
        "The device has no demand of its own and its neighbours demand different types, so the policy decided.";
    335 DirectException Warning "a stream with direct regions is open from the start",
        "This is an exception to the guarantee that no device reaches memory before its first claim.";
    336 RootComplexRouting Warning "root ports that keep requests apart beside some that do not",
        "The root complex may route requests from below a port that does not redirect them to devices below its neighbours, and ACS of the neighbour does not stop requests that come from above. State in the platform file whether the root complex does that.";
    337 AcsErratum Warning "access control that must not be enabled",
        "Of some ports an erratum says that an ACS bit does harm when it is enabled, or that the control register is not where the specification has it. The PCI task leaves these bits off, whatever the file says, and `strict` mode counts on none of them. In `linux` mode they count, because Linux enables them and works around; such a plan cannot be built.";
    338 PolicyWithoutEffect Warning "a group's policy without effect",
        "The default domain of a named group is for its neutral members. Here a demand decides for them, or there is none that a task drives, so that the policy has no effect on the device named, or none at all.";
    340 NoWindow Error "no room for an IOVA window",
        "No range of the requested size is free of PCI apertures, the doorbell and direct regions within the address bits of the device.";
    341 WindowTooLarge Error "an IOVA window is larger than one level-2 table",
        "Page and block part of a domain share one level-2 table, which covers 1 GiB.";
    342 NoAsid Error "more domains than ASIDs",
        "Each domain has an ASID of its own on each SMMU it uses.";
    343 DirectReserved Error "a direct region lies where nothing is translated",
        "A direct region must not touch a PCI aperture or the doorbell: a bridge would route such a request to a peer before the SMMU sees it.";
    344 WindowBases Error "one domain has two fixed windows",
        "The devices of an alias set share one window, so they cannot fix it at different addresses.";
    345 DirectOverlap Error "direct regions of owners without trust overlap",
        "Both domains reach the memory at any time, whatever is mapped. The owners in the one and in the other must declare trust in each other, or the pair must be waived with a written reason, or the regions must not overlap. A device that nobody drives has no owner to trust.";
}

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "P{:04}", self.number())
    }
}

impl Code {
    /// The code written `text` (`P0310`).
    pub fn parse(text: &str) -> Option<Self> {
        let number: u16 = text.strip_prefix(['P', 'p'])?.parse().ok()?;
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.number() == number)
    }
}

/// Something a diagnostic is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// The party, and its part in the diagnostic: for example "`disk0` demands `identity`".
    pub text: String,
    /// The place where the party was declared.
    pub source: Source,
}

/// A change that makes the diagnostic go away, verified by solving the changed machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remedy {
    /// The thing to do, an imperative clause.
    pub text: String,
    /// The changes that were tried.
    pub changes: Vec<Change>,
}

/// One mistake or warning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// The diagnostic's kind.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The mistake, in one sentence that names the parties.
    pub message: String,
    /// The parties; the first is where it is best shown.
    pub parties: Vec<Party>,
    /// The devices it is about, in the order of the parties.
    pub nodes: Vec<NodeId>,
    /// The edges that connect the parties, in order from the first to the second.
    pub chain: Vec<Edge>,
    /// The error's cause, where one error stands for several: the message names the first of them. A change after
    /// which it names another is no new error. `None`: the message.
    pub cause: Option<String>,
    /// Devices whose domain the error is about. If the members of one such domain contradict each other, there is no such
    /// domain, and what would follow from it is no news.
    pub(crate) presumes: Vec<usize>,
    /// The waiver of the pair that would cover it if it named more devices.
    pub short: Option<Short>,
    /// The changes that would solve the error.
    pub remedies: Vec<Remedy>,
}

/// A waiver that covers an error only in part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Short {
    /// The waiver's position in the machine.
    pub waiver: usize,
    /// The devices that it does not name.
    pub devices: Vec<NodeId>,
}

impl Diagnostic {
    pub(crate) fn new(code: Code, message: String) -> Self {
        Self {
            code,
            severity: code.severity(),
            message,
            parties: Vec::new(),
            nodes: Vec::new(),
            chain: Vec::new(),
            cause: None,
            presumes: Vec::new(),
            short: None,
            remedies: Vec::new(),
        }
    }

    pub(crate) fn party(mut self, text: impl Into<String>, source: Source) -> Self {
        self.parties.push(Party {
            text: text.into(),
            source,
        });
        self
    }

    /// Adds the device `node` as a party: `text` says what it does here.
    pub(crate) fn device(
        mut self,
        machine: &Machine,
        node: usize,
        text: impl Into<String>,
    ) -> Self {
        self.nodes.push(NodeId::new(node));
        self.party(text, machine.nodes[node].source)
    }
}
