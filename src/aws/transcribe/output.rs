//! The file that a job of Amazon Transcribe writes, as far as it is read: every word comes with times and guesses, which
//! are not.

use serde::Deserialize;
use thiserror::Error;

/// Why a job's output cannot be used.
#[derive(Debug, Error)]
pub(super) enum OutputError {
    /// It is not what the service writes.
    #[error("the output is not that of a transcription: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It is another job's.
    #[error("the output is that of job {0}")]
    OfAnother(String),
    /// It says that it is not done.
    #[error("the output says that its job is {0}")]
    NotDone(String),
    /// Nothing was written down, not even that nothing was said.
    #[error("the output has no transcript")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    job_name: String,
    status: String,
    results: Results,
}

#[derive(Deserialize)]
struct Results {
    transcripts: Vec<Spoken>,
}

#[derive(Deserialize)]
struct Spoken {
    transcript: String,
}

/// What was said, by the output of this job.
pub(super) fn text(bytes: &[u8], job: &str) -> Result<String, OutputError> {
    let output: Output = serde_json::from_slice(bytes)?;
    if output.job_name != job {
        return Err(OutputError::OfAnother(output.job_name));
    }
    if output.status != "COMPLETED" {
        return Err(OutputError::NotDone(output.status));
    }
    let mut transcripts = output.results.transcripts.into_iter();
    let spoken = transcripts.next().ok_or(OutputError::Empty)?;
    Ok(spoken.transcript)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"jobName": "iyagi-abc", "accountId": "1", "status": "COMPLETED", "results":
        {"language_code": "ko-KR", "transcripts": [{"transcript": "오늘 밤."}], "items": [{"type": "pronunciation",
        "start_time": "0.0", "alternatives": [{"confidence": "0.9", "content": "오늘"}]}]}}"#;

    #[test]
    fn the_text_is_read_and_every_word_by_itself_is_not() {
        assert_eq!(
            text(WHOLE.as_bytes(), "iyagi-abc").expect("whole"),
            "오늘 밤."
        );
    }

    #[test]
    fn what_is_another_jobs_not_done_or_no_output_is_refused() {
        let said = |bytes: &str, job| {
            text(bytes.as_bytes(), job)
                .expect_err("refused")
                .to_string()
        };
        assert!(said(WHOLE, "iyagi-def").contains("job iyagi-abc"));
        let running = WHOLE.replace("COMPLETED", "IN_PROGRESS");
        assert!(said(&running, "iyagi-abc").contains("IN_PROGRESS"));
        let empty = WHOLE.replace(r#"{"transcript": "오늘 밤."}"#, "");
        assert!(said(&empty, "iyagi-abc").contains("no transcript"));
        for cut in 0..WHOLE.len() - 1 {
            assert!(
                text(&WHOLE.as_bytes()[..cut], "iyagi-abc").is_err(),
                "{cut}"
            );
        }
    }
}
