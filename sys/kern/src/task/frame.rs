//! The saved registers of a task.

/// Saved registers. The entry code of the machine stores and loads them at these places.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Frame {
    /// `x0` to `x30`.
    pub x: [u64; 31],
    /// `SP_EL0`.
    pub sp: u64,
    /// Next instruction.
    pub pc: u64,
    /// `SPSR_EL1`; 0 is EL0 with interrupts enabled.
    pub pstate: u64,
}

impl Frame {
    /// All registers zero.
    pub const CLEAR: Self = Self {
        x: [0; 31],
        sp: 0,
        pc: 0,
        pstate: 0,
    };

    /// Register by number: `x0` to `x30`, then stack pointer, program counter and processor state; 0 beyond.
    pub(crate) fn word(&self, number: u64) -> u64 {
        match number {
            31 => self.sp,
            32 => self.pc,
            33 => self.pstate,
            _ => usize::try_from(number)
                .ok()
                .and_then(|number| self.x.get(number))
                .map_or(0, |word| *word),
        }
    }
    /// The registers of a payload, written out: they are to stay in registers on the way.
    #[inline(always)]
    pub(crate) fn payload(&self) -> [u64; 8] {
        let x = &self.x;
        [x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]]
    }
    /// Stores a payload.
    #[inline(always)]
    pub(crate) fn set_payload(&mut self, payload: [u64; 8]) {
        let [a, b, c, d, e, f, g, h] = payload;
        let x = &mut self.x;
        (x[0], x[1], x[2], x[3]) = (a, b, c, d);
        (x[4], x[5], x[6], x[7]) = (e, f, g, h);
    }
    /// The registers of the second half of a wide payload.
    #[inline(always)]
    pub(crate) fn rest(&self) -> [u64; 8] {
        let x = &self.x;
        [x[20], x[21], x[22], x[23], x[24], x[25], x[26], x[27]]
    }
    /// Both halves of a wide payload, where they are.
    #[inline(always)]
    pub(crate) fn halves(&self) -> (&[u64; 8], &[u64; 8]) {
        const NONE: &[u64; 8] = &[0; 8];
        let rest = self.x.get(20..).and_then(<[u64]>::first_chunk);
        (self.x.first_chunk().unwrap_or(NONE), rest.unwrap_or(NONE))
    }
    /// Stores the second half of a wide payload.
    #[inline(always)]
    pub(crate) fn set_rest(&mut self, rest: [u64; 8]) {
        let [a, b, c, d, e, f, g, h] = rest;
        let x = &mut self.x;
        (x[20], x[21], x[22], x[23]) = (a, b, c, d);
        (x[24], x[25], x[26], x[27]) = (e, f, g, h);
    }
    /// Result register of a call without payload.
    #[inline(always)]
    pub(crate) fn set_result(&mut self, value: u64) {
        self.x[0] = value;
    }
}
