//! A proxy before a server that spoils what is asked of it, and passes on everything else.
//!
//! It runs on threads of its own: clients of several runtimes may use it, and none of them can hold it up.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;

use super::answer::{self, ServiceError};
use super::batch;
use super::call::{self, Call};
use super::http::{Request, Response};
use crate::servers::Server;

/// Longer than the longest long poll.
const UPSTREAM_PATIENCE: Duration = Duration::from_mins(1);
/// A stall ends by itself, so that no thread outlives a test that forgets to heal.
const STALL_MAX: Duration = Duration::from_mins(1);

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something in between answers with a page of HTML.
    Page(u16),
    /// The service answers with an error of its own.
    Error(ServiceError),
    /// Nobody answers until the proxy is healed.
    Stall,
    /// The call is on its way until the proxy is healed, and takes effect only then, whether or not anybody still waits.
    Held,
    /// The call takes effect; the connection breaks in the middle of the answer's body.
    ResetMidBody,
    /// The call takes effect; half of the answer's body is missing, and the length agrees.
    Truncated,
    /// The call takes effect, and nobody ever hears of it.
    AnswerLost,
    /// The service takes every other part of a batch.
    HalfOfBatch,
}

/// Which calls meet which fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    of: Of,
    fault: Fault,
    /// Calls that pass before the first that meets the fault.
    spared: u32,
    /// Calls that meet it.
    times: u32,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// One operation.
    Call(Call),
    /// Whatever changes something, of any service.
    Changes,
    /// Whatever is asked.
    Everything,
}

impl Of {
    fn covers(self, request: &Request) -> bool {
        match self {
            Self::Call(call) => call.is_of(request),
            Self::Changes => call::changes(request),
            Self::Everything => true,
        }
    }
}

impl Rule {
    /// Every call meets the fault until the proxy is healed.
    pub(crate) fn always(call: Call, fault: Fault) -> Self {
        Self {
            of: Of::Call(call),
            fault,
            spared: 0,
            times: u32::MAX,
        }
    }

    /// Only the `nth` call from now on meets the fault, the first being 1.
    pub(crate) fn nth(call: Call, nth: u32, fault: Fault) -> Self {
        Self {
            of: Of::Call(call),
            fault,
            spared: nth - 1,
            times: 1,
        }
    }

    /// Everything meets the fault until the proxy is healed.
    pub(crate) fn every(fault: Fault) -> Self {
        Self {
            of: Of::Everything,
            fault,
            spared: 0,
            times: u32::MAX,
        }
    }

    /// Only the `nth` change of anything meets the fault, the first being 1.
    pub(crate) fn nth_change(nth: u32, fault: Fault) -> Self {
        Self {
            times: 1,
            ..Self::from_change(nth, fault)
        }
    }

    /// The `nth` change of anything and all behind it meet the fault until the proxy is healed.
    pub(crate) fn from_change(nth: u32, fault: Fault) -> Self {
        Self {
            of: Of::Changes,
            fault,
            spared: nth - 1,
            times: u32::MAX,
        }
    }
}

/// A running proxy. It stops listening when it is dropped.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    server: Server,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    plan: Mutex<Plan>,
    healed: Condvar,
    arrived: Condvar,
}

#[derive(Default)]
struct Plan {
    rules: Vec<Rule>,
    /// Raised by healing, which ends the stalls that began before.
    healings: u64,
    /// Calls that are on their way.
    held: u32,
    fired: u32,
    /// Calls that change something.
    changes: u32,
    closed: bool,
}

