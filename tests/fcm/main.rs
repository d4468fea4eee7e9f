//! Pushes by Firebase Cloud Messaging, against a Firebase of our own that answers as told.

mod answers;
#[path = "../http/bearer.rs"]
mod bearer;
mod connections;
mod fake;
mod keys;
mod message;
mod table;
mod token_endpoint;
mod tokens;
mod whole_way;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use iyagi::fcm::{FcmGateway, FcmSettings, ServiceAccount};
use iyagi_actors::ports::{Clock, Payload};
use iyagi_messages::device::Platform;
use iyagi_messages::ids::{PushId, Seq, Timestamp};
use serde_json::{Value, json};

use self::fake::FakeFcm;
use self::token_endpoint::TokenEndpoint;

/// Longer than a call to a loaded server on loopback takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Sun, 06 Nov 1994 08:49:37 GMT.
const BEGINNING: Timestamp = Timestamp(784_111_777_000);

/// A clock that stands until it is moved.
struct Standing(AtomicI64);

impl Standing {
    fn move_on(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).expect("not for ever");
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A gateway, and all that it speaks to.
struct Stage {
    fcm: Arc<FakeFcm>,
    tokens: TokenEndpoint,
    clock: Arc<Standing>,
    gateway: FcmGateway,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut FcmSettings)) -> Self {
        let fcm = Arc::new(FakeFcm::start());
        let tokens = TokenEndpoint::start(&fcm);
        let clock = Arc::new(Standing(AtomicI64::new(BEGINNING.0)));
        let mut settings = FcmSettings {
            base_url: fcm.url(),
            project_id: None,
            timeout: PATIENCE,
            max_in_flight: 16,
            sends_per_second: 8_000,
        };
        change(&mut settings);
        let gateway = gateway(&tokens, &settings, &clock);
        Self {
            fcm,
            tokens,
            clock,
            gateway,
        }
    }
}

fn gateway(tokens: &TokenEndpoint, settings: &FcmSettings, clock: &Arc<Standing>) -> FcmGateway {
    let folder = tempfile::tempdir().expect("a folder");
    let account = ServiceAccount::read(&tokens.key_file(folder.path())).expect("a key");
    FcmGateway::new(account, settings, Arc::clone(clock) as _).expect("it opens")
}

fn payload(number: u64, token: &str) -> Payload {
    Payload {
        push_id: PushId::derive(number, &"e".into(), &"follow".into(), &"p".into(), None),
        collapse_id: PushId::derive(number, &"e".into(), &"follow".into(), &"p".into(), None),
        device: token.into(),
        platform: Platform::Fcm,
        registration: Seq(1),
        title: "민지님이 팔로우했어요".to_owned(),
        body: "\"안녕\" 👋\nA & B <c>".to_owned(),
        link: "iyagi://people/person-민지?from=push&x=1".to_owned(),
        category: "social".to_owned(),
        device_texts: None,
        badge: None,
        presentation: iyagi_messages::template::Presentation::default(),
        ttl_seconds: 3_600,
    }
}

/// An error as Google's front door words it.
fn google(status: u16, word: &str, message: &str, details: &[Value]) -> String {
    let error = json!({"code": status, "message": message, "status": word, "details": details});
    format!("{:#}", json!({ "error": error }))
}

/// Firebase's own word.
fn fcm_error(code: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
}
