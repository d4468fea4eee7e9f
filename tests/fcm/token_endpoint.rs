//! Google's token endpoint, of our own: it grants a token for an assertion that the service account's key has signed.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::fake::{FakeFcm, on_a_thread};

pub(crate) const EMAIL: &str = "sender@iyagi-test.iam.example";
pub(crate) const KEY_ID: &str = "key-1";

/// Making one takes a while, and one is as good as another.
static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).expect("a key"));

/// What is done about a request for a token.
#[derive(Debug, Clone)]
pub(crate) enum Grant {
    /// It is granted after a while.
    After(Duration),
    /// A token is handed out that Firebase does not take.
    Counterfeit,
    /// This is answered.
    Answer(u16, &'static str),
    /// Nothing is answered.
    Silence,
}

#[derive(Default)]
pub(crate) struct Asked {
    /// The claims of every assertion.
    pub(crate) claims: Vec<Value>,
    script: VecDeque<Grant>,
    /// Seconds that tokens live.
    lifetime: u64,
}

/// The endpoint. It ends when it is dropped.
pub(crate) struct TokenEndpoint {
    address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
    _stop: oneshot::Sender<()>,
}

impl TokenEndpoint {
    /// An endpoint whose tokens `fcm` takes.
    pub(crate) fn start(fcm: &Arc<FakeFcm>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("it can be");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(Mutex::new(Asked {
            lifetime: 3_599,
            ..Asked::default()
        }));
        let (stop, mut stopped) = oneshot::channel();
        let (state, fcm) = (Arc::clone(&asked), Arc::clone(fcm));
        on_a_thread(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = tokio::select! {
                    accepted = listener.accept() => accepted.expect("accepted"),
                    _ = &mut stopped => return,
                };
                connections.spawn(serve(stream, address, Arc::clone(&state), Arc::clone(&fcm)));
            }
        });
        Self {
            address,
            asked,
            _stop: stop,
        }
    }

    pub(crate) fn uri(&self) -> String {
        uri(self.address)
    }

    /// Plays this for the next request; they queue up.
    pub(crate) fn next(&self, grant: Grant) {
        lock(&self.asked).script.push_back(grant);
    }

    pub(crate) fn set_lifetime(&self, seconds: u64) {
        lock(&self.asked).lifetime = seconds;
    }

    pub(crate) fn asked(&self) -> MutexGuard<'_, Asked> {
        lock(&self.asked)
    }

    /// Writes the service account's key file into a folder.
    pub(crate) fn key_file(&self, folder: &Path) -> PathBuf {
        let path = folder.join("service-account.json");
        std::fs::write(&path, self.key().to_string()).expect("written");
        path
    }

    /// The service account's key file.
    pub(crate) fn key(&self) -> Value {
        json!({
            "type": "service_account", "project_id": "iyagi-test", "private_key_id": KEY_ID,
            "private_key": private_key(), "client_email": EMAIL, "client_id": "1", "token_uri": self.uri(),
        })
    }
}

/// The key in PEM.
pub(crate) fn private_key() -> String {
    let der: Pkcs8V1Der<'static> = KEY.as_der().expect("a key");
    pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()))
}

async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
    fcm: Arc<FakeFcm>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(form) = read(&mut stream).await {
        let claims = verified(&form, address);
        let (grant, number, lifetime) = {
            let mut asked = lock(&asked);
            asked.claims.push(claims);
            let grant = asked.script.pop_front();
            let grant = grant.unwrap_or(Grant::After(Duration::ZERO));
            (grant, asked.claims.len(), asked.lifetime)
        };
        let token = format!("ya29.token-{number}");
        let granted =
            json!({"access_token": token, "expires_in": lifetime, "token_type": "Bearer"});
        let (status, body) = match grant {
            Grant::After(delay) => {
                tokio::time::sleep(delay).await;
                fcm.admit(&token);
                (200, granted.to_string())
            }
            Grant::Counterfeit => (200, granted.to_string()),
            Grant::Answer(status, body) => (status, body.to_owned()),
            Grant::Silence => std::future::pending().await,
        };
        let answer = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut form = vec![0; length];
    stream.read_exact(&mut form).await.ok()?;
    Some(form)
}

/// The claims of an assertion that is what Google asks for.
fn verified(form: &[u8], address: SocketAddr) -> Value {
    let form: std::collections::HashMap<_, _> = form_urlencoded::parse(form).into_owned().collect();
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[uri(address)]);
    validation.set_issuer(&[EMAIL]);
    // Whose time is not the wall's.
    validation.validate_exp = false;
    validation.required_spec_claims = HashSet::from(["aud".to_owned(), "iss".to_owned()]);
    let key = DecodingKey::from_rsa_der(KEY.public_key().as_ref());
    let token = jsonwebtoken::decode::<Value>(&form["assertion"], &key, &validation);
    let token = token.expect("signed with the key");
    assert_eq!(token.header.kid.as_deref(), Some(KEY_ID));
    let claims = token.claims;
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/firebase.messaging"
    );
    let seconds = |name: &str| claims[name].as_i64().expect("a number");
    assert!((1..=3_600).contains(&(seconds("exp") - seconds("iat"))));
    claims
}

fn uri(address: SocketAddr) -> String {
    format!("http://{address}/token")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
