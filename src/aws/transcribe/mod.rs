//! What is said in recordings, by Amazon Transcribe.
//!
//! A job's name is that of the bytes and the languages, so that a job that is begun twice is the same job. It reads the
//! sound in the bucket and writes its output there, both with the rights of the daemon; under the prefix of derived files,
//! which raise no notifications.

mod output;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_transcribe::types::{LanguageCode, Media, TranscriptionJob, TranscriptionJobStatus};
use iyagi_actors::ports::{
    ObjectStore, Progress, StoreFault, Transcriber, TranscriberFault, TranscriptJob,
};

use super::fault::{CallFault, FaultKind, code};

/// Bytes of an output that are read: every word comes with its times, two to three hundred bytes each.
const OUTPUT_BYTES_MAX: u64 = 32 << 20;
/// What the service says of a job whose name is taken: it was begun before.
const BEGUN_BEFORE: &str = "ConflictException";
/// What it says while there are more jobs than it takes.
const TOO_MANY: &str = "LimitExceededException";

/// Transcribes by Amazon Transcribe.
pub struct AmazonTranscribe {
    client: aws_sdk_transcribe::Client,
    store: Arc<dyn ObjectStore>,
    bucket: String,
    name_prefix: String,
    languages: Vec<String>,
}

impl AmazonTranscribe {
    /// For recordings in a bucket, which is what `store` reads. One language is taken as it is; of several, and of none,
    /// the service finds out which is spoken.
    pub fn new(
        client: aws_sdk_transcribe::Client,
        store: Arc<dyn ObjectStore>,
        bucket: &str,
        name_prefix: &str,
        languages: &[String],
    ) -> Self {
        Self {
            client,
            store,
            bucket: bucket.to_owned(),
            name_prefix: name_prefix.to_owned(),
            languages: languages.to_vec(),
        }
    }

    fn name(&self, job: &TranscriptJob) -> String {
        format!("{}-{}", self.name_prefix, job.name)
    }

    /// The outcome of a job that is done, which is checked to be that job's.
    async fn completed(
        &self,
        job: &TranscriptJob,
        told: &TranscriptionJob,
    ) -> Result<Progress, TranscriberFault> {
        let (bytes, _) = match self.store.get(&job.output, OUTPUT_BYTES_MAX).await {
            Ok(read) => read,
            Err(fault @ StoreFault::Unavailable(_)) => {
                return Err(TranscriberFault::Unavailable(fault.to_string()));
            }
            Err(fault) => return Err(TranscriberFault::Refused(fault.to_string())),
        };
        let text = output::text(&bytes, &self.name(job));
        let text = text.map_err(|error| TranscriberFault::Refused(error.to_string()))?;
        let language = told.language_code().map(|code| code.as_str().to_owned());
        Ok(Progress::Completed { text, language })
    }
}

#[async_trait]
impl Transcriber for AmazonTranscribe {
    fn recipe(&self) -> String {
        if self.languages.is_empty() {
            return "any".to_owned();
        }
        self.languages.join("_")
    }

    async fn start(&self, job: &TranscriptJob) -> Result<(), TranscriberFault> {
        let uri = format!("s3://{}/{}", self.bucket, job.recording);
        let call = self
            .client
            .start_transcription_job()
            .transcription_job_name(self.name(job))
            .media(Media::builder().media_file_uri(uri).build())
            .output_bucket_name(&self.bucket)
            .output_key(job.output.as_str());
        let codes = self
            .languages
            .iter()
            .map(|code| LanguageCode::from(&**code));
        let call = match &*self.languages {
            [one] => call.language_code(LanguageCode::from(&**one)),
            [] => call.identify_language(true),
            _ => call
                .identify_language(true)
                .set_language_options(Some(codes.collect())),
        };
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(BEGUN_BEFORE) => Ok(()),
            Err(error) => {
                let busy = code(&error) == Some(TOO_MANY);
                let fault = CallFault::of(
                    format!("transcript {}", job.name),
                    "transcribe:StartTranscriptionJob",
                    &error,
                );
                Err(refused_unless(busy, fault))
            }
        }
    }

    async fn progress(&self, job: &TranscriptJob) -> Result<Progress, TranscriberFault> {
        let call = self.client.get_transcription_job();
        let answer = call.transcription_job_name(self.name(job)).send().await;
        let answer = answer.map_err(|error| {
            let fault = CallFault::of(
                format!("transcript {}", job.name),
                "transcribe:GetTranscriptionJob",
                &error,
            );
            refused_unless(false, fault)
        })?;
        let Some(told) = answer.transcription_job() else {
            return Err(TranscriberFault::Refused("it tells of no job".to_owned()));
        };
        match told.transcription_job_status() {
            Some(TranscriptionJobStatus::Completed) => self.completed(job, told).await,
            Some(TranscriptionJobStatus::Failed) => {
                let why = told.failure_reason().unwrap_or("it does not say why");
                Ok(Progress::Failed(why.to_owned()))
            }
            _ => Ok(Progress::Running),
        }
    }
}

/// What the service refuses it refuses for ever; everything else may be otherwise a little later.
fn refused_unless(busy: bool, fault: CallFault) -> TranscriberFault {
    if fault.kind == FaultKind::Refused && !busy {
        TranscriberFault::Refused(fault.to_string())
    } else {
        TranscriberFault::Unavailable(fault.to_string())
    }
}
