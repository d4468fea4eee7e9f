//! A push service of our own, for the answers that no emulator gives.
//!
//! It speaks the service's wire protocol on loopback, one thread a connection, keeps endpoints and what was published,
//! and answers a call of an action by the next scripted reply if there is one.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Parameters of one call.
pub(crate) type Parameters = HashMap<String, String>;

/// What is answered instead of the truth.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// An error in the service's own form.
    Error(u16, &'static str, String),
    /// Something that is not the service's, such as a proxy's page, with headers of its own.
    Foreign(u16, &'static str, &'static str),
    /// The call is carried out and answered after a while.
    Slow(Duration),
    /// The call is carried out, and the answer never comes.
    Silence,
    /// The call is carried out, and the connection is closed.
    HangUp,
}

/// The service.
pub(crate) struct FakeSns {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    scripts: HashMap<&'static str, VecDeque<Reply>>,
    calls: Vec<(String, Parameters)>,
    endpoints: HashMap<String, Endpoint>,
    published: Vec<Published>,
}

struct Endpoint {
    token: String,
    enabled: bool,
}

/// A push that the service took.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) message_id: String,
    pub(crate) parameters: Parameters,
}

/// The platform applications that it has, one a page.
pub(crate) const APPLICATIONS: [&str; 3] = [
    "arn:aws:sns:test-region-1:111122223333:app/GCM/other-fcm",
    "arn:aws:sns:test-region-1:111122223333:app/GCM/iyagi-fcm",
    "arn:aws:sns:test-region-1:111122223333:app/APNS_SANDBOX/iyagi-apns",
];

impl FakeSns {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let fake = Self {
            address: listener.local_addr().expect("bound"),
            state: Arc::default(),
            stopped: Arc::default(),
        };
        let (state, stopped) = (Arc::clone(&fake.state), Arc::clone(&fake.stopped));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), state) = (stream, Arc::clone(&state)) else {
                    continue;
                };
                thread::spawn(move || serve(&stream, &state));
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next call of an action by `reply`, after those that are scripted already.
    pub(crate) fn answer(&self, action: &'static str, reply: Reply) {
        self.state()
            .scripts
            .entry(action)
            .or_default()
            .push_back(reply);
    }

    /// The actions called so far, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        let state = self.state();
        state
            .calls
            .iter()
            .map(|(action, _)| action.clone())
            .collect()
    }

    /// Forgets which actions were called.
    pub(crate) fn forget_calls(&self) {
        self.state().calls.clear();
    }

    /// The parameters of the last call of an action.
    pub(crate) fn last(&self, action: &str) -> Parameters {
        let state = self.state();
        let last = state.calls.iter().rfind(|(called, _)| called == action);
        last.expect("it was called").1.clone()
    }

    /// Pushes that were taken, also those that nobody was told of.
    pub(crate) fn published(&self) -> Vec<Published> {
        self.state().published.clone()
    }

    /// Disables every endpoint, as the service does when the platform says that a token is dead.
    pub(crate) fn disable_all(&self) {
        for endpoint in self.state().endpoints.values_mut() {
            endpoint.enabled = false;
        }
    }

    /// Deletes every endpoint.
    pub(crate) fn delete_all(&self) {
        self.state().endpoints.clear();
    }

    /// ARNs of the endpoints and whether they are enabled.
    pub(crate) fn endpoints(&self) -> Vec<(String, bool)> {
        let state = self.state();
        let endpoints = state.endpoints.iter();
        endpoints
            .map(|(arn, one)| (arn.clone(), one.enabled))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread has panicked")
    }
}

impl Drop for FakeSns {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        TcpStream::connect(self.address).ok();
    }
}

