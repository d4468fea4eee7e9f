//! Boxes of ISO base media files (ISO/IEC 14496-12), which recordings and pictures of phones are made of.

/// The first box of a kind at one level.
pub(crate) fn child(parent: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    boxes(parent)
        .find(|(kind, _)| *kind == name)
        .map(|(_, body)| body)
}

/// Walks the boxes of one level. Ends where one is cut short or says nothing sensible.
pub(crate) fn boxes(level: &[u8]) -> Boxes<'_> {
    Boxes { rest: level }
}

/// The boxes of one level.
pub(crate) struct Boxes<'a> {
    /// What was not walked yet, or cannot be.
    rest: &'a [u8],
}

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let Header { kind, length, size } = header(self.rest, self.rest.len() as u64)?;
        let (whole, rest) = self.rest.split_at_checked(usize::try_from(size).ok()?)?;
        self.rest = rest;
        Some((kind, whole.get(usize::try_from(length).ok()?..)?))
    }
}

/// Bytes of the longest header of a box.
pub(crate) const LONGEST_HEADER: usize = 16;

/// The header of a box.
pub(crate) struct Header {
    /// Four characters that name it.
    pub(crate) kind: [u8; 4],
    /// Of the header itself.
    pub(crate) length: u64,
    /// Of the whole box.
    pub(crate) size: u64,
}

/// Reads the header at the beginning of some bytes, with `left` bytes up to the end of the level;
/// `None` for a box that is cut short or says nothing sensible.
pub(crate) fn header(start: &[u8], left: u64) -> Option<Header> {
    let kind = start.get(4..)?.first_chunk().copied()?;
    let (length, size) = match be_u32(start, 0)? {
        0 => (8, left),
        1 => (16, be_u64(start, 8)?),
        size => (8, size.into()),
    };
    (length..=left)
        .contains(&size)
        .then_some(Header { kind, length, size })
}

pub(crate) fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

pub(crate) fn be_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_be_bytes)
}
