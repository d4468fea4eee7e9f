//! A small HTTP/1.1 server on threads of its own: an answer may be slow, cut off or not HTTP at all.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    pub(crate) fn takes_gzip(&self) -> bool {
        self.header("accept-encoding")
            .is_some_and(|encodings| encodings.contains("gzip"))
    }

    /// The parameter `name` of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let found = parameters.find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How much of the body is sent before the connection is cut.
    cut_at: Option<usize>,
    /// The wait before the second half of the body.
    pause: Duration,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
            cut_at: None,
            pause: Duration::ZERO,
        }
    }

    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "application/json", body)
    }

    /// A status with no body, as of a load balancer.
    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, "text/plain", "")
    }

    /// A status with a page for people, as of a proxy.
    pub(crate) fn html(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1></body></html>");
        Self::new(status, "text/html", body)
    }

    /// The service's own error.
    pub(crate) fn error(status: u16, code: &str, detail: &str) -> Self {
        let body = json!({
            "detailedMessage": detail,
            "requestId": "0e9d1f2a-0000-4000-8000-000000000000",
            "code": code,
            "message": detail,
        });
        Self::new(status, "application/json", body.to_string())
    }

    /// The same, compressed.
    pub(crate) fn gzip(mut self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.body).expect("a vector takes all");
        self.body = encoder.finish().expect("a vector takes all");
        self.encoded("gzip")
    }

    pub(crate) fn encoded(mut self, encoding: &str) -> Self {
        self.headers.push(("content-encoding", encoding.to_owned()));
        self
    }

    /// The same with half of its body, and a length that fits the half.
    pub(crate) fn halved(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self
    }

    /// The same with half of its body, and then the end of the connection.
    pub(crate) fn cut(mut self) -> Self {
        self.cut_at = Some(self.body.len() / 2);
        self
    }

    /// The same with a pause amid its body.
    pub(crate) fn slow(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Writes it, and says whether the connection goes on.
    fn write(&self, stream: &mut TcpStream) -> std::io::Result<bool> {
        let (status, length) = (self.status, self.body.len());
        let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {length}\r\n").into_bytes();
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        head.extend(b"\r\n");
        let (first, second) = self
            .body
            .split_at(self.cut_at.unwrap_or(self.body.len() / 2));
        // One write, so that no delay of TCP's falls between head and body.
        stream.write_all(&[&head, first].concat())?;
        stream.flush()?;
        if self.cut_at.is_some() {
            return Ok(false);
        }
        std::thread::sleep(self.pause);
        stream.write_all(second)?;
        Ok(true)
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server; it ends with its value.
pub(crate) struct Server {
    url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Box<Answer>,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
    ended: AtomicBool,
}

impl Server {
    /// Answers every request by `answer`, on a free port.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            requests: Mutex::default(),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || accept(&listener, &accepting));
        Self {
            url: format!("http://{address}"),
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Answers every request with `reply`.
    pub(crate) fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone())
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("sound").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes the listener up; it may be gone already.
        TcpStream::connect(self.address).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
        let connections = std::mem::take(&mut *self.shared.connections.lock().expect("sound"));
        for (stream, thread) in connections {
            // The client may have hung up first.
            stream.shutdown(Shutdown::Both).ok();
            thread.join().ok();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        let stream = stream.expect("a connection");
        let ours = stream.try_clone().expect("a second handle");
        let serving = Arc::clone(shared);
        let thread = std::thread::spawn(move || {
            // A client that hangs up ends its connection, and no more than that.
            serve(stream, &serving).ok();
        });
        shared
            .connections
            .lock()
            .expect("sound")
            .push((ours, thread));
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read(&mut reader)? {
        let reply = (shared.answer)(&request);
        shared.requests.lock().expect("sound").push(request);
        if !reply.write(&mut stream)? {
            return stream.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next(), words.next());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, length)| length.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request {
        method: method.unwrap_or_default(),
        target: target.unwrap_or_default(),
        headers,
        body,
    }))
}
