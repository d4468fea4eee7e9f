//! A program as a child process that reads hostile bytes, so it gets little: no environment, one file to read and one to
//! write, bounds on time, memory and output that the kernel holds, and its end as soon as nobody waits for it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thiserror::Error;

/// Address space of the process: ten times what decoding sound takes, most of it libraries.
pub(super) const ADDRESS_SPACE_KIB: u64 = 1 << 20;
/// Under which names a child finds its files. They have no others, so that none outlives those who use it; opened by these,
/// each can be read and written from place to place, which a pipe cannot.
pub(super) const INPUT: &str = "/dev/fd/0";
pub(super) const OUTPUT: &str = "/dev/fd/1";
/// How often it is looked whether it has ended, and whether anybody still waits.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);
/// Of what it says when it fails.
const SAID_BYTES_MAX: u64 = 2 * 1024;
/// What `ulimit -f` counts in.
const FILE_BLOCK_BYTES: u64 = 512;
/// What programs say of a full disk: `ENOSPC`, in the words of a C library without an environment.
const DISK_FULL: &str = "No space left on device";

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Of the wall clock, and of the processor.
    pub(super) deadline: Duration,
    /// In its output, and in any other file that it writes.
    pub(super) output_bytes_max: u64,
}

/// Why a child yielded nothing.
#[derive(Debug, Error)]
pub(super) enum ChildFault {
    /// It cannot be run, which is no fault of its input.
    #[error("{0}")]
    Unavailable(String),
    /// There is no room for its output, which is no fault of its input either.
    #[error("{0}")]
    Full(String),
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

/// Runs a program to its end, from one file to the other. Once `unwanted` is set, it is killed.
pub(super) fn run(
    program: &Path,
    arguments: Vec<OsString>,
    (input, output): (&File, &File),
    bounds: Bounds,
    unwanted: &AtomicBool,
) -> Result<(), ChildFault> {
    let began = Instant::now();
    let files = (input.try_clone()?, output.try_clone()?);
    let mut child = Running(spawn(program, arguments, files, bounds)?);
    let stderr = child.0.stderr.take().expect("it is piped");
    let said = std::thread::spawn(move || read(stderr, SAID_BYTES_MAX));
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break status;
        }
        if unwanted.load(Ordering::Relaxed) || began.elapsed() > bounds.deadline {
            return Err(ChildFault::TooLong(bounds.deadline));
        }
        std::thread::sleep(WATCH_INTERVAL);
    };
    let said = said.join().ok().and_then(Result::ok).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    // Whatever its status: `ffmpeg` 5.1 calls it a success that the end of an Ogg is lost.
    if said.contains(DISK_FULL) {
        return Err(ChildFault::Full(said));
    }
    let written = output.metadata()?.len();
    if written > bounds.output_bytes_max {
        return Err(ChildFault::TooMuch(bounds.output_bytes_max));
    }
    if status.success() {
        return if written == 0 {
            Err(ChildFault::Nothing)
        } else {
            Ok(())
        };
    }
    // What a shell says of a program that is not there, or that cannot be run.
    if let Some(126 | 127) = status.code() {
        return Err(ChildFault::Unavailable(said));
    }
    Err(ChildFault::Failed { status, said })
}

fn spawn(
    program: &Path,
    arguments: Vec<OsString>,
    (input, output): (File, File),
    bounds: Bounds,
) -> std::io::Result<Child> {
    // The kernel's own bounds, should this process be gone and with it whoever watches.
    let seconds = bounds.deadline.as_secs() + 1;
    // More than it may write by a part of a block, which shows that it would have written more.
    let blocks = bounds.output_bytes_max / FILE_BLOCK_BYTES + 1;
    let limits =
        format!("ulimit -t {seconds} && ulimit -v {ADDRESS_SPACE_KIB} && ulimit -f {blocks}");
    let bounded = format!("{limits} && ulimit -c 0 && ulimit -n 64 && exec \"$0\" \"$@\"");
    Command::new("/bin/sh")
        .env_clear()
        .arg("-c")
        .arg(bounded)
        .arg(program)
        .args(arguments)
        .stdin(input)
        .stdout(output)
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
