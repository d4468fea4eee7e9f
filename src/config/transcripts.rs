//! What is said in recordings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Config;
use super::semantics::Fault;

/// What is said in recordings, by Amazon Transcribe. There is nothing for one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TranscriptsConfig {
    /// Whether recordings are transcribed. It needs `aws.enabled`, and is paid by the second.
    pub enabled: bool,
    /// What may be spoken, such as `ko-KR`. Of several the service finds out which it is; with none, of all that it knows.
    pub languages: Vec<String>,
}

impl Default for TranscriptsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            languages: vec!["ko-KR".to_owned(), "en-US".to_owned()],
        }
    }
}

pub(super) fn check(config: &Config, faults: &mut Vec<Fault>) {
    let transcripts = &config.media.transcripts;
    if transcripts.enabled && !config.aws.enabled {
        let message =
            "`media.transcripts.enabled` needs `aws.enabled`: Amazon Transcribe reads the bucket";
        let fault = Fault::new("media.transcripts.enabled", message);
        faults.push(fault.help("set it to false on one machine"));
    }
    for (at, language) in transcripts.languages.iter().enumerate() {
        let key = "media.transcripts.languages";
        if !is_language(language) {
            let message =
                format!("`{key}` has \"{language}\", which is no language such as \"ko-KR\"");
            faults.push(Fault::new(key, message));
        }
        if transcripts.languages[..at].contains(language) {
            let message = format!("`{key}` names \"{language}\" twice");
            faults.push(Fault::new(key, message));
        }
    }
}

/// Two or three small letters, a dash, two capitals. They become part of names, so nothing else may stand in them.
fn is_language(text: &str) -> bool {
    text.split_once('-').is_some_and(|(language, region)| {
        (2..=3).contains(&language.len())
            && language.bytes().all(|byte| byte.is_ascii_lowercase())
            && region.len() == 2
            && region.bytes().all(|byte| byte.is_ascii_uppercase())
    })
}
