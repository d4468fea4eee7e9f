//! The entropy-coded bytes of a scan, as bits.

/// Reads bits from the top. Whoever reads many works on a copy, so that it lives in registers.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    ahead: Ahead,
}

/// What was taken from the bytes and not yet read.
#[derive(Clone, Copy, Default)]
struct Ahead {
    /// Where the next byte to be taken is.
    at: usize,
    /// The next bits, at the top. Below `count` of them may stand more, of bytes not yet taken.
    buffer: u64,
    count: u32,
    /// Zero bits made up after the end, so that a block that is cut can be read to its end.
    invented: u32,
}

impl<'a> Bits<'a> {
    /// Bits there are after [`Bits::refill`].
    pub(super) const FILLED: u32 = 56;

    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let ahead = Ahead::default();
        Self { bytes, ahead }
    }

    /// The next bits, at the top: at least [`Bits::FILLED`] less what was taken since.
    #[inline(always)]
    pub(super) fn ahead(&self) -> u64 {
        self.ahead.buffer
    }

    /// Makes sure of at least [`Bits::FILLED`] bits.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let next = self.bytes.get(self.ahead.at..);
        let next = next.and_then(<[u8]>::first_chunk).copied();
        let next = u64::from_be_bytes(next.unwrap_or([0xff; 8]));
        // The search for a zero byte, in the complement: 0xff is a marker or stuffed.
        if (!next).wrapping_sub(LOW) & next & HIGH != 0 {
            self.ahead = self.ahead.refilled_bytewise(self.bytes);
            return;
        }
        self.ahead.buffer |= next >> self.ahead.count;
        let taken = (63 - self.ahead.count) / 8;
        self.ahead.at += taken as usize;
        self.ahead.count += 8 * taken;
    }

    /// Takes bits that were looked at.
    #[inline(always)]
    pub(super) fn take(&mut self, bits: u8) {
        self.ahead.buffer <<= bits & 63;
        self.ahead.count = self.ahead.count.wrapping_sub(u32::from(bits));
    }

    /// Tells whether more was read than there is.
    pub(super) fn overrun(self) -> bool {
        self.ahead.invented > self.ahead.count
    }

    /// What follows the scan, or the part of it that was read. Begins with the rest of the last
    /// bytes, if they were not used up, and goes on with a marker.
    pub(super) fn rest(self) -> &'a [u8] {
        let unread = self.ahead.count.saturating_sub(self.ahead.invented) / 8;
        let mut at = self.ahead.at;
        for _ in 0..unread {
            // Each byte of the buffer was one byte of the scan, or two where it was stuffed.
            let stuffed = self.bytes[..at].ends_with(&[0xff, 0x00]);
            at = at.saturating_sub(if stuffed { 2 } else { 1 });
        }
        &self.bytes[at..]
    }
}

impl Ahead {
    #[cold]
    fn refilled_bytewise(mut self, bytes: &[u8]) -> Self {
        while self.count < Bits::FILLED {
            let byte = match bytes.get(self.at..) {
                Some([0xff, 0x00, ..]) => {
                    self.at += 2;
                    0xff
                }
                None | Some([] | [0xff, ..]) => {
                    self.invented = self.invented.saturating_add(8);
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
}
