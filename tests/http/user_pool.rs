//! The keys of a user pool: how often they are fetched, and what holds while they cannot be.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iyagi::auth::local_issuer::LocalIssuer;
use iyagi::auth::{Refused, SignIn};
use iyagi::config::{AuthConfig, AuthMode, CognitoConfig};
use iyagi_actors::ports::Clock;
use iyagi_messages::ids::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use tempfile::TempDir;

/// A clock that stands until it is moved.
#[derive(Default)]
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp(1_767_225_600_000 + self.0.load(Ordering::SeqCst))
    }
}

/// Where the keys of a user pool are.
struct KeyServer {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    /// It lives as long as the test process.
    fn start(document: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/keys", listener.local_addr().expect("bound"));
        let answer = Arc::new(Mutex::new((200, document.to_owned())));
        let asked = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (Arc::clone(&answer), Arc::clone(&asked));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let (status, body) = told.lock().expect("no panic").clone();
                reply(connection, status, &body);
            }
        });
        Self { url, answer, asked }
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().expect("no panic") = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn reply(mut connection: TcpStream, status: u16, body: &str) {
    let mut request = BufReader::new(&connection).lines();
    while request
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} As told\r\nContent-Length: {length}\r\nLocation: /other\r\nConnection: close\r\n\r\n{body}"
    );
    connection.write_all(answer.as_bytes()).ok();
}

/// Who signs in with what, at one moment after the other.
struct Scene {
    server: KeyServer,
    clock: Arc<Standing>,
    sign_in: SignIn,
    issuer: LocalIssuer,
    folder: TempDir,
}

impl Scene {
    fn begin() -> Self {
        Self::asking_for(&[])
    }

    fn asking_for(scopes: &[&str]) -> Self {
        let (issuer, folder) = issuer();
        let server = KeyServer::start(issuer.key_set());
        let clock = Arc::new(Standing::default());
        let cognito = CognitoConfig {
            user_pool_id: Some("ap-northeast-2_AbCdEfGhI".to_owned()),
            client_ids: vec![iyagi::auth::local_issuer::CLIENT_ID.to_owned()],
            scopes: scopes.iter().map(ToString::to_string).collect(),
            issuer: Some(iyagi::auth::local_issuer::ISSUER.to_owned()),
            jwks_url: Some(server.url.clone()),
            jwks_file: None,
        };
        let config = AuthConfig {
            mode: AuthMode::Cognito,
            cognito,
            ..AuthConfig::default()
        };
        let sign_in = SignIn::new(&config, folder.path(), Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            server,
            clock,
            sign_in: sign_in.expect("configured"),
            issuer,
            folder,
        }
    }

    /// A token of the pool that grants something.
    fn token_granting(&self, scope: &str) -> String {
        let pem = std::fs::read(self.folder.path().join("sign-in-key.pem")).expect("made");
        let keys: serde_json::Value =
            serde_json::from_str(self.issuer.key_set()).expect("a key set");
        let mut header = Header::new(Algorithm::RS256);
        header.kid = keys["keys"][0]["kid"].as_str().map(str::to_owned);
        let now = self.clock.now().0 / 1_000;
        let claims = serde_json::json!({
            "iss": iyagi::auth::local_issuer::ISSUER, "sub": "minji", "token_use": "access",
            "client_id": iyagi::auth::local_issuer::CLIENT_ID, "iat": now, "exp": now + 60, "scope": scope,
        });
        let key = EncodingKey::from_rsa_pem(&pem).expect("a key");
        jsonwebtoken::encode(&header, &claims, &key).expect("signed")
    }

    fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).expect("not for ever");
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    async fn signs_in(&self, issuer: &LocalIssuer) -> Result<(), Refused> {
        let lifetime = Duration::from_hours(1);
        let token = issuer
            .token("minji", &[], self.clock.now(), lifetime)
            .expect("signed");
        let caller = self.sign_in.caller(&token).await?;
        assert_eq!(caller.person.as_str(), "minji");
        Ok(())
    }
}

/// Another key.
fn issuer() -> (LocalIssuer, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (LocalIssuer::open(folder.path()).expect("a key"), folder)
}

fn both(one: &LocalIssuer, other: &LocalIssuer) -> String {
    let keys = |issuer: &LocalIssuer| {
        let set: serde_json::Value = serde_json::from_str(issuer.key_set()).expect("JSON");
        set["keys"][0].clone()
    };
    serde_json::json!({ "keys": [keys(one), keys(other)] }).to_string()
}

#[tokio::test]
async fn a_token_that_lacks_a_scope_that_is_asked_for_lets_nobody_in() {
    let scene = Scene::asking_for(&["api/read", "api/write"]);
    for lacking in ["", "api/read", "api/readapi/write", "api/write,api/read"] {
        let caller = scene.sign_in.caller(&scene.token_granting(lacking)).await;
        assert_eq!(caller, Err(Refused::Scope), "{lacking:?}");
    }
    assert_eq!(scene.signs_in(&scene.issuer).await, Err(Refused::Scope));
    let all = scene.token_granting("openid api/write api/read");
    scene.sign_in.caller(&all).await.expect("let in");
}

