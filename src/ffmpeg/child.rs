//! A program as a child process that reads hostile bytes, so it gets little: no environment, no input but what its
//! arguments name, bounds on time, memory and output that the kernel holds, and its end as soon as nobody waits for it.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use thiserror::Error;

/// Address space of the process: ten times what decoding sound takes, most of it libraries.
pub(super) const ADDRESS_SPACE_KIB: u64 = 1 << 20;
/// How often it is asked whether anybody still waits.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);
/// Of what it says when it fails.
const SAID_BYTES_MAX: u64 = 2 * 1024;
/// What `ulimit -f` counts in.
const FILE_BLOCK_BYTES: u64 = 512;

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Of the wall clock, and of the processor.
    pub(super) deadline: Duration,
    /// On its output, and in each file that it writes.
    pub(super) output_bytes_max: u64,
}

/// Why a child yielded nothing.
#[derive(Debug, Error)]
pub(super) enum ChildFault {
    /// It cannot be run, which is no fault of its input.
    #[error("{0}")]
    Unavailable(String),
    /// It took longer than it may, or nobody waits for it any more.
    #[error("it took longer than {0:?}")]
    TooLong(Duration),
    /// It wrote more than it may.
    #[error("it is more than {0} bytes")]
    TooMuch(u64),
    /// It says that all is well, and wrote nothing.
    #[error("it yielded nothing")]
    Nothing,
    /// It failed, as it says itself.
    #[error("{status}: {said}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote about it.
        said: String,
    },
}

impl From<std::io::Error> for ChildFault {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Runs a program to its end and returns what it wrote to its standard output. Once `unwanted` is set, it is killed.
pub(super) fn run(
    program: &Path,
    arguments: Vec<OsString>,
    bounds: Bounds,
    unwanted: &AtomicBool,
) -> Result<Vec<u8>, ChildFault> {
    let began = Instant::now();
    let mut child = Running(spawn(program, arguments, bounds)?);
    let stdout = child.0.stdout.take().expect("it is piped");
    let stderr = child.0.stderr.take().expect("it is piped");
    let (tell, told) = mpsc::channel();
    let output_bytes_max = bounds.output_bytes_max;
    std::thread::spawn(move || {
        // Nobody listens any more if the time was over.
        tell.send(read(stdout, output_bytes_max + 1)).ok();
    });
    let said = std::thread::spawn(move || read(stderr, SAID_BYTES_MAX));
    let output = loop {
        if unwanted.load(Ordering::Relaxed) || began.elapsed() > bounds.deadline {
            return Err(ChildFault::TooLong(bounds.deadline));
        }
        match told.recv_timeout(WATCH_INTERVAL) {
            Ok(output) => break output?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let why = "its output cannot be read".to_owned();
                return Err(ChildFault::Unavailable(why));
            }
        }
    };
    if output.len() as u64 > output_bytes_max {
        return Err(ChildFault::TooMuch(output_bytes_max));
    }
    let status = child.0.wait()?;
    if status.success() {
        return Ok(output);
    }
    let said = said.join().ok().and_then(Result::ok).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    // What a shell says of a program that is not there, or that cannot be run.
    if let Some(126 | 127) = status.code() {
        return Err(ChildFault::Unavailable(said));
    }
    Err(ChildFault::Failed { status, said })
}

fn spawn(program: &Path, arguments: Vec<OsString>, bounds: Bounds) -> std::io::Result<Child> {
    // The kernel's own bounds, should this process be gone and with it whoever watches.
    let seconds = bounds.deadline.as_secs() + 1;
    let blocks = bounds.output_bytes_max.div_ceil(FILE_BLOCK_BYTES);
    let limits =
        format!("ulimit -t {seconds} && ulimit -v {ADDRESS_SPACE_KIB} && ulimit -f {blocks}");
    let bounded = format!("{limits} && ulimit -c 0 && ulimit -n 64 && exec \"$0\" \"$@\"");
    Command::new("/bin/sh")
        .env_clear()
        .arg("-c")
        .arg(bounded)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// A process that does not outlive the wait for it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error says that it has ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn read(from: impl Read, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
