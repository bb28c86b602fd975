//! Why a task died.

/// Kind of a fault; the value is what [`Privileged::Status`](crate::privileged::Privileged) reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum FaultKind {
    /// Never died.
    None = 0,
    /// Read or write of an address that is not mapped or not permitted.
    MemoryAccess = 1,
    /// Access in the guard below the stack.
    StackOverflow = 2,
    /// Instruction fetch from where nothing executable is mapped.
    InstructionFetch = 3,
    /// Unaligned stack pointer or program counter, or unaligned access to device memory.
    Alignment = 4,
    /// Undefined or privileged instruction, breakpoint, use of floating point.
    IllegalInstruction = 5,
    /// External abort: the bus refused an access.
    BusError = 6,
    /// SVC with an undefined number.
    UndefinedSyscall = 7,
    /// A malformed argument: reserved bits, an index out of range, a length beyond its limit.
    SyscallUsage = 8,
    /// A slice or lease that is not wholly inside one permitted region of the caller.
    BadSlice = 9,
    /// Send, post or privileged call without the right to it, or somebody else's interrupt.
    NoRight = 10,
    /// A reply longer than the caller's capacity.
    ReplyTooLong = 11,
    /// `Panic`; address and length of the text are in the fault.
    Panic = 12,
    /// Ran longer than its `max-run` without blocking.
    MaxRun = 13,
    /// Stopped by the supervisor.
    Stopped = 14,
    /// `ArmFault` of a test image.
    Injected = 15,
}

impl FaultKind {
    /// All of them; each one's number is its place.
    pub const ALL: [Self; 16] = [
        Self::None,
        Self::MemoryAccess,
        Self::StackOverflow,
        Self::InstructionFetch,
        Self::Alignment,
        Self::IllegalInstruction,
        Self::BusError,
        Self::UndefinedSyscall,
        Self::SyscallUsage,
        Self::BadSlice,
        Self::NoRight,
        Self::ReplyTooLong,
        Self::Panic,
        Self::MaxRun,
        Self::Stopped,
        Self::Injected,
    ];
}

/// The record of a death: what `Status` returns in five words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Why.
    pub kind: FaultKind,
    /// The system call concerned (its SVC immediate), or 0xffff.
    pub syscall: u16,
    /// Faulting address, or the offending argument, or the address of a panic's text.
    pub address: u64,
    /// Program counter.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// `ESR_EL1` of an exception, or the length of a panic's text.
    pub detail: u64,
}

impl Fault {
    /// The five words of `Status`: kind | syscall << 16, address, pc, sp, detail.
    pub const fn words(self) -> [u64; 5] {
        [
            self.kind as u64 | (self.syscall as u64) << 16,
            self.address,
            self.pc,
            self.sp,
            self.detail,
        ]
    }
}
