//! Whether a rendition says nothing beside its sound: every box of its MPEG-4, every comment of its
//! Ogg is looked at. What is not known to be harmless is refused, so that no tag of a kind that
//! nobody thought of passes.

use std::io::{self, BufReader, Read, SeekFrom};
use std::ops::Range;

use super::{Rendition, RenditionError};
use crate::audio::error::AudioError;
use crate::audio::source::Sound;
use crate::iso_media::{Header, LONGEST_HEADER, header};

/// What stands before the boxes of a `meta`.
const META_VERSION_BYTES: u64 = 4;

/// Boxes that hold boxes.
const PARENTS: [&[u8; 4]; 8] = [
    b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl", b"udta",
];

/// Boxes that describe samples and nothing else.
const PLAIN: [&[u8; 4]; 18] = [
    b"ftyp", b"mdat", b"mvhd", b"tkhd", b"elst", b"mdhd", b"hdlr", b"smhd", b"dref", b"stsd",
    b"stts", b"stsc", b"stsz", b"stco", b"co64", b"sgpd", b"sbgp", b"url ",
];

/// Boxes that could tell something, and do not while they are empty: `ffmpeg` writes them so.
const EMPTY: [&[u8; 4]; 2] = [b"ilst", b"free"];

/// Boxes within boxes: the deepest that is plain is the sixth.
const DEPTH_MAX: usize = 8;

/// The one comment that is about the file and not about the recording.
const ENCODER: &[u8] = b"encoder=";

/// Of all comments together; those of an encoder are about a hundred.
const COMMENTS_BYTES_MAX: usize = 64 << 10;

pub(super) fn check(rendition: Rendition, file: &mut dyn Sound) -> Result<(), RenditionError> {
    let size = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
    match rendition {
        Rendition::Opus32k => ogg(file, size),
        Rendition::Aac64k => mp4(file, 0..size, DEPTH_MAX),
    }
}

fn mp4(file: &mut dyn Sound, level: Range<u64>, depth: usize) -> Result<(), RenditionError> {
    let inner = depth.checked_sub(1);
    let inner = inner.ok_or_else(|| tells("boxes within boxes without end"))?;
    let mut at = level.start;
    while at < level.end {
        let Header { kind, length, size } = header_at(file, at, level.end - at)?;
        let body = at + length..at + size;
        if PARENTS.contains(&&kind) {
            mp4(file, body, inner)?;
        } else if kind == *b"meta" && size - length >= META_VERSION_BYTES {
            mp4(file, body.start + META_VERSION_BYTES..body.end, inner)?;
        } else if !(PLAIN.contains(&&kind) || EMPTY.contains(&&kind) && body.is_empty()) {
            return Err(tells(&format!("a box `{}`", kind.escape_ascii())));
        }
        at += size;
    }
    Ok(())
}

fn header_at(file: &mut dyn Sound, at: u64, left: u64) -> Result<Header, RenditionError> {
    let mut start = [0; LONGEST_HEADER];
    let start = &mut start[..LONGEST_HEADER.min(usize::try_from(left).unwrap_or(usize::MAX))];
    let read = file.seek(SeekFrom::Start(at));
    read.and_then(|_| file.read_exact(start))
        .map_err(unreadable)?;
    header(start, left).ok_or_else(|| tells("bytes that are no box"))
}

fn ogg(file: &mut dyn Sound, size: u64) -> Result<(), RenditionError> {
    file.rewind().map_err(unreadable)?;
    let mut pages = Pages {
        file: BufReader::new(file),
        left: size,
    };
    let head = pages.next()?.ok_or_else(no_page)?;
    let mut comments = Vec::new();
    let mut complete = false;
    while let Some(page) = pages.next()? {
        if page.serial != head.serial {
            return Err(tells("a second stream"));
        }
        if !complete {
            comments.extend_from_slice(page.first_packet());
            complete = page.first_packet_ends;
        }
        if comments.len() > COMMENTS_BYTES_MAX {
            return Err(tells("comments that are far too long"));
        }
    }
    opus_comments(&comments).ok_or_else(|| tells("comments about more than its encoder"))
}

fn tells(what: &str) -> RenditionError {
    RenditionError::Tagged(what.to_owned())
}

fn unreadable(error: io::Error) -> RenditionError {
    AudioError::Unreadable(error.to_string()).into()
}

/// Pages of Ogg (RFC 3533 §6).
struct Pages<'a> {
    file: BufReader<&'a mut dyn Sound>,
    /// Bytes up to the end.
    left: u64,
}

struct Page {
    serial: u32,
    body: Vec<u8>,
    first_packet_bytes: usize,
    first_packet_ends: bool,
}

impl Page {
    fn first_packet(&self) -> &[u8] {
        &self.body[..self.first_packet_bytes]
    }
}

impl Pages<'_> {
    /// Reads the next page; none at the end of the file.
    fn next(&mut self) -> Result<Option<Page>, RenditionError> {
        const HEADER: usize = 27;
        if self.left == 0 {
            return Ok(None);
        }
        let header = self.read(HEADER)?;
        if !header.starts_with(b"OggS\0") {
            return Err(no_page());
        }
        let serial = header[14..].first_chunk().expect("the header has 27 bytes");
        let segments = self.read(header[HEADER - 1].into())?;
        let bytes = |segments: &[u8]| segments.iter().copied().map(usize::from).sum();
        // A packet ends with the first segment that is not full.
        let end = segments.iter().position(|size| *size < u8::MAX);
        let first = &segments[..end.map_or(segments.len(), |end| end + 1)];
        Ok(Some(Page {
            serial: u32::from_le_bytes(*serial),
            body: self.read(bytes(&segments))?,
            first_packet_bytes: bytes(first),
            first_packet_ends: end.is_some(),
        }))
    }

    fn read(&mut self, bytes: usize) -> Result<Vec<u8>, RenditionError> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or_else(no_page)?;
        let mut read = vec![0; bytes];
        self.file.read_exact(&mut read).map_err(unreadable)?;
        Ok(read)
    }
}