#[tokio::test]
async fn keys_are_fetched_once_however_many_sign_in() {
    let scene = Scene::begin();
    let attempts = (0..32).map(|_| scene.signs_in(&scene.issuer));
    let attempts = futures_util::future::join_all(attempts).await;
    assert!(attempts.iter().all(Result::is_ok), "{attempts:?}");
    assert_eq!(scene.server.asked(), 1);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_the_user_pool_one_fetch_in_ten_seconds() {
    let scene = Scene::begin();
    scene.signs_in(&scene.issuer).await.expect("let in");
    scene.pass(Duration::from_mins(1));
    let strangers: Vec<_> = (0..3).map(|_| issuer()).collect();
    for _ in 0..50 {
        for (stranger, _) in &strangers {
            assert_eq!(scene.signs_in(stranger).await, Err(Refused::UnknownKey));
        }
    }
    assert_eq!(scene.server.asked(), 2);
    scene.pass(Duration::from_secs(9));
    assert_eq!(scene.signs_in(&issuer().0).await, Err(Refused::UnknownKey));
    assert_eq!(scene.server.asked(), 2, "not within ten seconds");
    scene.pass(Duration::from_secs(1));
    assert_eq!(
        scene.signs_in(&strangers[0].0).await,
        Err(Refused::UnknownKey)
    );
    assert_eq!(
        scene.server.asked(),
        2,
        "what a fetch did not bring is remembered"
    );
    assert_eq!(scene.signs_in(&issuer().0).await, Err(Refused::UnknownKey));
    assert_eq!(scene.server.asked(), 3);
    scene.signs_in(&scene.issuer).await.expect("still let in");
}

#[tokio::test]
async fn a_pool_that_rotates_its_keys_signs_nobody_out() {
    let scene = Scene::begin();
    scene.signs_in(&scene.issuer).await.expect("let in");
    let (newer, _folder) = issuer();
    scene.server.answers(200, &both(&scene.issuer, &newer));
    scene.pass(Duration::from_secs(11));
    scene.signs_in(&newer).await.expect("fetched");
    scene
        .signs_in(&scene.issuer)
        .await
        .expect("let in as before");
    // The older one is withdrawn, which is noticed within half a day.
    scene.server.answers(200, newer.key_set());
    scene.pass(Duration::from_hours(12));
    scene.signs_in(&newer).await.expect("let in");
    assert_eq!(
        scene.signs_in(&scene.issuer).await,
        Err(Refused::UnknownKey)
    );
}

#[tokio::test]
async fn a_key_that_came_since_the_last_fetch_is_refused_for_no_longer_than_ten_seconds() {
    let scene = Scene::begin();
    scene.signs_in(&scene.issuer).await.expect("let in");
    let (newer, _folder) = issuer();
    scene.server.answers(200, &both(&scene.issuer, &newer));
    assert_eq!(scene.signs_in(&newer).await, Err(Refused::UnknownKey));
    scene.pass(Duration::from_secs(10));
    scene.signs_in(&newer).await.expect("fetched");
}

#[tokio::test]
async fn keys_at_hand_hold_while_the_pool_answers_nothing_of_use() {
    let long = format!("{{\"keys\": [], \"note\": \"{}\"}}", "x".repeat(70_000));
    for (status, body) in [
        (500, "{}"),
        (302, "{}"),
        (200, "<html>"),
        (200, r#"{"keys": []}"#),
        (200, long.as_str()),
    ] {
        let scene = Scene::begin();
        scene.signs_in(&scene.issuer).await.expect("let in");
        scene.server.answers(status, body);
        scene.pass(Duration::from_hours(13));
        scene.signs_in(&scene.issuer).await.expect("let in still");
        assert_eq!(scene.server.asked(), 2, "it was tried: {status}");
    }
}

#[tokio::test]
async fn api10_an_answer_of_a_service_is_held_against_its_bounds_before_anybody_believes_it() {
    let keys = issuer().0.key_set().to_owned();
    let padded = format!("{keys}{}", " ".repeat(70_000));
    for (status, body) in [(302, keys.as_str()), (200, &padded), (200, &keys[1..])] {
        let scene = Scene::begin();
        scene.server.answers(status, body);
        assert_eq!(scene.signs_in(&scene.issuer).await, Err(Refused::NoKeys));
        assert_eq!(scene.server.asked(), 1, "no redirect is followed");
    }
}

#[tokio::test]
async fn a_pool_that_cannot_be_reached_at_first_is_asked_again() {
    let scene = Scene::begin();
    scene.server.answers(503, "");
    assert!(!scene.sign_in.is_ready().await);
    assert_eq!(scene.signs_in(&scene.issuer).await, Err(Refused::NoKeys));
    assert_eq!(scene.server.asked(), 1);
    scene.server.answers(200, scene.issuer.key_set());
    assert_eq!(
        scene.signs_in(&scene.issuer).await,
        Err(Refused::NoKeys),
        "not so soon"
    );
    scene.pass(Duration::from_secs(10));
    scene.signs_in(&scene.issuer).await.expect("let in");
    assert!(scene.sign_in.is_ready().await);
}
