//! Which AAC it is, by its `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2). The decoder knows the
//! low-complexity profile; the others would come out at half their bandwidth or as noise.

/// Why this AAC is not decoded here, `None` if it is.
pub(super) fn unsupported(config: &[u8]) -> Option<(&'static str, String)> {
    let mut bits = Bits {
        bytes: config,
        at: 0,
    };
    let object_type = bits.object_type()?;
    let (codec, name) = match object_type {
        2 if has_sbr_extension(&mut bits) => ("he_aac", "HE-AAC"),
        2 => return None,
        5 => ("he_aac", "HE-AAC"),
        29 => ("he_aac_v2", "HE-AAC v2"),
        23 => ("aac_ld", "AAC-LD"),
        39 => ("aac_eld", "AAC-ELD"),
        42 => ("xhe_aac", "xHE-AAC"),
        other => {
            let why = format!("its object type is {other}; record AAC-LC or Opus");
            return Some(("aac", why));
        }
    };
    let why = format!("it is {name}; record AAC-LC or Opus, or configure ffmpeg");
    Some((codec, why))
}

/// Spectral band replication, announced after a configuration that older players understand.
fn has_sbr_extension(bits: &mut Bits<'_>) -> bool {
    const SYNC: u32 = 0x2b7;
    const SBR: u32 = 5;
    let announced = |bits: &mut Bits<'_>| {
        const EXPLICIT_RATE: u32 = 15;
        if bits.take(4)? == EXPLICIT_RATE {
            bits.take(24)?;
        }
        bits.take(4)?;
        bits.take(1)?;
        if bits.take(1)? == 1 {
            bits.take(14)?;
        }
        bits.take(1)?;
        Some(bits.take(11)? == SYNC && bits.object_type()? == SBR && bits.take(1)? == 1)
    };
    announced(bits).unwrap_or(false)
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn object_type(&mut self) -> Option<u32> {
        const ESCAPE: u32 = 31;
        match self.take(5)? {
            ESCAPE => Some(32 + self.take(6)?),
            object_type => Some(object_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_low_complexity_is_decoded() {
        // 44.1 kHz mono, as phones write it; then HE-AAC announced in each of its two ways.
        assert_eq!(unsupported(&[0x12, 0x08]), None);
        assert_eq!(unsupported(&[0x12, 0x08, 0x56, 0xe5, 0x00]), None);
        for he in [
            &[0x2b, 0x92, 0x08, 0x00][..],
            &[0x13, 0x90, 0x56, 0xe5, 0xa5],
        ] {
            let (codec, why) = unsupported(he).unwrap_or_default();
            assert!(codec == "he_aac" && why.contains("HE-AAC"), "{why}");
        }
        assert!(unsupported(&[0xf8, 0xe6, 0x20]).is_some_and(|(codec, _)| codec == "aac_eld"));
        assert_eq!(unsupported(&[]), None);
    }
}