fn no_page() -> RenditionError {
    tells("bytes that are no page of Ogg")
}

/// Walks the comment header (RFC 7845 §5.2); nothing unless it ends where it should, and tells
/// nothing but what encoded it.
fn opus_comments(packet: &[u8]) -> Option<()> {
    let rest = packet.strip_prefix(b"OpusTags")?;
    let (_vendor, rest) = counted(rest)?;
    let (count, mut rest) = rest.split_first_chunk()?;
    for _ in 0..u32::from_le_bytes(*count) {
        let comment;
        (comment, rest) = counted(rest)?;
        if !comment.starts_with(ENCODER) {
            return None;
        }
    }
    rest.is_empty().then_some(())
}

/// Bytes behind their number.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn mp4(bytes: &[u8]) -> Result<(), RenditionError> {
        check(Rendition::Aac64k, &mut Cursor::new(bytes))
    }

    fn ogg(bytes: &[u8]) -> Result<(), RenditionError> {
        check(Rendition::Opus32k, &mut Cursor::new(bytes))
    }

    fn mp4_box(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        [&mp4_header(kind, body.len() as u32 + 8), body].concat()
    }

    fn mp4_header(kind: [u8; 4], size: u32) -> Vec<u8> {
        [size.to_be_bytes(), kind].concat()
    }

    fn ogg_page(serial: u32, packets: &[&[u8]]) -> Vec<u8> {
        let mut lacing = Vec::new();
        for packet in packets {
            lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
            lacing.push((packet.len() % 255) as u8);
        }
        let mut page = b"OggS\0\0".to_vec();
        page.extend([0; 8]);
        page.extend(serial.to_le_bytes());
        page.extend([0; 8]);
        page.push(lacing.len() as u8);
        page.extend(lacing);
        page.extend(packets.concat());
        page
    }

    fn opus(comments: &[&str], behind: &[u8]) -> Vec<u8> {
        let counted =
            |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let mut tags = b"OpusTags".to_vec();
        tags.extend(counted("vendor"));
        tags.extend((comments.len() as u32).to_le_bytes());
        tags.extend(comments.iter().flat_map(|comment| counted(comment)));
        tags.extend(behind);
        [
            ogg_page(7, &[b"OpusHead"]),
            ogg_page(7, &[&tags]),
            ogg_page(7, &[b"sound", b"more"]),
        ]
        .concat()
    }

    #[test]
    fn boxes_that_describe_samples_say_nothing_and_any_other_does() {
        let plain = [
            mp4_box(*b"ftyp", b"M4A "),
            mp4_box(*b"moov", &mp4_box(*b"trak", &mp4_box(*b"tkhd", b""))),
            mp4_box(*b"mdat", b"sound"),
        ];
        assert_eq!(mp4(&plain.concat()), Ok(()));
        let empty = mp4_box(*b"meta", &[&[0; 4][..], &mp4_box(*b"ilst", b"")].concat());
        assert_eq!(mp4(&mp4_box(*b"moov", &mp4_box(*b"udta", &empty))), Ok(()));
        for name in [b"name", b"uuid", b"loci", b"\xa9xyz", b"free", b"ilst"] {
            let inside = mp4_box(*b"moov", &mp4_box(*b"udta", &mp4_box(*name, b"Seoul")));
            let said = mp4(&inside).expect_err("it tells").to_string();
            assert!(said.contains(&name.escape_ascii().to_string()), "{said}");
        }
        let behind = [&plain.concat()[..], b"ID3"].concat();
        assert!(mp4(&behind).is_err(), "a tag behind the last box");
    }

    #[test]
    fn a_comment_that_is_not_about_the_file_tells() {
        assert_eq!(ogg(&opus(&["encoder=libopus"], b"")), Ok(()));
        for comments in [&["TITLE=x"][..], &["encoder=x", "GPSLatitude=37.5"]] {
            assert!(ogg(&opus(comments, b"")).is_err(), "{comments:?}");
        }
        // A picture can stand behind the comments, and anything behind the last page.
        assert!(ogg(&opus(&[], b"picture")).is_err());
        assert!(ogg(&[&opus(&[], b"")[..], b"TAG"].concat()).is_err());
        let second = [opus(&[], b""), ogg_page(8, &[b"OpusHead"])].concat();
        assert!(ogg(&second).is_err());
        let long = "x".repeat(70_000);
        assert!(ogg(&opus(&[&long], b"")).is_err());
    }

    #[test]
    fn a_header_that_never_ends_is_neither_kept_nor_followed() {
        let mut page = ogg_page(7, &[&vec![0; 255 * 254]]);
        // Without its last segment the packet goes on in the next page.
        page[26] -= 1;
        page.remove(27 + 254);
        let pages = [ogg_page(7, &[b"OpusHead"]), page.repeat(9)].concat();
        let said = ogg(&pages).expect_err("it has no end").to_string();
        assert!(said.contains("far too long"), "{said}");

        let headers = (1..=100_000_u32).rev();
        let deep: Vec<u8> = headers
            .flat_map(|level| mp4_header(*b"moov", level * 8))
            .collect();
        let said = mp4(&deep).expect_err("it has no end").to_string();
        assert!(said.contains("without end"), "{said}");
    }
}
