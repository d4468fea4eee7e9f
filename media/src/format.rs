//! What a file is, from its first bytes. A name or a declared content type is never asked: both are
//! the uploader's to choose.

use serde::{Deserialize, Serialize};

/// How many leading bytes [`sniff`] looks at, at most. Enough for the brands of an ISO media file
/// and for the comment that an SVG often begins with.
pub const SNIFF_BYTES: usize = 512;

/// A file format that iyagi recognises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG, also animated.
    Png,
    /// WebP, lossy, lossless or animated.
    #[serde(rename = "webp")]
    WebP,
    /// GIF, still or animated.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF; its first page.
    Tiff,
    /// AVIF; taken apart here, and decoded elsewhere.
    Avif,
    /// HEIC or another HEIF; the same.
    Heic,
    /// SVG; recognised, never decoded: it is a program, not a picture.
    Svg,
    /// MPEG-4 file with video, or of unknown content.
    Mp4,
    /// MPEG-4 file that says it is audio.
    M4a,
    /// 3GPP file, as older Android recorders write.
    #[serde(rename = "3gpp")]
    ThreeGp,
    /// `QuickTime` movie.
    #[serde(rename = "quicktime")]
    QuickTime,
    /// MPEG audio layer II or III.
    Mp3,
    /// AAC in ADTS framing.
    Aac,
    /// AMR, narrow or wide band.
    Amr,
    /// Ogg: Opus, Vorbis or another.
    Ogg,
    /// `WebM`, or Matroska.
    #[serde(rename = "webm")]
    WebM,
    /// FLAC.
    Flac,
    /// WAVE.
    Wav,
    /// AIFF, also compressed.
    Aiff,
    /// Apple's Core Audio Format.
    Caf,
    /// None of the above.
    Unknown,
}

impl Format {
    /// Returns the media type to record and to serve the file with.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
            Self::Svg => "image/svg+xml",
            Self::Mp4 => "video/mp4",
            Self::M4a => "audio/mp4",
            Self::ThreeGp => "video/3gpp",
            Self::QuickTime => "video/quicktime",
            Self::Mp3 => "audio/mpeg",
            Self::Aac => "audio/aac",
            Self::Amr => "audio/amr",
            Self::Ogg => "audio/ogg",
            Self::WebM => "video/webm",
            Self::Flac => "audio/flac",
            Self::Wav => "audio/wav",
            Self::Aiff => "audio/aiff",
            Self::Caf => "audio/x-caf",
            Self::Unknown => "application/octet-stream",
        }
    }

    /// Tells whether it is a still or animated picture, decodable or not.
    pub fn is_picture(self) -> bool {
        self.content_type().starts_with("image/")
    }

    /// Tells whether it may be a recording, decodable or not. Containers that hold video as well
    /// count: only their tracks tell.
    pub fn is_recording(self) -> bool {
        self.content_type().starts_with("audio/") || self.is_iso_media() || self == Self::WebM
    }

    /// Tells whether it is an ISO base media file of sound or video.
    pub(crate) fn is_iso_media(self) -> bool {
        matches!(
            self,
            Self::Mp4 | Self::M4a | Self::ThreeGp | Self::QuickTime
        )
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Avif => "AVIF",
            Self::Heic => "HEIC",
            Self::Svg => "SVG",
            Self::Mp4 => "MP4",
            Self::M4a => "M4A",
            Self::ThreeGp => "3GPP",
            Self::QuickTime => "QuickTime",
            Self::Mp3 => "MP3",
            Self::Aac => "AAC",
            Self::Amr => "AMR",
            Self::Ogg => "Ogg",
            Self::WebM => "WebM",
            Self::Flac => "FLAC",
            Self::Wav => "WAV",
            Self::Aiff => "AIFF",
            Self::Caf => "CAF",
            Self::Unknown => "unknown",
        })
    }
}

/// Says what a file is by its content. Costs the same for every file.
pub fn sniff(bytes: &[u8]) -> Format {
    let head = &bytes[..bytes.len().min(SNIFF_BYTES)];
    match head {
        [0xff, 0xd8, 0xff, ..] => Format::Jpeg,
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Format::Png,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
        [b'R', b'I', b'F', b'F', _, _, _, _, kind @ ..] if kind.starts_with(b"WEBP") => {
            Format::WebP
        }
        [b'R', b'I', b'F', b'F' | b'X', _, _, _, _, kind @ ..] if kind.starts_with(b"WAVE") => {
            Format::Wav
        }
        [b'F', b'O', b'R', b'M', _, _, _, _, kind @ ..]
            if kind.starts_with(b"AIFF") || kind.starts_with(b"AIFC") =>
        {
            Format::Aiff
        }
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => iso_media(head),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Format::WebM,
        [b'B', b'M', ..] if bitmap_header(head) => Format::Bmp,
        [b'I', b'D', b'3', ..] => Format::Mp3,
        [0xff, second, third, ..] => mpeg_audio(*second, *third),
        _ if head.starts_with(b"OggS") => Format::Ogg,
        _ if head.starts_with(b"fLaC") => Format::Flac,
        _ if head.starts_with(b"caff") => Format::Caf,
        _ if head.starts_with(b"#!AMR") => Format::Amr,
        _ if looks_like_svg(head) => Format::Svg,
        _ => Format::Unknown,
    }
}

