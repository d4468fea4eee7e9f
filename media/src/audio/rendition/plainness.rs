//! Whether a rendition says nothing beside its sound: every box of its MPEG-4, every comment of its
//! Ogg is looked at. What is not known to be harmless is refused, so that no tag of a kind that
//! nobody thought of passes.

use super::{Rendition, RenditionError};
use crate::audio::mp4::Boxes;

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

/// The one comment that is about the file and not about the recording.
const ENCODER: &[u8] = b"encoder=";

pub(super) fn check(rendition: Rendition, bytes: &[u8]) -> Result<(), RenditionError> {
    match rendition {
        Rendition::Opus32k => ogg(bytes),
        Rendition::Aac64k => mp4(bytes),
    }
}

fn mp4(level: &[u8]) -> Result<(), RenditionError> {
    let mut boxes = Boxes { rest: level };
    for (kind, body) in boxes.by_ref() {
        if PARENTS.contains(&&kind) {
            mp4(body)?;
        } else if let (b"meta", Some((_version, children))) = (&kind, body.split_at_checked(4)) {
            mp4(children)?;
        } else if !(PLAIN.contains(&&kind) || EMPTY.contains(&&kind) && body.is_empty()) {
            return Err(tells(&format!("a box `{}`", kind.escape_ascii())));
        }
    }
    if boxes.rest.is_empty() {
        Ok(())
    } else {
        Err(tells("bytes that are no box"))
    }
}

fn ogg(bytes: &[u8]) -> Result<(), RenditionError> {
    let mut pages = Pages { rest: bytes };
    let head = pages.next().ok_or_else(|| tells("no page of Ogg"))?;
    let mut comments = Vec::new();
    let mut complete = false;
    for page in pages.by_ref() {
        if page.serial != head.serial {
            return Err(tells("a second stream"));
        }
        if !complete {
            comments.extend_from_slice(page.first_packet);
            complete = page.first_packet_ends;
        }
    }
    if !pages.rest.is_empty() {
        return Err(tells("bytes that are no page"));
    }
    opus_comments(&comments).ok_or_else(|| tells("comments about more than its encoder"))
}

fn tells(what: &str) -> RenditionError {
    RenditionError::Tagged(what.to_owned())
}

/// Pages of Ogg (RFC 3533 §6).
struct Pages<'a> {
    /// What was not walked yet, or cannot be.
    rest: &'a [u8],
}

struct Page<'a> {
    serial: u32,
    first_packet: &'a [u8],
    first_packet_ends: bool,
}

impl<'a> Iterator for Pages<'a> {
    type Item = Page<'a>;

    fn next(&mut self) -> Option<Page<'a>> {
        const HEADER: usize = 27;
        let header = self.rest.get(..HEADER)?;
        if !header.starts_with(b"OggS\0") {
            return None;
        }
        let serial = u32::from_le_bytes(*header.get(14..)?.first_chunk()?);
        let (segments, body) = self.rest[HEADER..].split_at_checked(header[26].into())?;
        let bytes = |segments: &[u8]| segments.iter().copied().map(usize::from).sum();
        // A packet ends with the first segment that is not full.
        let end = segments.iter().position(|size| *size < u8::MAX);
        let first = &segments[..end.map_or(segments.len(), |end| end + 1)];
        let (body, rest) = body.split_at_checked(bytes(segments))?;
        self.rest = rest;
        Some(Page {
            serial,
            first_packet: &body[..bytes(first)],
            first_packet_ends: end.is_some(),
        })
    }
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
    use super::*;

    fn mp4_box(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let size = (body.len() + 8) as u32;
        [&size.to_be_bytes()[..], &kind, body].concat()
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
}
