//! Servers in processes of their own that take every push, each after [`ANSWER`].

use std::io::{BufRead, Cursor, Error, Read};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::ANSWER;

/// Makes this program the server shaped like SNS. It grants access tokens as well.
pub(crate) const SNS: &str = "--sns";
/// Makes this program the server shaped like Firebase.
pub(crate) const FCM: &str = "--fcm";

pub(crate) const ENDPOINT: &str =
    "arn:aws:sns:test-region-1:111122223333:endpoint/GCM/iyagi-fcm/e-1";

/// A server; it ends with its input, so whatever becomes of this process.
pub(crate) struct Stub {
    process: Child,
    pub(crate) url: String,
}

impl Stub {
    pub(crate) fn start(shape: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command
            .arg(shape)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let told = process.stdout.take().expect("piped");
        let mut url = String::new();
        let mut told = std::io::BufReader::new(told);
        told.read_line(&mut url).expect("its address");
        Self {
            process,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

/// On one thread, so that the pushes' own work has the machine.
pub(crate) fn serve_sns() {
    serve(|stream| async {
        answer(stream).await.ok();
    });
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::with_capacity(16 * 1024, reader);
    let (mut line, mut body) = (Vec::new(), Vec::new());
    loop {
        let (mut length, mut waits) = (0, false);
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            if line == b"\r\n" {
                break;
            }
            line.make_ascii_lowercase();
            if let Some(value) = line.strip_prefix(b"content-length:") {
                let value = std::str::from_utf8(value).map_err(Error::other)?;
                length = value.trim().parse().map_err(Error::other)?;
            }
            waits |= line.starts_with(b"expect:");
        }
        if waits {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).await?;
        let first = body.split(|byte| *byte == b'&').next().unwrap_or_default();
        let (kind, text) = match first {
            b"Action=CreatePlatformEndpoint" => ("text/xml", CREATED.replace("{}", ENDPOINT)),
            b"Action=GetEndpointAttributes" => ("text/xml", ATTRIBUTES.to_owned()),
            // The first field of a publish is its action, too; whatever else comes asks for an access token.
            field if field.starts_with(b"Action=") => {
                tokio::time::sleep(ANSWER).await;
                ("text/xml", PUBLISHED.to_owned())
            }
            _ => ("application/json", TOKEN.to_owned()),
        };
        let length = text.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
        writer.write_all(format!("{head}{text}").as_bytes()).await?;
    }
}

const CREATED: &str = "<CreatePlatformEndpointResponse><CreatePlatformEndpointResult><EndpointArn>{}</EndpointArn>\
    </CreatePlatformEndpointResult></CreatePlatformEndpointResponse>";
const ATTRIBUTES: &str = "<GetEndpointAttributesResponse><GetEndpointAttributesResult><Attributes>\
    <entry><key>Enabled</key><value>true</value></entry></Attributes></GetEndpointAttributesResult>\
    </GetEndpointAttributesResponse>";
const PUBLISHED: &str = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
    <MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata>\
    <RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>";
const TOKEN: &str = r#"{"access_token":"ya29.bench","expires_in":3599,"token_type":"Bearer"}"#;

/// HTTP/2 in the clear.
pub(crate) fn serve_fcm() {
    serve(connection);
}

/// Serves each connection on this thread, until the input ends.
fn serve<F: Future<Output = ()> + Send + 'static>(connection: impl Fn(TcpStream) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a thread");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        println!("http://{}", listener.local_addr().expect("bound"));
        let ended = tokio::task::spawn_blocking(|| {
            std::io::stdin().read_to_end(&mut Vec::new()).ok();
        });
        let accept = async {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accepted");
                stream.set_nodelay(true).expect("a socket");
                connections.spawn(connection(stream));
            }
        };
        tokio::select! {
            () = accept => {}
            _ = ended => {}
        }
    });
}

async fn connection(stream: TcpStream) {
    let connection = h2::server::Builder::new().handshake::<_, Cursor<Vec<u8>>>(stream);
    let Ok(mut connection) = connection.await else {
        return;
    };
    let mut pushes = tokio::task::JoinSet::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        pushes.spawn(async move {
            let mut body = request.into_body();
            while let Some(Ok(data)) = body.data().await {
                body.flow_control().release_capacity(data.len()).ok();
            }
            tokio::time::sleep(ANSWER).await;
            let head = http::Response::builder().header("content-type", "application/json");
            let head = head.body(()).expect("a head");
            if let Ok(mut stream) = respond.send_response(head, false) {
                let name = br#"{"name":"projects/iyagi-bench/messages/1"}"#.to_vec();
                stream.send_data(Cursor::new(name), true).ok();
            }
        });
        while pushes.try_join_next().is_some() {}
    }
}