/// The family of an ISO base media file, by its major brand and, for `mif1`, those it is
/// compatible with: both AVIF and HEIC use that brand.
fn iso_media(head: &[u8]) -> Format {
    let declared = head[..4].try_into().map_or(0, u32::from_be_bytes) as usize;
    let brands = head.get(8..declared.min(head.len())).unwrap_or_default();
    let major = brands.get(..4).unwrap_or_default();
    let compatible = brands.get(8..).unwrap_or_default();
    let avif = |brand: &[u8]| matches!(brand, b"avif" | b"avis");
    match major {
        brand if avif(brand) => Format::Avif,
        b"mif1" | b"msf1" if compatible.chunks_exact(4).any(avif) => Format::Avif,
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" | b"mif1"
        | b"msf1" => Format::Heic,
        b"M4A " | b"M4B " | b"M4P " => Format::M4a,
        b"qt  " => Format::QuickTime,
        [b'3', b'g', ..] => Format::ThreeGp,
        _ => Format::Mp4,
    }
}

/// "BM" begins many a text, so the size of the header that follows must be one that exists.
fn bitmap_header(head: &[u8]) -> bool {
    matches!(
        head.get(14..18),
        Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
    )
}

/// An MPEG audio frame without a tag before it: eleven set bits, then fields that have values no
/// frame may carry. Layer I is left out: it is extinct, and a UTF-16 text begins like it.
fn mpeg_audio(second: u8, third: u8) -> Format {
    const ADTS: u8 = 0xf0;
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    let (bitrate, sample_rate) = (third >> 4, (third >> 2) & 3);
    if second & 0xf6 == ADTS && (third >> 2) & 0xf < 13 {
        Format::Aac
    } else if second & 0xe0 == 0xe0
        && version != 1
        && matches!(layer, 1 | 2)
        && !matches!(bitrate, 0 | 15)
        && sample_rate != 3
    {
        Format::Mp3
    } else {
        Format::Unknown
    }
}

fn looks_like_svg(head: &[u8]) -> bool {
    let text = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    text.starts_with(b"<svg")
        || (text.starts_with(b"<?xml") || text.starts_with(b"<!--") || text.starts_with(b"<!DOC"))
            && text.windows(4).any(|window| window == b"<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        let cases: &[(&[u8], Format)] = &[
            (b"\xff\xd8\xff\xe0", Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"GIF89a", Format::Gif),
            (b"RIFF\0\0\0\0WEBPVP8 ", Format::WebP),
            (b"RIFF\0\0\0\0WAVEfmt ", Format::Wav),
            (b"II*\0", Format::Tiff),
            (b"MM\0*", Format::Tiff),
            (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", Format::Avif),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", Format::Avif),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", Format::Heic),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Format::Heic),
            (b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42", Format::M4a),
            (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", Format::Mp4),
            (b"\0\0\0\x18ftyp3gp5\0\0\0\0isom3gp4", Format::ThreeGp),
            (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", Format::QuickTime),
            (b"ID3\x04\0", Format::Mp3),
            (b"\xff\xfb\x90\x64", Format::Mp3),
            (b"\xff\xf1\x50\x80", Format::Aac),
            (b"#!AMR-WB\n", Format::Amr),
            (b"OggS\0\x02", Format::Ogg),
            (b"\x1a\x45\xdf\xa3\x9f", Format::WebM),
            (b"fLaC\0", Format::Flac),
            (b"FORM\0\0\0\0AIFC", Format::Aiff),
            (b"caff\0\x01", Format::Caf),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns=", Format::Svg),
            (b"\xef\xbb\xbf  <svg>", Format::Svg),
        ];
        for (bytes, expected) in cases {
            assert_eq!(
                sniff(bytes),
                *expected,
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_text_is_no_picture_and_no_sound() {
        for text in [
            &b""[..],
            b"BM is how this sentence begins, and it goes on",
            b"\xff\xfeH\0e\0l\0l\0o\0",
            b"\xff",
            b"RIFF",
            b"\0\0\0\x08ftyp",
            b"<?xml version=\"1.0\"?><html>",
        ] {
            let format = sniff(text);
            assert!(
                !format.is_picture() && format != Format::Mp3,
                "{format} for {text:?}"
            );
        }
    }
}