/// The event that the service tells a topic of, as a queue subscribed to it gets it.
pub(crate) fn delivery_failure(published: &Published, failure_type: &str) -> String {
    let event = serde_json::json!({
        "EventType": "DeliveryFailure", "FailureType": failure_type, "FailureMessage": "as the platform says",
        "MessageId": published.message_id, "EndpointArn": published.parameters["TargetArn"],
        "Service": "SNS", "DeliveryAttempts": 1, "Time": "2026-01-01T00:00:00.000Z",
    });
    let envelope = serde_json::json!({
        "Type": "Notification", "MessageId": "the-topics-own-id", "Subject": "DeliveryFailure event",
        "TopicArn": "arn:aws:sns:test-region-1:111122223333:push-feedback", "Message": event.to_string(),
    });
    envelope.to_string()
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some(parameters) = read_call(&mut reader) {
        let action = parameters["Action"].clone();
        let (reply, answer) = {
            let mut state = state.lock().expect("no thread has panicked");
            state.calls.push((action.clone(), parameters.clone()));
            let script = state.scripts.iter_mut().find(|(name, _)| **name == action);
            let reply = script.and_then(|(_, replies)| replies.pop_front());
            let refused = matches!(reply, Some(Reply::Error(..) | Reply::Foreign(..)));
            let answer = if refused {
                Ok(String::new())
            } else {
                state.carry_out(&action, &parameters)
            };
            (reply, answer)
        };
        let text = match reply {
            Some(Reply::Error(status, code, message)) => {
                response(status, "", &error(code, &message))
            }
            Some(Reply::Foreign(status, headers, body)) => response(status, headers, body),
            Some(Reply::HangUp) => return,
            Some(Reply::Silence) => {
                // Until the client goes away.
                reader.read_to_end(&mut Vec::new()).ok();
                return;
            }
            reply => {
                if let Some(Reply::Slow(delay)) = reply {
                    thread::sleep(delay);
                }
                match answer {
                    Ok(result) => response(200, "", &success(&action, &result)),
                    Err((status, code, message)) => response(status, "", &error(code, &message)),
                }
            }
        };
        let mut writer = stream;
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_call(reader: &mut impl BufRead) -> Option<Parameters> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
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
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(form_urlencoded::parse(&body).into_owned().collect())
}

type Refusal = (u16, &'static str, String);

impl State {
    fn carry_out(&mut self, action: &str, parameters: &Parameters) -> Result<String, Refusal> {
        match action {
            "CreatePlatformEndpoint" => Ok(self.create(parameters)),
            "GetEndpointAttributes" => {
                let endpoint = self.endpoint(&parameters["EndpointArn"])?;
                let entry = |key: &str, value: &str| {
                    format!("<entry><key>{key}</key><value>{value}</value></entry>")
                };
                let enabled = entry("Enabled", &endpoint.enabled.to_string());
                let token = entry("Token", &endpoint.token);
                Ok(format!("<Attributes>{enabled}{token}</Attributes>"))
            }
            "SetEndpointAttributes" => {
                let endpoint = self.endpoint(&parameters["EndpointArn"])?;
                for number in 1..=parameters.len() {
                    let of =
                        |part: &str| parameters.get(&format!("Attributes.entry.{number}.{part}"));
                    match (of("key").map(String::as_str), of("value")) {
                        (Some("Token"), Some(token)) => endpoint.token.clone_from(token),
                        (Some("Enabled"), Some(enabled)) => endpoint.enabled = enabled == "true",
                        _ => {}
                    }
                }
                Ok(String::new())
            }
            "ListPlatformApplications" => {
                let page = parameters
                    .get("NextToken")
                    .map_or(0, |page| page.parse().expect("ours"));
                let next = page + 1;
                let next =
                    (next < APPLICATIONS.len()).then(|| format!("<NextToken>{next}</NextToken>"));
                Ok(format!(
                    "<PlatformApplications><member><PlatformApplicationArn>{}</PlatformApplicationArn><Attributes/>\
                     </member></PlatformApplications>{}",
                    APPLICATIONS[page],
                    next.unwrap_or_default()
                ))
            }
            "Publish" => self.publish(parameters),
            other => panic!("{other} is not played"),
        }
    }

    fn create(&mut self, parameters: &Parameters) -> String {
        let token = &parameters["Token"];
        let application = &parameters["PlatformApplicationArn"];
        let known = self.endpoints.iter().find(|(_, one)| one.token == *token);
        let arn = if let Some((arn, _)) = known {
            arn.clone()
        } else {
            let number = self.endpoints.len() + self.calls.len();
            let arn = format!("{}/e-{number}", application.replace(":app/", ":endpoint/"));
            let endpoint = Endpoint {
                token: token.clone(),
                enabled: true,
            };
            self.endpoints.insert(arn.clone(), endpoint);
            arn
        };
        format!("<EndpointArn>{arn}</EndpointArn>")
    }

    fn endpoint(&mut self, arn: &str) -> Result<&mut Endpoint, Refusal> {
        let missing = || (404, "NotFound", "Endpoint does not exist".to_owned());
        self.endpoints.get_mut(arn).ok_or_else(missing)
    }

    fn publish(&mut self, parameters: &Parameters) -> Result<String, Refusal> {
        match self.endpoints.get(&parameters["TargetArn"]) {
            None => {
                let message = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified";
                Err((400, "InvalidParameter", message.to_owned()))
            }
            Some(endpoint) if !endpoint.enabled => {
                Err((400, "EndpointDisabled", "Endpoint is disabled".to_owned()))
            }
            Some(_) => {
                let message_id = format!("message-{}", self.published.len() + 1);
                self.published.push(Published {
                    message_id: message_id.clone(),
                    parameters: parameters.clone(),
                });
                Ok(format!("<MessageId>{message_id}</MessageId>"))
            }
        }
    }
}

fn success(action: &str, result: &str) -> String {
    format!(
        "<{action}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
}

fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
}

fn response(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\n{headers}content-type: text/xml\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
