//! Why a picture could not be read or rendered.

use crate::format::Format;
use crate::limits::Quantity;
use crate::preset::PresetError;

/// Why the headers of a file tell nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// There is not one byte.
    #[error("the file is empty")]
    Empty,
    /// It is something else.
    #[error("not a picture: the content is {}", found.content_type())]
    NotAPicture {
        /// What it is.
        found: Format,
    },
    /// It is a picture that this engine does not decode.
    #[error("{format} is not supported: {why}")]
    Unsupported {
        /// What it is.
        format: Format,
        /// What is missing, and what to do instead.
        why: String,
    },
    /// It says it is a picture, and contradicts itself.
    #[error("the {format} is corrupt: {why}")]
    Corrupt {
        /// What it claims to be.
        format: Format,
        /// The first thing found wrong.
        why: String,
    },
}

/// Why no thumbnail was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is not one byte.
    #[error("the file is empty")]
    Empty,
    /// It is something else.
    #[error("not a picture: the content is {}", found.content_type())]
    NotAPicture {
        /// What it is.
        found: Format,
    },
    /// It is a picture that this engine does not decode.
    #[error("{format} is not supported: {why}")]
    Unsupported {
        /// What it is.
        format: Format,
        /// What is missing, and what to do instead.
        why: String,
    },
    /// It is truncated, damaged, or contradicts itself.
    #[error("the {format} is corrupt: {why}")]
    Corrupt {
        /// What it claims to be.
        format: Format,
        /// The first thing found wrong.
        why: String,
    },
    /// It would cost more than it may.
    #[error("too large: {got} {what}, where at most {limit} are allowed")]
    TooLarge {
        /// What there is too much of.
        what: Quantity,
        /// How much the file has or claims; at least this, where counting stopped early.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// The caller's deadline passed, or it no longer wants the result.
    #[error("cancelled before it was done")]
    Cancelled,
    /// A preset asks for what cannot be made: the configuration is wrong, not the picture.
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// An encoder refused pixels that it should have taken.
    #[error("cannot encode the thumbnail: {why}")]
    Encode {
        /// What the encoder said.
        why: String,
    },
}

impl RenderError {
    /// Tells whether the same bytes, limits and presets must fail again, so that trying again is
    /// waste. Only a cancelled render may end better next time.
    pub fn deterministic(&self) -> bool {
        !matches!(self, Self::Cancelled)
    }

    /// Returns the stable code of the reason, as dead letters and metrics carry it.
    pub fn reason_code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAPicture { .. } => "not_a_picture",
            Self::Unsupported { .. } => "unsupported_format",
            Self::Corrupt { .. } => "corrupt",
            Self::TooLarge { what, .. } => what.reason_code(),
            Self::Cancelled => "cancelled",
            Self::Preset(_) => "bad_preset",
            Self::Encode { .. } => "encode_failed",
        }
    }
}

impl From<ProbeError> for RenderError {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Empty => Self::Empty,
            ProbeError::NotAPicture { found } => Self::NotAPicture { found },
            ProbeError::Unsupported { format, why } => Self::Unsupported { format, why },
            ProbeError::Corrupt { format, why } => Self::Corrupt { format, why },
        }
    }
}
