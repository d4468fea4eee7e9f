//! Bits to the entropy-coded bytes of a scan.

pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet written, at the bottom.
    buffer: u64,
    count: u32,
}

impl BitWriter {
    /// Goes on after the headers.
    pub(super) fn new(headers: Vec<u8>) -> Self {
        Self {
            bytes: headers,
            buffer: 0,
            count: 0,
        }
    }

    /// Writes the lowest `count` bits, at most 32; those above are zero.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        self.buffer = self.buffer << count | u64::from(bits);
        self.count += count;
        if self.count >= 32 {
            self.count -= 32;
            self.put_bytes((self.buffer >> self.count) as u32);
        }
    }

    #[inline(always)]
    fn put_bytes(&mut self, word: u32) {
        const LOW: u32 = 0x0101_0101;
        const HIGH: u32 = 0x8080_8080;
        let bytes = word.to_be_bytes();
        if (!word).wrapping_sub(LOW) & word & HIGH == 0 {
            self.bytes.extend_from_slice(&bytes);
        } else {
            self.put_stuffed(&bytes);
        }
    }

    /// A byte of all ones begins a marker, unless a zero byte follows.
    #[cold]
    fn put_stuffed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.bytes.push(*byte);
            if *byte == 0xff {
                self.bytes.push(0);
            }
        }
    }

    /// Fills the last byte with ones, as T.81 wants.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let missing = (8 - self.count % 8) % 8;
        let last = self.buffer << missing | ((1 << missing) - 1);
        let bytes = last.to_be_bytes();
        let count = (self.count + missing) as usize / 8;
        self.put_stuffed(&bytes[8 - count..]);
        self.bytes
    }
}
