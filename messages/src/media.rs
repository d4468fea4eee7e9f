//! What is known about an uploaded file.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::Timestamp;
use crate::object::{ObjectKey, Sequencer};

/// One file's entry in the metadata table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MetadataItem {
    /// The object's key.
    pub key: ObjectKey,
    /// Who uploaded it, as its key says (`profile/<person>/…`), if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The write that this describes.
    pub sequencer: Sequencer,
    /// The stored version, in versioned buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// What the content is, whatever the name says.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, hexadecimal; absent for files too large to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Pixels across and down, upright, for pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Dimensions>,
    /// True for pictures that move.
    #[serde(default)]
    pub animated: bool,
    /// Why no thumbnail can be made, for what claims to be a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defect: Option<String>,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The derived pictures, once they are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnails: Option<Thumbnails>,
    /// What a recording is and how it sounds, once it is analysed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio>,
}

impl MetadataItem {
    /// Takes out what was derived from the object. No object has both.
    pub fn take_derived(&mut self) -> Option<Derived> {
        let audio = self.audio.take().map(Derived::from);
        self.thumbnails.take().map(Derived::Thumbnails).or(audio)
    }

    /// The item with what was derived from its object.
    #[must_use]
    pub fn with_derived(mut self, derived: Option<Derived>) -> Self {
        (self.thumbnails, self.audio) = match derived {
            Some(Derived::Thumbnails(thumbnails)) => (Some(thumbnails), None),
            Some(Derived::Audio(audio)) => (None, Some(*audio)),
            None => (None, None),
        };
        self
    }
}

/// What is derived from one write of an object: pictures get one thing, recordings the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Derived {
    /// Of a picture.
    Thumbnails(Thumbnails),
    /// Of a recording.
    Audio(Box<Audio>),
}

impl Derived {
    /// The write that it was derived from.
    pub fn sequencer(&self) -> &Sequencer {
        match self {
            Self::Thumbnails(thumbnails) => &thumbnails.sequencer,
            Self::Audio(audio) => &audio.sequencer,
        }
    }

    /// The thumbnails, if it is these.
    pub fn into_thumbnails(self) -> Option<Thumbnails> {
        match self {
            Self::Thumbnails(thumbnails) => Some(thumbnails),
            Self::Audio(_) => None,
        }
    }
}

impl From<Thumbnails> for Derived {
    fn from(thumbnails: Thumbnails) -> Self {
        Self::Thumbnails(thumbnails)
    }
}

impl From<Audio> for Derived {
    fn from(audio: Audio) -> Self {
        Self::Audio(Box::new(audio))
    }
}

/// Pixels across and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dimensions {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The pictures derived from one write of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Thumbnails {
    /// The write that they were made from.
    pub sequencer: Sequencer,
    /// Mean colour, `#rrggbb`.
    pub dominant_colour: String,
    /// A `ThumbHash` in Base64, to be shown until a thumbnail is there; absent where an older build made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// How long they took to compute, all together, when the first of them was made; absent where an older build made them.
    /// It is an operator's business and no client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub rendered_in_ms: Option<u64>,
    /// One per preset and format.
    pub variants: Vec<Variant>,
}

/// One derived picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Variant {
    /// The preset's name.
    pub preset: String,
    /// `image/jpeg` or `image/webp`.
    pub content_type: String,
    /// Where it is stored.
    pub key: ObjectKey,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bytes.
    pub size: u64,
}

/// What one write of a recording is and how it sounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audio {
    /// The write that was analysed.
    pub sequencer: Sequencer,
    /// Length of what is heard, without what encoders put before and after it.
    pub duration_ms: u64,
    /// How it is encoded, such as `aac_lc` or `opus`.
    pub codec: String,
    /// Samples a second and channel.
    pub sample_rate_hz: u32,
    /// Channels.
    pub channels: u8,
    /// Bits a second of its sound, on average.
    pub bit_rate: u64,
    /// Its title, as the file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether the file says where it was made. What is derived from it never does.
    pub location: bool,
    /// Integrated loudness after EBU R 128, in LUFS; absent for silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrated_lufs: Option<Hundredths>,
    /// Loudness range in LU.
    pub range_lu: Hundredths,
    /// True peak in dBTP; absent for digital silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_peak_dbtp: Option<Hundredths>,
    /// Samples of 100 that are at full scale.
    pub clipped_percent: Hundredths,
    /// Whether it is so quiet that something went wrong.
    pub near_silent: bool,
    /// Silence before the first sound.
    pub silent_lead_ms: u64,
    /// Silence behind the last sound.
    pub silent_trail_ms: u64,
    /// What to play it with, in dB, so that no recording is louder than the next: to -16 LUFS, true peak at most -1.5 dBTP.
    pub gain_db: Hundredths,
    /// The loudest sample in each hundredth of it, 255 for full scale: 100 bytes in Base64.
    pub waveform: String,
    /// 32 bits in hexadecimal that are nearly the same for the same sound; absent for less than about three seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Another recording of the same bytes or the same sound that was there when this one was analysed: a hint. Absent
    /// where there was none, or for who may not see it; listings leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<Duplicate>,
    /// The derived files.
    pub files: Vec<AudioFile>,
    /// Copies for delivery, in the order in which they are configured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renditions: Vec<Rendition>,
    /// What is said in it; absent where nothing transcribes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Transcript>,
}

