//! The controller's registers (Intel 82574 GbE Controller Family Datasheet, chapter 10).

/// Device control.
pub const CTRL: usize = 0x0000;
/// Device status.
pub const STATUS: usize = 0x0008;
/// State of the memory with the address.
pub const EECD: usize = 0x0010;
/// Extended device control.
pub const CTRL_EXT: usize = 0x0018;
/// Causes of an interrupt; ones that are written are cleared.
pub const ICR: usize = 0x00c0;
/// Causes that are let through; ones that are written are added.
pub const IMS: usize = 0x00d0;
/// Causes that are no longer let through.
pub const IMC: usize = 0x00d8;
/// Causes that a message clears.
pub const EIAC: usize = 0x00dc;
/// The message of each queue.
pub const IVAR: usize = 0x00e4;
/// Receive control.
pub const RCTL: usize = 0x0100;
/// Transmit control.
pub const TCTL: usize = 0x0400;
/// Gaps between frames.
pub const TIPG: usize = 0x0410;
/// The ring of pages for frames to come; its length, head and tail follow.
pub const RDBAL: usize = 0x2800;
/// Delay of the interrupt of a frame that came.
pub const RDTR: usize = 0x2820;
/// The ring of frames to go.
pub const TDBAL: usize = 0x3800;
/// What else there is to the ring of frames to go.
pub const TXDCTL: usize = 0x3828;
/// From the ring's address to its upper half.
pub const HIGH: usize = 0x04;
/// From the ring's address to its length.
pub const LEN: usize = 0x08;
/// From the ring's address to its head.
pub const HEAD: usize = 0x10;
/// From the ring's address to its tail.
pub const TAIL: usize = 0x18;
/// Check sums that the controller looks at.
pub const RXCSUM: usize = 0x5000;
/// The table of groups, 128 words.
pub const MTA: usize = 0x5200;
/// The controller's own address.
pub const RAL: usize = 0x5400;
/// Its upper half.
pub const RAH: usize = 0x5404;

/// No access to memory begins any more.
pub const CTRL_MASTER_DISABLE: u32 = 1 << 2;
/// The link is to be set up.
pub const CTRL_SET_LINK_UP: u32 = 1 << 6;
/// A link whose speed or duplex is not found out: none is forced.
pub const CTRL_FORCED: u32 = 1 << 11 | 1 << 12;
/// The reset; it clears itself.
pub const CTRL_RESET: u32 = 1 << 26;

/// Both ends send at once.
pub const STATUS_FULL_DUPLEX: u32 = 1;
/// There is a link.
pub const STATUS_LINK: u32 = 1 << 1;
/// Accesses to memory are under way, or may begin.
pub const STATUS_MASTER: u32 = 1 << 19;

/// The address was read into its registers.
pub const EECD_READ: u32 = 1 << 9;

/// A frame has gone; of a line.
pub const CAUSE_SENT: u32 = 1;
/// The link is another.
pub const CAUSE_LINK: u32 = 1 << 2;
/// Few pages are left for frames to come; a frame was lost; one has come: of a line.
pub const CAUSE_RECEIVED: u32 = 1 << 4 | 1 << 6 | 1 << 7;
/// A frame has come, or gone, or something else is: of messages.
pub const CAUSES_OF_MESSAGES: u32 = 1 << 20 | 1 << 22 | 1 << 24;

/// Frames to groups are taken, and those to all. Pages have 2048 bytes, and the check sequence is left out.
pub const RCTL_ON: u32 = 1 << 1 | 1 << 4 | 1 << 15 | 1 << 26;
/// Short frames are filled up. Collisions are tried again 15 times, and end within 64 bytes of time.
pub const TCTL_ON: u32 = 1 << 1 | 1 << 3 | 15 << 4 | 63 << 12;
/// The gaps that the standard asks for on copper: 8, 8 and 6 (10.2.6.1).
pub const TIPG_COPPER: u32 = 8 | 8 << 10 | 6 << 20;
/// A bit of `TXDCTL` that is to be one (10.2.6.8).
pub const TXDCTL_ONE: u32 = 1 << 22;
/// The address counts.
pub const RAH_VALID: u32 = 1 << 31;
/// Each descriptor that is written back may be told of (10.2.4.9).
pub const IVAR_EACH: u32 = 1 << 31;
