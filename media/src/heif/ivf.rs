//! Coded pictures one after the other in the simplest file that there is for AV1: IVF.

/// An empty unit that begins each picture, which HEIF leaves out (AV1 bitstream specification §7.5).
const TEMPORAL_DELIMITER: [u8; 2] = [0x12, 0];

/// A file of pictures of one size.
pub(super) fn file<'p>(
    size: (u32, u32),
    pictures: impl ExactSizeIterator<Item = &'p [u8]>,
) -> Vec<u8> {
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX).to_le_bytes();
    let mut file = Vec::new();
    file.extend_from_slice(b"DKIF\0\0\x20\0AV01");
    file.extend_from_slice(&side(size.0));
    file.extend_from_slice(&side(size.1));
    let (rate, scale) = (25_u32, 1_u32);
    for number in [rate, scale, pictures.len() as u32, 0] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    for (at, picture) in pictures.enumerate() {
        let length = (TEMPORAL_DELIMITER.len() + picture.len()) as u32;
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&(at as u64).to_le_bytes());
        file.extend_from_slice(&TEMPORAL_DELIMITER);
        file.extend_from_slice(picture);
    }
    file
}
