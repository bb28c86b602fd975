//! Registers of configuration space: offsets and bits.
//!
//! Sources: PCI Local Bus 3.0 chapter 6 (header, BARs), PCI-to-PCI Bridge 1.2 chapter 3 (header of a
//! bridge), PCI Express Base 4.0 chapter 7 (capabilities).

/// Vendor id, 16 bits.
pub(crate) const VENDOR_ID: u16 = 0x00;
/// Device id, 16 bits.
pub(crate) const DEVICE_ID: u16 = 0x02;
/// Command, 16 bits.
pub(crate) const COMMAND: u16 = 0x04;
/// Status, 16 bits; errors are cleared by writing 1.
pub(crate) const STATUS: u16 = 0x06;
/// Cache line size, 8 bits.
pub(crate) const CACHE_LINE: u16 = 0x0c;
/// Header type, 8 bits.
pub(crate) const HEADER_TYPE: u16 = 0x0e;
/// First BAR.
pub(crate) const BAR: u16 = 0x10;
/// Head of the list of capabilities, 8 bits.
pub(crate) const CAPABILITIES: u16 = 0x34;
/// Interrupt line, 8 bits.
pub(crate) const INTERRUPT_LINE: u16 = 0x3c;
/// Expansion ROM of an endpoint.
pub(crate) const ENDPOINT_ROM: u16 = 0x30;

/// Expansion ROM: it is decoded.
pub(crate) const ROM_ENABLE: u32 = 1 << 0;

/// The vendor id that a read gives where nothing answers.
pub(crate) const VENDOR_ABSENT: u16 = 0xffff;
/// The vendor id that a read gives while a device that was reset asks to be tried again.
pub(crate) const VENDOR_RETRY: u16 = 0x0001;

/// Command: decode memory.
pub(crate) const COMMAND_MEMORY: u16 = 1 << 1;
/// Command: issue (a bridge: forward) requests.
pub(crate) const COMMAND_MASTER: u16 = 1 << 2;
/// Command: do not raise INTx.
pub(crate) const COMMAND_INTX_OFF: u16 = 1 << 10;
/// Status: errors, cleared by writing 1 (master data parity, and 15:11).
pub(crate) const STATUS_ERRORS: u16 = 0xf900;
/// Status: there is a list of capabilities.
pub(crate) const STATUS_CAPABILITIES: u16 = 1 << 4;

/// Header type: layout, bits 6:0.
pub(crate) const HEADER_LAYOUT: u8 = 0x7f;
/// Header type: several functions in this slot.
pub(crate) const HEADER_MULTIFUNCTION: u8 = 0x80;
/// Layout of an endpoint.
pub(crate) const LAYOUT_ENDPOINT: u8 = 0;
/// Layout of a bridge.
pub(crate) const LAYOUT_BRIDGE: u8 = 1;

/// Bridge: primary, secondary, subordinate bus number and a timer, 8 bits each.
pub(crate) const BUS_NUMBERS: u16 = 0x18;
/// Bridge: base and limit of the I/O window, 8 bits each.
pub(crate) const IO_WINDOW: u16 = 0x1c;
/// Bridge: base and limit of the memory window, 16 bits each, in units of 1 MiB from bit 4.
pub(crate) const MEMORY_WINDOW: u16 = 0x20;
/// Bridge: the same of the prefetchable window; bits 3:0 of each say whether it has 64 bits.
pub(crate) const PREFETCH_WINDOW: u16 = 0x24;
/// Bridge: bits 63:32 of the prefetchable window's base.
pub(crate) const PREFETCH_BASE_UPPER: u16 = 0x28;
/// Bridge: bits 63:32 of its limit.
pub(crate) const PREFETCH_LIMIT_UPPER: u16 = 0x2c;
/// Bridge: upper halves of the I/O window.
pub(crate) const IO_UPPER: u16 = 0x30;
/// Bridge: expansion ROM.
pub(crate) const BRIDGE_ROM: u16 = 0x38;
/// Bridge control, 16 bits.
pub(crate) const BRIDGE_CONTROL: u16 = 0x3e;
/// Bridge control: reset everything below.
pub(crate) const BRIDGE_RESET: u16 = 1 << 6;

/// Capability: power management.
pub(crate) const CAPABILITY_POWER: u8 = 0x01;
/// Power management: control and status, 16 bits.
pub(crate) const POWER_CONTROL: u16 = 0x04;
/// The power state in the register: 0 is on (D0), 3 is D3hot.
pub(crate) const POWER_STATE: u16 = 0x3;
/// Capability: MSI; control at +2.
pub(crate) const CAPABILITY_MSI: u8 = 0x05;
/// Capability: PCI Express.
pub(crate) const CAPABILITY_EXPRESS: u8 = 0x10;
/// Capability: MSI-X; control at +2.
pub(crate) const CAPABILITY_MSIX: u8 = 0x11;
/// PCI Express: its own register, 16 bits.
pub(crate) const EXPRESS_REGISTER: u16 = 0x02;
/// Shift of the device/port type: bits 7:4.
pub(crate) const EXPRESS_TYPE_SHIFT: u32 = 4;
/// PCI Express: device capabilities, 32 bits.
pub(crate) const EXPRESS_DEVICE: u16 = 0x04;
/// PCI Express: device control, 16 bits.
pub(crate) const EXPRESS_CONTROL: u16 = 0x08;
/// PCI Express: device status, 16 bits.
pub(crate) const EXPRESS_STATUS: u16 = 0x0a;
/// PCI Express: device control 2, 16 bits; from version 2 of the capability on.
pub(crate) const EXPRESS_CONTROL2: u16 = 0x28;
/// The version of the capability, bits 3:0 of its own register.
pub(crate) const EXPRESS_VERSION: u16 = 0xf;
/// Device capabilities: function-level reset.
pub(crate) const EXPRESS_RESETS: u32 = 1 << 28;
/// Device control: reset this function; reads as 0.
pub(crate) const EXPRESS_RESET: u16 = 1 << 15;
/// Device status: errors, cleared by writing 1.
pub(crate) const EXPRESS_ERRORS: u16 = 0xf;
/// Device status: requests of this function have not completed.
pub(crate) const EXPRESS_PENDING: u16 = 1 << 5;

/// First extended capability.
pub(crate) const EXTENDED: u16 = 0x100;
/// Extended capability: Access Control Services; control at +6.
pub(crate) const EXTENDED_ACS: u16 = 0x0d;
/// Extended capability: Address Translation Services; control at +6.
pub(crate) const EXTENDED_ATS: u16 = 0x0f;
/// Extended capability: Single Root I/O Virtualization; control at +8.
pub(crate) const EXTENDED_SRIOV: u16 = 0x10;
/// Extended capability: Page Request Interface; control at +4.
pub(crate) const EXTENDED_PRI: u16 = 0x13;
/// Extended capability: Process Address Space ID; control at +6.
pub(crate) const EXTENDED_PASID: u16 = 0x1b;