impl FaultProxy {
    /// A proxy that passes everything on to `upstream`.
    pub(crate) fn before(upstream: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let upstream = upstream.url().trim_start_matches("http://").to_owned();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.plan().closed {
                    return;
                }
                let (shared, upstream) = (Arc::clone(&shared), upstream.clone());
                std::thread::spawn(move || {
                    let Ok(client) = client else { return };
                    // Whoever gave up on an answer has closed the connection: nothing is left to tell.
                    let _ = serve(&client, &upstream, &shared);
                });
            }
        });
        Self {
            address,
            server: Server::at(format!("http://{address}")),
            state,
        }
    }

    /// The upstream as it is seen through the proxy.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Adds a rule. Of several that fit a call the first one counts.
    pub(crate) fn inject(&self, rule: Rule) {
        self.state.plan().rules.push(rule);
    }

    /// Forgets every rule, and ends what they have stalled.
    pub(crate) fn heal(&self) {
        let mut plan = self.state.plan();
        plan.rules.clear();
        plan.healings += 1;
        self.state.healed.notify_all();
    }

    /// Heals it, and waits until all calls that were on their way have taken effect.
    pub(crate) fn deliver_held(&self) {
        self.heal();
        let on_their_way = |plan: &mut Plan| plan.held > 0;
        let arrived = &self.state.arrived;
        let waited = arrived.wait_timeout_while(self.state.plan(), UPSTREAM_PATIENCE, on_their_way);
        let (plan, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert_eq!(plan.held, 0, "the upstream does not answer");
    }

    /// How many calls met a fault.
    pub(crate) fn fired(&self) -> u32 {
        self.state.plan().fired
    }

    /// How many calls were to change something.
    pub(crate) fn changes(&self) -> u32 {
        self.state.plan().changes
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.heal();
        self.state.plan().closed = true;
        // The listener looks at that when somebody comes.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rule that a request meets. One that it holds counts as on its way from here on.
    fn meet(&self, request: &Request) -> Option<Rule> {
        let mut plan = self.plan();
        plan.changes += u32::from(call::changes(request));
        for rule in &mut plan.rules {
            if rule.times == 0 || !rule.of.covers(request) {
                continue;
            }
            if rule.spared > 0 {
                rule.spared -= 1;
                continue;
            }
            rule.times = rule.times.saturating_sub(1);
            let rule = *rule;
            plan.fired += 1;
            plan.held += u32::from(rule.fault == Fault::Held);
            return Some(rule);
        }
        None
    }

    fn stall(&self) {
        let plan = self.plan();
        let begun = plan.healings;
        let waited = self
            .healed
            .wait_timeout_while(plan, STALL_MAX, |plan| plan.healings == begun);
        drop(waited);
    }

    fn arrive(&self) {
        self.plan().held -= 1;
        self.arrived.notify_all();
    }
}

/// Answers the requests of one connection until either side has enough of it.
fn serve(client: &TcpStream, upstream: &str, state: &State) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut requests = BufReader::new(client);
    let mut answers = client;
    while let Some(request) = Request::read(&mut requests, &mut answers)? {
        let Some(rule) = state.meet(&request) else {
            deliver(client, &forward(upstream, &request)?)?;
            continue;
        };
        match rule.fault {
            Fault::Page(status) => deliver(client, &answer::page(status))?,
            Fault::Error(error) => {
                let service = call::service(&request);
                let service =
                    service.expect("only what is signed for a known service meets a rule");
                deliver(client, &answer::error(service, error))?;
            }
            Fault::Stall => {
                state.stall();
                return client.shutdown(Shutdown::Both);
            }
            Fault::Held => {
                state.stall();
                let response = forward(upstream, &request);
                state.arrive();
                deliver(client, &response?)?;
            }
            Fault::ResetMidBody => {
                let response = forward(upstream, &request)?;
                answers.write_all(&response.head())?;
                answers.write_all(&response.body[..response.body.len() / 2])?;
                return reset(client);
            }
            Fault::Truncated => {
                let mut response = forward(upstream, &request)?;
                let half = response.body.len() / 2;
                // The length that an answer to HEAD tells is not that of its own body.
                if request.method != "HEAD" {
                    response.set_body(response.body[..half].to_vec());
                }
                deliver(client, &response)?;
            }
            Fault::AnswerLost => {
                let response = forward(upstream, &request)?;
                if response.succeeded() {
                    return reset(client);
                }
                deliver(client, &response)?;
            }
            Fault::HalfOfBatch => match batch::halve(&request) {
                Some((half, rest)) => {
                    let response = forward(upstream, &half)?;
                    deliver(client, &batch::join(response, rest))?;
                }
                None => deliver(client, &forward(upstream, &request)?)?,
            },
        }
    }
    Ok(())
}

fn forward(upstream: &str, request: &Request) -> io::Result<Response> {
    let mut connection = TcpStream::connect(upstream)?;
    connection.set_read_timeout(Some(UPSTREAM_PATIENCE))?;
    connection.set_nodelay(true)?;
    connection.write_all(&request.bytes())?;
    Response::read(&mut BufReader::new(connection), &request.method)
}

fn deliver(mut client: &TcpStream, response: &Response) -> io::Result<()> {
    // One write, so that no client waits for a second packet.
    let mut bytes = response.head();
    bytes.extend_from_slice(&response.body);
    client.write_all(&bytes)
}

/// Makes closing the connection break it.
fn reset(client: &TcpStream) -> io::Result<()> {
    SockRef::from(client).set_linger(Some(Duration::ZERO))
}
