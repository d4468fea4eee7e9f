//! The push gateway `log`: it accepts pushes, keeps them readable, and fails when it is told to.
//!
//! What it accepts is one line of JSON, handed to the system before the answer: a process that is killed right after
//! has still accepted. Only a power cut may take the last lines. The files go round: see `files`.

mod faults;
mod files;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::{Clock, GatewayFault, Payload, PushGateway};
use iyagi_messages::ids::{PushId, Timestamp};
use iyagi_messages::push::FailureClass;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use utoipa::ToSchema;

pub use self::faults::{FaultClass, FaultRule};
use self::faults::{Faults, Verdict};
use self::files::Lines;
pub use self::files::Rotation;
use crate::embedded::unique_id::unique_id;

/// Accepted pushes that are kept in memory for who comes late.
const TAIL_MAX: usize = 1024;
/// How far a subscriber may lag before it misses some; they are still in the file.
const SUBSCRIBER_LAG_MAX: usize = 1024;

/// One push that the gateway accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// When.
    pub at: Timestamp,
    /// The gateway's own id of it.
    pub gateway_id: String,
    /// The push.
    pub payload: Payload,
}

/// A push gateway that writes down what it is given.
pub struct PushLog {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    log: Mutex<Log>,
    faults: Mutex<Faults>,
    latency: Mutex<Duration>,
    accepted: broadcast::Sender<Arc<Accepted>>,
}

struct Log {
    lines: Lines,
    tail: VecDeque<Arc<Accepted>>,
}

impl PushLog {
    /// Opens or creates the file; a line that a crash cut off was never accepted and goes.
    pub fn open(path: &Path, rotation: Rotation, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let log = Log {
            lines: Lines::open(path, rotation)?,
            tail: VecDeque::new(),
        };
        Ok(Self {
            path: path.to_owned(),
            clock,
            log: Mutex::new(log),
            faults: Mutex::default(),
            latency: Mutex::default(),
            accepted: broadcast::Sender::new(SUBSCRIBER_LAG_MAX),
        })
    }

    /// The latest pushes that this process accepted, oldest first.
    pub fn tail(&self) -> Vec<Arc<Accepted>> {
        lock(&self.log).tail.iter().cloned().collect()
    }

    /// Every push that is accepted from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Accepted>> {
        self.accepted.subscribe()
    }

    /// Adds a rule behind those that are there; the first that fits a push decides.
    pub fn add_fault(&self, rule: FaultRule) {
        lock(&self.faults).add(rule);
    }

    /// The rules that still have something to do.
    pub fn faults(&self) -> Vec<FaultRule> {
        lock(&self.faults).rules()
    }

    /// Removes every rule.
    pub fn clear_faults(&self) {
        lock(&self.faults).clear();
    }

    /// Makes every answer take this long.
    pub fn set_latency(&self, latency: Duration) {
        *lock(&self.latency) = latency;
    }

    /// How often each push was accepted, over all that is kept.
    pub fn accepted_per_push(&self) -> io::Result<HashMap<PushId, u32>> {
        accepted_per_push(&self.path)
    }

    fn accept(&self, payload: &Payload) -> io::Result<String> {
        let at = self.clock.now();
        let accepted = Arc::new(Accepted {
            at,
            gateway_id: unique_id(at).to_string(),
            payload: payload.clone(),
        });
        let mut line = serde_json::to_vec(&*accepted)?;
        line.push(b'\n');
        let mut log = lock(&self.log);
        log.lines.append(&line)?;
        if log.tail.len() == TAIL_MAX {
            log.tail.pop_front();
        }
        log.tail.push_back(Arc::clone(&accepted));
        let gateway_id = accepted.gateway_id.clone();
        // Under the lock, so that subscribers see the order of the file; it is no error that there are none.
        self.accepted.send(accepted).ok();
        Ok(gateway_id)
    }
}

#[async_trait]
impl PushGateway for PushLog {
    async fn send(&self, payload: &Payload) -> Result<String, GatewayFault> {
        let latency = *lock(&self.latency);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let verdict = lock(&self.faults).judge(&payload.device);
        if let Verdict::Refuse(fault) = verdict {
            return Err(fault);
        }
        // One write to the page cache: shorter than the way to a thread that may block.
        let accepted = self.accept(payload).map_err(|error| GatewayFault {
            class: FailureClass::Transient,
            code: "InternalError".to_owned(),
            detail: format!("{} cannot be written: {error}", self.path.display()),
            retry_after: None,
        })?;
        match verdict {
            Verdict::AcceptInSilence(fault) => Err(fault),
            _ => Ok(accepted),
        }
    }
}

/// Reads what a gateway has accepted and still keeps, live or at rest.
pub fn read_accepted(
    path: &Path,
) -> io::Result<impl Iterator<Item = io::Result<Accepted>> + use<>> {
    let lines = files::read_lines(path)?;
    Ok(lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::from)))
}

/// How often each push was accepted; more than once is a repeat.
pub fn accepted_per_push(path: &Path) -> io::Result<HashMap<PushId, u32>> {
    let mut counts = HashMap::new();
    for accepted in read_accepted(path)? {
        *counts.entry(accepted?.payload.push_id).or_default() += 1;
    }
    Ok(counts)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
