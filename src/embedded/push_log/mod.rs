//! The push gateway `log`: it accepts pushes, keeps them readable, and fails when it is told to.
//!
//! What it accepts is one line of JSON, handed to the system before the answer: a process that is killed right after
//! has still accepted. Only a power cut may take the last lines.

mod faults;

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
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
    file: File,
    /// Bytes of whole lines.
    length: u64,
    tail: VecDeque<Arc<Accepted>>,
}

impl PushLog {
    /// Opens or creates the file; a line that a crash cut off was never accepted and goes.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let length = whole_lines(&mut file)?;
        file.set_len(length)?;
        let log = Log {
            file,
            length,
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

    /// How often each push was accepted, over all the file.
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
        log.append(&line)?;
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

impl Log {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(line) {
            // Half a line would spoil the next one.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

/// Reads what a gateway has accepted, live or at rest.
pub fn read_accepted(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Accepted>>> {
    let mut lines = BufReader::new(File::open(path)?);
    Ok(std::iter::from_fn(move || {
        let mut line = String::new();
        match lines.read_line(&mut line) {
            // The last line of a live file may still be on its way.
            Ok(_) if !line.ends_with('\n') => None,
            Ok(_) => Some(serde_json::from_str(&line).map_err(io::Error::from)),
            Err(error) => Some(Err(error)),
        }
    }))
}

/// How often each push was accepted; more than once is a repeat.
pub fn accepted_per_push(path: &Path) -> io::Result<HashMap<PushId, u32>> {
    let mut counts = HashMap::new();
    for accepted in read_accepted(path)? {
        *counts.entry(accepted?.payload.push_id).or_default() += 1;
    }
    Ok(counts)
}

/// Bytes up to the last line's end.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        let mut piece = Vec::new();
        (&mut *file).take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
