//! What a recording is, by its content, and the decoder that it needs.

use std::io::Seek;

use serde::{Deserialize, Serialize};
use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known as codecs;
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::common::Limit;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::{MetadataOptions, StandardTag};

use super::duration::Audible;
use super::error::AudioError;
use super::limits::{AudioLimits, AudioQuantity};
use super::source::Source;
use super::{aac, mp4, opus, webm};
use crate::format::Format;

/// How sound is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// AAC, low complexity.
    AacLc,
    /// Apple Lossless.
    Alac,
    /// MPEG audio layer II.
    Mp2,
    /// MPEG audio layer III.
    Mp3,
    /// Opus.
    Opus,
    /// Vorbis.
    Vorbis,
    /// FLAC.
    Flac,
    /// Linear PCM, or A-law or µ-law.
    Pcm,
    /// ADPCM.
    Adpcm,
}

impl Codec {
    /// Returns its name, the same as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::AacLc => "aac_lc",
            Self::Alac => "alac",
            Self::Mp2 => "mp2",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Vorbis => "vorbis",
            Self::Flac => "flac",
            Self::Pcm => "pcm",
            Self::Adpcm => "adpcm",
        }
    }

    fn of(id: AudioCodecId) -> Option<Self> {
        Some(match id {
            codecs::CODEC_ID_AAC => Self::AacLc,
            codecs::CODEC_ID_ALAC => Self::Alac,
            codecs::CODEC_ID_MP2 => Self::Mp2,
            codecs::CODEC_ID_MP3 => Self::Mp3,
            codecs::CODEC_ID_OPUS => Self::Opus,
            codecs::CODEC_ID_VORBIS => Self::Vorbis,
            codecs::CODEC_ID_FLAC => Self::Flac,
            codecs::CODEC_ID_ADPCM_MS
            | codecs::CODEC_ID_ADPCM_IMA_WAV
            | codecs::CODEC_ID_ADPCM_IMA_QT => Self::Adpcm,
            id if (codecs::CODEC_ID_PCM_S32LE..=codecs::CODEC_ID_PCM_MULAW).contains(&id) => {
                Self::Pcm
            }
            _ => return None,
        })
    }
}

/// What the author wrote into the file. Each is at most 256 characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Tags {
    /// Title.
    pub title: Option<String>,
    /// Artist.
    pub artist: Option<String>,
    /// Album.
    pub album: Option<String>,
    /// When it was recorded, as written.
    pub recorded: Option<String>,
    /// Software that encoded it.
    pub encoder: Option<String>,
}

/// A recording whose headers were read and found within limits.
pub(super) struct Opened<'a> {
    pub(super) reader: Box<dyn FormatReader + 'a>,
    pub(super) decoder: Decoder,
    pub(super) track_id: u32,
    pub(super) format: Format,
    pub(super) codec: Codec,
    pub(super) bits_per_sample: Option<u32>,
    /// Frames that a whole file must have, where its header can be believed.
    pub(super) promised_frames: Option<u64>,
    pub(super) audible: Audible,
    pub(super) location: bool,
}

pub(super) enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(opus::Decoder),
}

