//! The entropy-coded bytes of a scan, as bits.

/// Reads bits from the top. It is copied in and out of functions, so that it lives in registers.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, at the top. Below `count` of them may stand more, of bytes not yet taken.
    buffer: u64,
    count: u32,
    /// Zero bits made up after the end, so that a block that is cut can be read to its end.
    invented: u64,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            buffer: 0,
            count: 0,
            invented: 0,
        }
    }

    /// Makes sure of at least 32 bits: more than any code with its value has.
    #[inline(always)]
    pub(super) fn refilled(mut self) -> Self {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        if self.count >= 32 {
            return self;
        }
        let Some(next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) else {
            return self.refilled_bytewise();
        };
        let next = u64::from_be_bytes(*next);
        // The search for a zero byte, in the complement: 0xff is a marker or stuffed.
        if (!next).wrapping_sub(LOW) & next & HIGH != 0 {
            return self.refilled_bytewise();
        }
        self.buffer |= next >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
        self
    }

    #[cold]
    fn refilled_bytewise(mut self) -> Self {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xff, 0x00, ..]) => {
                    self.at += 2;
                    0xff
                }
                None | Some([] | [0xff, ..]) => {
                    self.invented += 8;
                    0
                }
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
        self
    }

    /// The bits that come next, at the top; 32 of them after [`Bits::refilled`].
    #[inline(always)]
    pub(super) fn peek(self) -> u64 {
        self.buffer
    }

    #[inline(always)]
    pub(super) fn without(mut self, bits: u8) -> Self {
        self.buffer <<= bits & 63;
        self.count = self.count.wrapping_sub(u32::from(bits));
        self
    }

    /// Tells whether more was read than there is.
    pub(super) fn overrun(self) -> bool {
        self.invented > u64::from(self.count)
    }

    /// What follows the scan, or the part of it that was read. Begins with the rest of the last
    /// bytes, if they were not used up, and goes on with a marker.
    pub(super) fn rest(self) -> &'a [u8] {
        let unread = u64::from(self.count).saturating_sub(self.invented) / 8;
        let mut at = self.at;
        for _ in 0..unread {
            // Each byte of the buffer was one byte of the scan, or two where it was stuffed.
            let stuffed = self.bytes[..at].ends_with(&[0xff, 0x00]);
            at = at.saturating_sub(if stuffed { 2 } else { 1 });
        }
        &self.bytes[at..]
    }
}
