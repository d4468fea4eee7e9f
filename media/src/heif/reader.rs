//! Numbers one after the other, the most significant byte first.

/// What was not read yet.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number of up to eight bytes; 0 if it has none.
    pub(super) fn number(&mut self, bytes: u8) -> Option<u64> {
        let bytes = self.take(bytes.into()).filter(|bytes| bytes.len() <= 8)?;
        let number = bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        Some(number)
    }
}