/// A recording that another one is the same as, or nearly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Duplicate {
    /// The other recording.
    pub key: ObjectKey,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// In what they are the same.
    #[serde(flatten)]
    pub kind: DuplicateKind,
}

/// In what two recordings are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DuplicateKind {
    /// In every byte.
    SameBytes,
    /// In how they sound.
    NearDuplicate {
        /// The share of the shorter one that sounds the same in the other, 0 to 1.
        similarity: Hundredths,
        /// Where this one begins in the other, to about an eighth of a second; negative if it begins earlier.
        offset_seconds: Hundredths,
    },
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            DuplicateKind::SameBytes => write!(f, "the same bytes as {}", self.key),
            DuplicateKind::NearDuplicate { similarity, .. } => {
                let percent = f64::from(similarity) * 100.0;
                write!(f, "{percent:.0} % the same sound as {}", self.key)
            }
        }
    }
}

/// Values by which a recording is found among all: those of the same sound share some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sketch(pub Vec<u32>);

impl Sketch {
    /// Whether nothing can be found by it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is said in a recording, by a job of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transcript {
    /// The job's name.
    pub job: String,
    /// How far it is.
    #[serde(flatten)]
    pub state: TranscriptState,
}

/// How far a transcript is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TranscriptState {
    /// The job was begun.
    Requested,
    /// It is done.
    Completed {
        /// What was said, or its beginning.
        text: String,
        /// Whether there is more in the job's output.
        #[serde(default)]
        truncated: bool,
        /// In which language, such as `ko-KR`, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
    },
    /// There will be none.
    Failed {
        /// Why, as a stable word.
        reason: String,
        /// Why, in words.
        detail: String,
    },
}

/// A copy of a recording for delivery: at a fixed bit rate, as loud as all others, without its tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rendition {
    /// `opus-32k` or `aac-64k`.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Where it stands.
    #[serde(flatten)]
    pub state: RenditionState,
}

/// Where the making of a rendition stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RenditionState {
    /// It is to be made.
    Pending,
    /// It is stored.
    Made(RenditionFile),
    /// It cannot be made.
    Failed {
        /// Why, as a stable word.
        reason: String,
        /// Why, in words.
        detail: String,
    },
}

/// A rendition that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenditionFile {
    /// Where it is stored.
    pub key: ObjectKey,
    /// Bytes.
    pub size: u64,
    /// Its length.
    pub duration_ms: u64,
    /// Bits a second of its sound, on average.
    pub bit_rate: u64,
    /// Integrated loudness in LUFS; absent for silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrated_lufs: Option<Hundredths>,
    /// True peak in dBTP, with what the encoder added; absent for digital silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_peak_dbtp: Option<Hundredths>,
}

/// One file derived from a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AudioFile {
    /// `waveform.json` and `waveform.dat` as audiowaveform writes them, `waveform.svg`, or `fingerprint.json`.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Where it is stored.
    pub key: ObjectKey,
    /// Bytes.
    pub size: u64,
}

/// A level or a share with two decimals, so that equal ones are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(from = "f64", into = "f64")]
#[schema(value_type = f64)]
pub struct Hundredths(i32);

impl From<f64> for Hundredths {
    fn from(value: f64) -> Self {
        // A cast takes the nearest that there is, and 0 for what is no number.
        Self((value * 100.0).round() as i32)
    }
}

impl From<Hundredths> for f64 {
    fn from(value: Hundredths) -> Self {
        Self::from(value.0) / 100.0
    }
}

/// That an object uses files which are derived from its bytes. Objects of the same bytes share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// The object.
    pub key: ObjectKey,
    /// Which write of it.
    pub sequencer: Sequencer,
    /// The derived files.
    pub files: Vec<ObjectKey>,
}

/// The prefix under which everything that iyagi derives is stored; uploads there are refused and notifications ignored.
pub const DERIVED_PREFIX: &str = "derived/";

/// Who an object's turn is counted for, so that one who uploads much does not hold up others: its owner, or else the post
/// or folder that it belongs to.
pub fn turn_of_key(key: &ObjectKey) -> &str {
    let key = key.as_str();
    let behind_second = key.match_indices('/').nth(1);
    behind_second.map_or(key, |(at, _)| &key[..at])
}

/// Whose file a key is: the segment after `profile/` or `uploads/`.
pub fn owner_of_key(key: &ObjectKey) -> Option<String> {
    let mut segments = key.as_str().split('/');
    let prefix = segments.next()?;
    let owner = segments.next()?;
    segments.next()?;
    matches!(prefix, "profile" | "uploads").then(|| owner.to_owned())
}