/// Reads the headers of a recording and readies its decoder. No sound is decoded.
pub(super) fn open<'a>(
    source: &'a mut Source<'_>,
    found: Format,
    limits: &AudioLimits,
) -> Result<Opened<'a>, AudioError> {
    if source.size() == 0 {
        return Err(AudioError::Empty);
    }
    AudioQuantity::Bytes.within(source.size(), limits.bytes_max)?;
    if !found.is_recording() {
        return Err(AudioError::NotARecording { found });
    }
    let unsupported = |codec: &'static str, why: String| AudioError::Unsupported {
        format: found,
        codec,
        why,
    };
    if found == Format::Amr {
        return Err(unsupported("amr", AMR.to_owned()));
    }
    let index = if found.is_iso_media() {
        mp4::index(source, limits.index_bytes_max).ok_or_else(|| AudioError::Corrupt {
            format: found,
            why: "it is cut short: its index is missing; upload it again".to_owned(),
        })?
    } else {
        mp4::Index::default()
    };
    AudioQuantity::IndexBytes.within(index.bytes, limits.index_bytes_max)?;
    let entry = index.sound.as_ref().and_then(|sound| sound.sample_entry);
    if entry.is_some_and(|entry| [*b"samr", *b"sawb", *b"sawp"].contains(&entry)) {
        return Err(unsupported("amr", AMR.to_owned()));
    }

    let padding_ns = padding_ns(source, found)?;
    let (reader, format) = reader(source, found)?;
    if reader.first_track(TrackType::Video).is_some() {
        return Err(AudioError::NotARecording { found: format });
    }
    let (track, parameters) = sound(reader.as_ref())
        .ok_or_else(|| unsupported("unknown", "it has no sound of a known kind".to_owned()))?;
    let codec = Codec::of(parameters.codec).ok_or_else(|| {
        unsupported(
            "unknown",
            format!("its codec {} is not known", parameters.codec),
        )
    })?;
    let head = parameters.extra_data.as_deref().and_then(opus::Head::parse);
    let decoder =
        decoder(codec, &parameters, head).map_err(|(codec, why)| unsupported(codec, why))?;

    let rate = match codec {
        Codec::Opus => Some(opus::RATE_HZ),
        _ => parameters.sample_rate,
    };
    if let (Some(rate), Some(channels)) = (rate, &parameters.channels) {
        limits.admit_shape(rate, channels.count())?;
    }
    let claimed = rate.and_then(|rate| claimed_frames(&track, rate));
    let claimed = claimed.filter(|frames| !streamed(format, &parameters, *frames));
    if let (Some(frames), Some(rate)) = (claimed, rate) {
        limits.admit_length(frames, rate)?;
    }
    let audible = match (&index.sound, head) {
        (Some(sound), head) => Audible::of_edits(sound, rate.unwrap_or(0), head),
        (None, Some(head)) => Audible::of_opus(head, padding_ns),
        (None, None) => Audible::ALL,
    };
    // The others are estimates, or count what a reader can count itself.
    let exact = matches!(
        format,
        Format::Wav | Format::Flac | Format::Aiff | Format::Caf
    );
    Ok(Opened {
        decoder,
        track_id: track.id,
        format,
        codec,
        bits_per_sample: parameters.bits_per_sample,
        promised_frames: claimed.filter(|_| exact || index.sound.is_some()),
        audible,
        location: index.location,
        reader,
    })
}

const AMR: &str = "it is AMR; record AAC-LC or Opus, or configure ffmpeg";

/// The demuxer, and the format by what the demuxer found: a tag may stand before anything.
fn reader<'a>(
    source: &'a mut Source<'_>,
    found: Format,
) -> Result<(Box<dyn FormatReader + 'a>, Format), AudioError> {
    /// Names, not lyrics.
    const TAG_BYTES_MAX: usize = 64 << 10;
    // A cover is not looked at; the library wants room to read past it.
    const VISUAL_BYTES_MAX: usize = 1 << 20;
    let metadata = MetadataOptions::default()
        .limit_tag_bytes(Limit::Maximum(TAG_BYTES_MAX))
        .limit_visual_bytes(Limit::Maximum(VISUAL_BYTES_MAX));
    // A failure is kept by the source.
    source.rewind().ok();
    let source = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let reader = symphonia::default::get_probe()
        .probe(&Hint::new(), source, FormatOptions::default(), metadata)
        .map_err(|error| AudioError::Corrupt {
            format: found,
            why: format!("its headers cannot be read: {}", plain(&error)),
        })?;
    let format = match reader.format_info().short_name {
        "mp1" | "mp2" | "mp3" => Format::Mp3,
        "aac" => Format::Aac,
        "flac" => Format::Flac,
        "wave" => Format::Wav,
        "aiff" => Format::Aiff,
        "caf" => Format::Caf,
        "ogg" => Format::Ogg,
        "matroska" => Format::WebM,
        _ => found,
    };
    Ok((reader, format))
}

