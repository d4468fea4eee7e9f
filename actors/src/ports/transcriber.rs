//! A service that writes down what is said in recordings.

use async_trait::async_trait;
use iyagi_messages::object::ObjectKey;
use thiserror::Error;

/// Transcribes recordings, each in a job that goes on by itself.
#[async_trait]
pub trait Transcriber: Send + Sync + 'static {
    /// What, beside a recording's bytes, decides on its transcript, as a part of a file's name.
    fn recipe(&self) -> String;

    /// Begins a job, unless one of the same name was begun before.
    async fn start(&self, job: &TranscriptJob) -> Result<(), TranscriberFault>;

    /// How far a job is that was begun.
    async fn progress(&self, job: &TranscriptJob) -> Result<Progress, TranscriberFault>;
}

/// What is to be transcribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptJob {
    /// Its name: the same for the same bytes and recipe.
    pub name: String,
    /// Where the sound is read.
    pub recording: ObjectKey,
    /// Where the service puts what it found out, in its own format.
    pub output: ObjectKey,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Running,
    /// It is done.
    Completed {
        /// What was said.
        text: String,
        /// In which language, such as `ko-KR`, if that is known.
        language: Option<String>,
    },
    /// It failed, for the reason that the service gives.
    Failed(String),
}

/// Why a service did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TranscriberFault {
    /// It never will.
    #[error("the transcriber refused it: {0}")]
    Refused(String),
    /// It cannot at present.
    #[error("the transcriber cannot be used: {0}")]
    Unavailable(String),
}
