//! What an MPEG-4 file says beside its samples: the edit list, the kind of its sound, the place.
//!
//! The demuxer yields every sample an encoder made, also those that only warmed it up. ISO/IEC
//! 14496-12 §8.6.6 says by the edit list which of them are to be heard.

use std::io::{BufReader, Read, Seek};

use super::source::Source;
use crate::iso_media::{Header, LONGEST_HEADER, be_u32, be_u64, boxes, child, header};

/// What the sound track of an MPEG-4 file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SoundTrack {
    /// Four characters that name the codec.
    pub(super) sample_entry: Option<[u8; 4]>,
    /// Ticks a second that [`media_start`](Self::media_start) and
    /// [`media_length`](Self::media_length) count in.
    pub(super) timescale: u32,
    /// Tick that is heard first.
    pub(super) media_start: u64,
    /// Ticks that are heard, if that is said.
    pub(super) media_length: Option<u64>,
    /// Ticks of all samples.
    pub(super) media_total: Option<u64>,
}

/// What the index (`moov`) of an MPEG-4 file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Index {
    /// Its size.
    pub(super) bytes: u64,
    /// The first track of sound.
    pub(super) sound: Option<SoundTrack>,
    /// Whether it says where the recording was made.
    pub(super) location: bool,
}

/// Reads the index, `None` if there is none. Of one that is larger than that, only its size is told.
pub(super) fn index(file: &mut Source<'_>, bytes_max: u64) -> Option<Index> {
    let left = file.size();
    file.rewind().ok()?;
    let mut file = BufReader::new(file);
    let bytes = find_moov(&mut file, left)?;
    if bytes > bytes_max {
        return Some(Index {
            bytes,
            ..Index::default()
        });
    }
    let mut moov = Vec::new();
    file.take(bytes).read_to_end(&mut moov).ok()?;
    let moov = moov.as_slice();
    let movie_timescale = child(moov, *b"mvhd").map_or(0, |mvhd| time_header(mvhd).0);
    let sound = boxes(moov)
        .filter(|(kind, _)| kind == b"trak")
        .find_map(|(_, trak)| sound_track(trak, movie_timescale));
    Some(Index {
        bytes,
        sound,
        location: says_where(moov),
    })
}

/// Walks the boxes of a file up to the body of the index; yields how long that is.
fn find_moov(file: &mut BufReader<&mut Source<'_>>, mut left: u64) -> Option<u64> {
    loop {
        let mut start = [0; LONGEST_HEADER];
        let start = &mut start[..LONGEST_HEADER.min(usize::try_from(left).unwrap_or(usize::MAX))];
        file.read_exact(start).ok()?;
        let Header { kind, length, size } = header(start, left)?;
        let read = start.len() as u64;
        let skip = |to: u64| to.checked_signed_diff(read);
        if kind == *b"moov" {
            file.seek_relative(skip(length)?).ok()?;
            return Some(size - length);
        }
        file.seek_relative(skip(size)?).ok()?;
        left -= size;
    }
}

fn sound_track(trak: &[u8], movie_timescale: u32) -> Option<SoundTrack> {
    let mdia = child(trak, *b"mdia")?;
    let handler = child(mdia, *b"hdlr")?;
    if handler.get(8..12) != Some(b"soun") {
        return None;
    }
    let (timescale, media_total) = time_header(child(mdia, *b"mdhd")?);
    let sample_entry = child(mdia, *b"minf")
        .and_then(|minf| child(minf, *b"stbl"))
        .and_then(|stbl| child(stbl, *b"stsd"))
        .and_then(|stsd| stsd.get(12..16)?.first_chunk().copied());
    let edits = child(trak, *b"edts")
        .and_then(|edts| child(edts, *b"elst"))
        .map(edits)
        .unwrap_or_default();
    let media_start = edits.first().map_or(0, |edit| edit.media_time);
    // A recorder that streams does not know the length yet and writes 0: all that follows.
    let movie_length: u64 = edits
        .iter()
        .try_fold(0_u64, |sum, edit| sum.checked_add(edit.duration))
        .unwrap_or(0);
    let media_length = (movie_length > 0 && movie_timescale > 0).then(|| {
        let ticks = u128::from(movie_length) * u128::from(timescale) / u128::from(movie_timescale);
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
        // Edits are often in milliseconds. Where they end within one of the end of the samples,
        // the samples know better.
        let tick = u64::from(timescale.div_ceil(movie_timescale));
        match media_total.checked_sub(media_start) {
            Some(rest) if rest.abs_diff(ticks) <= tick => rest,
            _ => ticks,
        }
    });
    Some(SoundTrack {
        sample_entry,
        timescale,
        media_start,
        media_length,
        media_total: (media_total > 0).then_some(media_total),
    })
}

struct Edit {
    /// Ticks of the movie.
    duration: u64,
    /// Ticks of the track.
    media_time: u64,
}

/// The edits that play something; an empty edit only delays.
fn edits(elst: &[u8]) -> Vec<Edit> {
    /// Cutting software writes a handful; a recorder writes one or two.
    const EDITS_MAX: usize = 64;
    let wide = elst.first() == Some(&1);
    let size = if wide { 20 } else { 12 };
    let entries = elst.get(8..).unwrap_or_default().chunks_exact(size);
    entries
        .take(EDITS_MAX)
        .filter_map(|entry| {
            let (duration, media_time) = if wide {
                (be_u64(entry, 0)?, be_u64(entry, 8)? as i64)
            } else {
                (be_u32(entry, 0)?.into(), (be_u32(entry, 4)? as i32).into())
            };
            let media_time = u64::try_from(media_time).ok()?;
            Some(Edit {
                duration,
                media_time,
            })
        })
        .collect()
}

/// Ticks a second and ticks in all of a movie header or a media header.
fn time_header(header: &[u8]) -> (u32, u64) {
    if header.first() == Some(&1) {
        (
            be_u32(header, 20).unwrap_or(0),
            be_u64(header, 24).unwrap_or(0),
        )
    } else {
        (
            be_u32(header, 12).unwrap_or(0),
            be_u32(header, 16).unwrap_or(0).into(),
        )
    }
}

/// Apple's atom, 3GPP's box and `QuickTime`'s metadata key for a place. They stand where each
/// writer puts them, so the index is searched rather than walked.
fn says_where(moov: &[u8]) -> bool {
    const NAMES: [&[u8]; 3] = [b"\xa9xyz", b"loci", b"com.apple.quicktime.location"];
    NAMES
        .iter()
        .any(|name| moov.windows(name.len()).any(|window| window == *name))
}
