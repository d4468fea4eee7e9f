//! Coded pictures one after the other as HEVC comes without a container: a byte stream (ITU-T H.265, annex B).

use super::reader::Reader;

/// Begins each unit.
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Of what every configuration begins with (ISO/IEC 14496-15 §8.3.3.1).
const HEAD_BYTES: usize = 21;

/// What a picture is decoded with: parameter sets, and how the lengths of its units are written.
pub(super) struct Configuration<'a> {
    length_bytes: u8,
    parameter_sets: Vec<&'a [u8]>,
}

impl<'a> Configuration<'a> {
    /// From a property `hvcC`.
    pub(super) fn read(hvcc: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(hvcc);
        reader.take(HEAD_BYTES)?;
        let length_bytes = (reader.number(1)? & 3) as u8 + 1;
        let mut parameter_sets = Vec::new();
        for _ in 0..reader.number(1)? {
            let _kind = reader.number(1)?;
            for _ in 0..reader.number(2)? {
                let length = reader.number(2)?;
                parameter_sets.push(reader.take(length as usize)?);
            }
        }
        Some(Self {
            length_bytes,
            parameter_sets,
        })
    }

    /// Bits of a sample, and whether there is no chroma.
    pub(super) fn samples(hvcc: &[u8]) -> Option<(u8, bool)> {
        let (chroma, depth) = (hvcc.get(16)? & 3, hvcc.get(17)? & 7);
        Some((depth + 8, chroma == 0))
    }

    /// Bytes of all parameter sets.
    pub(super) fn bytes(&self) -> usize {
        self.parameter_sets.iter().map(|set| set.len()).sum()
    }

    /// Appends a picture. `None` if its units are not as long as they say.
    pub(super) fn append(&self, picture: &[u8], stream: &mut Vec<u8>) -> Option<()> {
        let mut unit = |unit: &[u8]| {
            stream.extend_from_slice(&START_CODE);
            stream.extend_from_slice(unit);
        };
        self.parameter_sets.iter().for_each(|set| unit(set));
        let mut units = Reader(picture);
        while !units.0.is_empty() {
            let length = units.number(self.length_bytes)?;
            unit(units.take(usize::try_from(length).ok()?)?);
        }
        Some(())
    }
}
