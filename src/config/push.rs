//! How pushes are sent.

use std::path::PathBuf;

use iyagi_actors::platforms::breaker::{BreakerPolicy, LOOKED_BACK_AT};
use iyagi_actors::projections::{CatchUpPolicy, DyingTokensPolicy, RatePolicy};
use iyagi_actors::push_sender::decision::RetryPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::semantics::Fault;

/// How pushes are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PushConfig {
    /// Pushes that may be with the gateway at once; a crash repeats at most as many.
    pub max_in_flight: usize,
    /// Pushes that the senders take on; the rest waits in the journal.
    pub backlog: usize,
    /// How long one call to the gateway may take, in milliseconds.
    pub gateway_timeout_ms: u64,
    /// File of notification templates; the built-in ones if absent.
    pub templates: Option<PathBuf>,
    /// Whether bursts are gathered and repeats left out, as the templates say; else every push goes by itself.
    pub moderate: bool,
    /// How many notifications a person may have. More of them are kept from the phone.
    pub rate: RatePolicy,
    /// When and how often a push is tried again.
    pub retry: RetryPolicy,
    /// When a push service counts as down. Its pushes wait, while others go on.
    pub breaker: BreakerPolicy,
    /// When so many tokens die that it is not the tokens.
    pub dying_tokens: DyingTokensPolicy,
    /// What is done after an outage, when the changes of hours come at once.
    pub catch_up: CatchUpPolicy,
    /// Firebase Cloud Messaging without anything in between, for Android phones; if absent they get their pushes as all
    /// others do.
    pub fcm: Option<DirectFcmConfig>,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 16,
            backlog: 10_000,
            gateway_timeout_ms: 10_000,
            templates: None,
            moderate: true,
            rate: RatePolicy::default(),
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            dying_tokens: DyingTokensPolicy::default(),
            catch_up: CatchUpPolicy::default(),
            fcm: None,
        }
    }
}

/// Firebase Cloud Messaging without anything in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DirectFcmConfig {
    /// File of the service account's JSON key.
    pub credential_file: Option<PathBuf>,
    /// The app's Firebase project, such as `iyagi-1a2b3`; that of the key if absent.
    pub project_id: Option<String>,
    /// Firebase's address, without a path.
    pub base_url: String,
    /// Pushes that may be sent a second, over all hosts: 80 % of the project's quota.
    pub sends_per_second: u32,
}

impl Default for DirectFcmConfig {
    fn default() -> Self {
        Self {
            credential_file: None,
            project_id: None,
            base_url: "https://fcm.googleapis.com".to_owned(),
            sends_per_second: 8_000,
        }
    }
}

/// The shortest time that Firebase asks to be given for an answer, in milliseconds.
const FCM_TIMEOUT_MS_MIN: u64 = 10_000;

/// What is wrong with the values themselves.
pub(super) fn check(push: &PushConfig, faults: &mut Vec<Fault>) {
    check_protections(push, faults);
    let Some(fcm) = &push.fcm else { return };
    if fcm.credential_file.is_none() {
        let key = "push.fcm.credential_file";
        let message = format!("`{key}` is missing: pushes are signed for with the key in it");
        let fault = Fault::new(key, message)
            .or("push.fcm.base_url")
            .or("push.fcm.project_id");
        faults.push(
            fault.help(
                "make a key in the Firebase console, under project settings, service accounts",
            ),
        );
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    if let Some(project) = &fcm.project_id
        && (project.is_empty() || !project.bytes().all(plain))
    {
        let message = format!("\"{project}\" cannot be the id of a project");
        let help = "it stands in the Firebase console, under project settings; it is not the project's name";
        faults.push(Fault::new("push.fcm.project_id", message).help(help));
    }
    let base_url = &fcm.base_url;
    if !base_url.starts_with("https://") && !base_url.starts_with("http://") {
        let message = format!("`push.fcm.base_url` is \"{base_url}\", which is no address");
        let help = format!("did you mean \"https://{base_url}\"?");
        faults.push(Fault::new("push.fcm.base_url", message).help(help));
    }
    if fcm.sends_per_second == 0 {
        let message = "`push.fcm.sends_per_second` is 0, so nothing would ever be sent".to_owned();
        let help = "take 80 % of the project's quota, which is 600,000 a minute unless Firebase says otherwise";
        faults.push(Fault::new("push.fcm.sends_per_second", message).help(help));
    }
    let timeout = push.gateway_timeout_ms;
    if (1..FCM_TIMEOUT_MS_MIN).contains(&timeout) {
        let message = format!(
            "`push.gateway_timeout_ms` is {timeout}, and Firebase asks to be given {FCM_TIMEOUT_MS_MIN} for an answer"
        );
        faults.push(
            Fault::new("push.gateway_timeout_ms", message)
                .help("a push that is not waited for may be on the phone all the same"),
        );
    }
}

fn check_protections(push: &PushConfig, faults: &mut Vec<Fault>) {
    let failures = push.breaker.failures;
    if !(1..=LOOKED_BACK_AT).contains(&failures) {
        let message = format!(
            "`push.breaker.failures` is {failures}, and the last {LOOKED_BACK_AT} answers are looked at"
        );
        let help = format!("take 1 to {LOOKED_BACK_AT}");
        faults.push(Fault::new("push.breaker.failures", message).help(help));
    }
    let percent = push.dying_tokens.percent_max;
    if percent > 100 {
        let message = format!("`push.dying_tokens.percent_max` is {percent}");
        faults.push(
            Fault::new("push.dying_tokens.percent_max", message)
                .help("take 0 to 100; with 100 dead tokens are never too many"),
        );
    }
}
