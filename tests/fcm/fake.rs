//! A Firebase of our own, for answers that cannot be had of the real one.
//!
//! It speaks HTTP/2 in the clear on loopback and decides about every frame: what is answered, refused, cut off, or never
//! said. It takes only tokens that its own token endpoint has granted and that were not revoked since.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// Bytes as h2 sends them.
type Bytes = std::io::Cursor<Vec<u8>>;

/// What is done about a push.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// It is taken after a while.
    Accept(Duration),
    /// This is answered: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// This is begun, and the stream is reset.
    CutOff(u16, &'static str),
    /// The stream is reset at once.
    Reset(Reason),
    /// Nothing is answered until [`FakeFcm::release`].
    Hold,
    /// The connection is closed.
    HangUp,
    /// The end of the connection is announced in good order, and then it is closed.
    GoAwayAndHangUp,
    /// It is taken, after the end of the connection was announced in good order.
    GoAwayAndAccept,
    /// The connection is closed with this reason.
    Abort(Reason),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Call {
    /// The phone it is for.
    pub(crate) fn token(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).expect("JSON");
        body["message"]["token"].as_str().expect("text").to_owned()
    }
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) calls: Vec<Call>,
    pub(crate) connections: usize,
    pub(crate) in_flight_peak: usize,
    in_flight: usize,
    script: VecDeque<Reply>,
    by_token: HashMap<String, Reply>,
    valid: HashSet<String>,
}

/// The service. It ends when it is dropped.
pub(crate) struct FakeFcm {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    released: watch::Sender<bool>,
    _stop: oneshot::Sender<()>,
}

/// What a stream asks of its connection.
enum Order {
    None,
    HangUp,
    GoAway,
    GoAwayAndHangUp,
    Abort(Reason),
}

impl FakeFcm {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("it can be");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (released, _) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let (state, hold) = (Arc::clone(&seen), released.clone());
        on_a_thread(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let mut connections = JoinSet::new();
            let mut stopped = stopped;
            loop {
                let (stream, _) = tokio::select! {
                    accepted = listener.accept() => accepted.expect("accepted"),
                    _ = &mut stopped => return,
                };
                lock(&state).connections += 1;
                connections.spawn(connection(stream, Arc::clone(&state), hold.subscribe()));
            }
        });
        Self {
            address,
            seen,
            released,
            _stop: stop,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes this access token from now on.
    pub(crate) fn admit(&self, access_token: &str) {
        lock(&self.seen).valid.insert(access_token.to_owned());
    }

    /// Takes none of the access tokens of before.
    pub(crate) fn revoke_all(&self) {
        lock(&self.seen).valid.clear();
    }

    /// Plays this for the next push; they queue up.
    pub(crate) fn next(&self, reply: Reply) {
        lock(&self.seen).script.push_back(reply);
    }

    /// Plays this for every push to a phone.
    pub(crate) fn always(&self, token: &str, reply: Reply) {
        lock(&self.seen).by_token.insert(token.to_owned(), reply);
    }

    /// Forgets what is to be played.
    pub(crate) fn be_well(&self) {
        let mut seen = lock(&self.seen);
        seen.script.clear();
        seen.by_token.clear();
    }

    /// Lets go of what is held.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

/// Runs a server on a thread and a runtime of its own.
pub(crate) fn on_a_thread(server: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(server);
    });
}

async fn connection(stream: TcpStream, seen: Arc<Mutex<Seen>>, released: watch::Receiver<bool>) {
    // Whoever probes the port closes it at once.
    let Ok(mut connection) = h2::server::Builder::new()
        .max_concurrent_streams(100)
        .handshake::<_, Bytes>(stream)
        .await
    else {
        return;
    };
    let mut streams: FuturesUnordered<BoxFuture<'static, (Order, SendResponse<Bytes>)>> =
        FuturesUnordered::new();
    // A stream of which nobody takes care any more would be reset.
    let mut unanswered = Vec::new();
    let mut leaving = false;
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let call = serve(request, respond, Arc::clone(&seen), released.clone());
                    streams.push(call.boxed());
                }
                _ => return,
            },
            Some((order, respond)) = streams.next(), if !streams.is_empty() => {
                unanswered.push(respond);
                match order {
                    Order::None => _ = unanswered.pop(),
                    Order::HangUp => return,
                    Order::GoAway => connection.graceful_shutdown(),
                    Order::GoAwayAndHangUp => {
                        connection.graceful_shutdown();
                        leaving = true;
                    }
                    Order::Abort(reason) => connection.abrupt_shutdown(reason),
                }
            }
            // Long enough for the announcement to leave.
            () = tokio::time::sleep(Duration::from_millis(100)), if leaving => return,
        }
    }
}

