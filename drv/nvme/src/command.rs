//! Submission queue entries (Base 2.0, 3.3.3.1; NVM Command Set 1.0, 3.2), in words of 64 bits.

use blk_api::Kind;

/// A submission queue entry without its identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command {
    /// The operation.
    pub opcode: u8,
    /// The namespace, or 0.
    pub namespace: u32,
    /// The first page of data, from its first byte on.
    pub data: u64,
    /// The second page, or the list of the other pages.
    pub more: u64,
    /// Command dwords 10 to 15, in pairs.
    pub arguments: [u64; 3],
}

impl Command {
    /// The eight words of the entry, with the identifier of the command.
    #[inline(always)]
    pub const fn words(&self, id: u16) -> [u64; 8] {
        let first = self.opcode as u64 | (id as u64) << 16 | (self.namespace as u64) << 32;
        let [a, b, c] = self.arguments;
        [first, 0, 0, self.data, self.more, a, b, c]
    }

    const fn admin(opcode: u8, data: u64, arguments: [u64; 3]) -> Self {
        Self {
            opcode,
            namespace: 0,
            data,
            more: 0,
            arguments,
        }
    }

    /// Identify (5.17): a page of data, by its kind.
    pub const fn identify(what: Identify, data: u64) -> Self {
        let (cns, namespace) = match what {
            Identify::Namespace(namespace) => (0, namespace),
            Identify::Controller => (1, 0),
            Identify::ActiveNamespaces => (2, 0),
        };
        let mut command = Self::admin(0x06, data, [cns, 0, 0]);
        command.namespace = namespace;
        command
    }

    /// Set Features (5.27): the number of I/O queues, of each kind.
    pub const fn set_queues(count: u16) -> Self {
        let most = count.saturating_sub(1) as u64;
        Self::admin(0x09, 0, [0x07 | (most | most << 16) << 32, 0, 0])
    }

    /// Create I/O Completion Queue (5.4), which raises an interrupt.
    pub const fn create_completion(id: u16, entries: u16, data: u64, vector: u16) -> Self {
        let size = id as u64 | (entries.saturating_sub(1) as u64) << 16;
        // Contiguous, interrupts enabled.
        let flags = 3 | (vector as u64) << 16;
        Self::admin(0x05, data, [size | flags << 32, 0, 0])
    }

    /// Create I/O Submission Queue (5.5), whose completions are in the completion queue of the same number.
    pub const fn create_submission(id: u16, entries: u16, data: u64) -> Self {
        let size = id as u64 | (entries.saturating_sub(1) as u64) << 16;
        let flags = 1 | (id as u64) << 16;
        Self::admin(0x01, data, [size | flags << 32, 0, 0])
    }

    /// A command of the NVM command set; `blocks` from `first` on.
    #[inline(always)]
    pub const fn transfer(kind: Kind, namespace: u32, first: u64, blocks: u32) -> Self {
        let (opcode, arguments) = match kind {
            Kind::Flush => (0x00, [0; 3]),
            Kind::Write => (0x01, [first, blocks.saturating_sub(1) as u64, 0]),
            Kind::Read => (0x02, [first, blocks.saturating_sub(1) as u64, 0]),
            Kind::WriteZeroes => (0x08, [first, blocks.saturating_sub(1) as u64, 0]),
        };
        Self {
            opcode,
            namespace,
            data: 0,
            more: 0,
            arguments,
        }
    }
}

/// What is to be identified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identify {
    /// A namespace.
    Namespace(u32),
    /// The controller.
    Controller,
    /// The numbers of all namespaces that can be used.
    ActiveNamespaces,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dword `n` of an entry.
    fn dword(words: [u64; 8], n: usize) -> u32 {
        (words[n / 2] >> (n % 2 * 32)) as u32
    }

    #[test]
    fn a_read_is_laid_out_as_the_specification_says() {
        let mut read = Command::transfer(Kind::Read, 7, 0x1_2345_6789, 8);
        read.data = 0x1_0000_0200;
        read.more = 0x2_0000_0000;
        let words = read.words(63);
        assert_eq!((dword(words, 0), dword(words, 1)), (0x003f_0002, 7));
        assert_eq!((words[3], words[4]), (0x1_0000_0200, 0x2_0000_0000));
        assert_eq!((dword(words, 10), dword(words, 11)), (0x2345_6789, 1));
        assert_eq!((dword(words, 12), dword(words, 13)), (7, 0));
        let others = [(Kind::Write, 1), (Kind::WriteZeroes, 8), (Kind::Flush, 0)];
        for (kind, opcode) in others {
            assert_eq!(Command::transfer(kind, 1, 0, 1).opcode, opcode);
        }
        assert_eq!(Command::transfer(Kind::Flush, 1, 5, 0).arguments, [0; 3]);
    }

    #[test]
    fn queues_are_created_as_the_specification_says() {
        let words = Command::create_completion(3, 128, 0x5000, 2).words(1);
        assert_eq!((dword(words, 0), words[3]), (0x0001_0005, 0x5000));
        assert_eq!(
            (dword(words, 10), dword(words, 11)),
            (0x007f_0003, 0x0002_0003)
        );
        let words = Command::create_submission(3, 128, 0x6000).words(2);
        assert_eq!((dword(words, 0), words[3]), (0x0002_0001, 0x6000));
        assert_eq!(
            (dword(words, 10), dword(words, 11)),
            (0x007f_0003, 0x0003_0001)
        );
        let words = Command::set_queues(4).words(0);
        assert_eq!((dword(words, 10), dword(words, 11)), (7, 0x0003_0003));
        let words = Command::identify(Identify::Namespace(9), 0x7000).words(0);
        assert_eq!((dword(words, 1), dword(words, 10)), (9, 0));
    }
}