/// How much of the end of a `WebM` is padding. Only of sound in Opus it is asked: it takes a walk over
/// all blocks.
fn padding_ns(source: &mut Source<'_>, found: Format) -> Result<u64, AudioError> {
    if found != Format::WebM {
        return Ok(0);
    }
    let (reader, format) = reader(source, found)?;
    let opus =
        sound(reader.as_ref()).is_some_and(|(_, sound)| sound.codec == codecs::CODEC_ID_OPUS);
    let video = reader.first_track(TrackType::Video).is_some();
    drop(reader);
    if format != Format::WebM || video || !opus {
        return Ok(0);
    }
    Ok(webm::discarded_at_the_end_ns(source))
}

/// What went wrong, without a library's private prefix for an end that came early.
pub(super) fn plain(error: &Error) -> String {
    match error {
        Error::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it is cut short".to_owned()
        }
        other => other.to_string(),
    }
}

fn sound(reader: &dyn FormatReader) -> Option<(Track, AudioCodecParameters)> {
    let track = reader.default_track(TrackType::Audio)?;
    match &track.codec_params {
        Some(CodecParameters::Audio(parameters)) => Some((track.clone(), parameters.clone())),
        _ => None,
    }
}

fn decoder(
    codec: Codec,
    parameters: &AudioCodecParameters,
    head: Option<opus::Head>,
) -> Result<Decoder, (&'static str, String)> {
    match codec {
        Codec::Opus => {
            let head = head.ok_or_else(|| (codec.name(), "its Opus header is amiss".to_owned()))?;
            let decoder = opus::Decoder::new(head);
            return decoder
                .map(Decoder::Opus)
                .map_err(|why| (codec.name(), why));
        }
        Codec::AacLc => {
            let config = parameters.extra_data.as_deref().unwrap_or_default();
            if let Some(unsupported) = aac::unsupported(config) {
                return Err(unsupported);
            }
        }
        _ => {}
    }
    symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map(Decoder::Symphonia)
        .map_err(|error| (codec.name(), error.to_string()))
}

fn claimed_frames(track: &Track, rate: u32) -> Option<u64> {
    let in_time = track
        .duration
        .zip(track.time_base)
        .and_then(|(ticks, base)| {
            let frames = u128::from(ticks.get()) * u128::from(base.numer.get()) * u128::from(rate)
                / u128::from(base.denom.get());
            u64::try_from(frames).ok()
        });
    in_time.or(track.num_frames).filter(|frames| *frames > 0)
}

/// A WAVE made on a pipe claims the most that fits, for want of knowing better.
fn streamed(format: Format, parameters: &AudioCodecParameters, frames: u64) -> bool {
    const NEAR_4_GIB: u64 = (1 << 32) - (1 << 16);
    let bits = parameters
        .bits_per_coded_sample
        .or(parameters.bits_per_sample);
    let channels = parameters.channels.as_ref().map_or(1, Channels::count);
    let frame_bytes = u64::from(bits.unwrap_or(16) / 8) * channels as u64;
    format == Format::Wav && frames.saturating_mul(frame_bytes) >= NEAR_4_GIB
}

/// Collects the tags that were met on the way.
pub(super) fn tags(reader: &mut dyn FormatReader) -> Tags {
    let mut tags = Tags::default();
    let mut log = reader.metadata();
    while let Some(revision) = log.current() {
        let per_track = revision.per_track.iter().map(|track| &track.metadata);
        let containers = std::iter::once(&revision.media).chain(per_track);
        for tag in containers.flat_map(|container| &container.tags) {
            let (slot, value) = match &tag.std {
                Some(StandardTag::TrackTitle(value)) => (&mut tags.title, value),
                Some(StandardTag::Artist(value)) => (&mut tags.artist, value),
                Some(StandardTag::Album(value)) => (&mut tags.album, value),
                Some(StandardTag::RecordingDate(value)) => (&mut tags.recorded, value),
                Some(StandardTag::Encoder(value)) => (&mut tags.encoder, value),
                _ => continue,
            };
            slot.get_or_insert_with(|| short(value));
        }
        if log.pop().is_none() {
            break;
        }
    }
    tags
}

fn short(value: &str) -> String {
    const CHARACTERS_MAX: usize = 256;
    value
        .chars()
        .filter(|character| !character.is_control())
        .take(CHARACTERS_MAX)
        .collect()
}