async fn serve(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    seen: Arc<Mutex<Seen>>,
    mut released: watch::Receiver<bool>,
) -> (Order, SendResponse<Bytes>) {
    let (parts, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(data)) = stream.data().await {
        stream.flow_control().release_capacity(data.len()).ok();
        body.extend_from_slice(&data);
    }
    let header = |value: &http::HeaderValue| value.to_str().expect("ASCII").to_owned();
    let headers = parts.headers.iter();
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_string(), header(value)))
            .collect(),
        body: String::from_utf8(body).expect("UTF-8"),
    };
    let (reply, number) = {
        let mut seen = lock(&seen);
        seen.in_flight += 1;
        seen.in_flight_peak = seen.in_flight_peak.max(seen.in_flight);
        let reply = seen.reply(&call);
        seen.calls.push(call);
        (reply, seen.calls.len())
    };
    let order = play(reply, number, &mut respond, &mut released).await;
    lock(&seen).in_flight -= 1;
    (order, respond)
}

async fn play(
    reply: Reply,
    number: usize,
    respond: &mut SendResponse<Bytes>,
    released: &mut watch::Receiver<bool>,
) -> Order {
    let name = format!("{{\n  \"name\": \"projects/iyagi-test/messages/{number}\"\n}}\n");
    match reply {
        Reply::Accept(after) => {
            tokio::time::sleep(after).await;
            send(respond, 200, &[], &name);
            Order::None
        }
        Reply::Answer(status, headers, body) => {
            send(respond, status, &headers, &body);
            Order::None
        }
        Reply::CutOff(status, beginning) => {
            let response = Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(())
                .expect("a response");
            if let Ok(mut stream) = respond.send_response(response, false) {
                let data = Bytes::new(beginning.as_bytes().to_vec());
                stream.send_data(data, false).ok();
                // Long enough for what was begun to leave.
                tokio::time::sleep(Duration::from_millis(50)).await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Order::None
        }
        Reply::Reset(reason) => {
            respond.send_reset(reason);
            Order::None
        }
        Reply::Hold => {
            // Whoever held it may be gone by now.
            released.wait_for(|released| *released).await.ok();
            send(respond, 200, &[], &name);
            Order::None
        }
        Reply::HangUp => Order::HangUp,
        Reply::GoAwayAndHangUp => Order::GoAwayAndHangUp,
        Reply::GoAwayAndAccept => {
            send(respond, 200, &[], &name);
            Order::GoAway
        }
        Reply::Abort(reason) => Order::Abort(reason),
    }
}

fn send(
    respond: &mut SendResponse<Bytes>,
    status: u16,
    headers: &[(&'static str, String)],
    body: &str,
) {
    let mut response = Response::builder().status(status);
    if headers.iter().all(|(name, _)| *name != "content-type") {
        response = response.header("content-type", "application/json; charset=UTF-8");
    }
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    let response = response.body(()).expect("a response");
    // Nobody may be waiting any more.
    if let Ok(mut stream) = respond.send_response(response, false) {
        stream
            .send_data(Bytes::new(body.as_bytes().to_vec()), true)
            .ok();
    }
}

impl Seen {
    fn reply(&mut self, call: &Call) -> Reply {
        let bearer = call.headers.get("authorization").map(String::as_str);
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
        if !bearer.is_some_and(|token| self.valid.contains(token)) {
            let body = super::google(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
                &[],
            );
            return Reply::Answer(401, Vec::new(), body);
        }
        if let Some(reply) = self.by_token.get(&call.token()) {
            return reply.clone();
        }
        let reply = self.script.pop_front();
        reply.unwrap_or(Reply::Accept(Duration::ZERO))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
