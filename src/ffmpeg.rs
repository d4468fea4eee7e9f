//! Recordings that the engine does not decode itself, decoded by `ffmpeg` in a process of its own.
//!
//! It reads hostile bytes, so it gets little: no environment, no network, no input but the one file, bounds on time, memory
//! and output that the kernel holds, and its end as soon as nobody waits for it. What it yields is FLAC: without loss, and
//! a fraction of a WAVE.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use iyagi_actors::ports::{DecoderFault, RecordingDecoder};

/// Address space of the process: ten times what decoding sound takes, most of it libraries.
const ADDRESS_SPACE_KIB: u64 = 1 << 20;
/// How often it is asked whether anybody still waits.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);
/// Demuxers that read nothing but the file they are given. Others are lists of further files, and a hostile list would have
/// this host's own files for a recording.
const FORMATS: &str =
    "mov,aac,amr,amrnb,amrwb,ogg,matroska,asf,wav,w64,mp3,flac,caf,aiff,au,ac3,eac3";
/// Of what it says when it fails.
const SAID_BYTES_MAX: u64 = 2 * 1024;

/// A decoder that runs `ffmpeg`.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    program: PathBuf,
    output_bytes_max: u64,
    duration_s_max: u64,
}

impl Ffmpeg {
    /// The one at `program`, an absolute path. Longer sound, or more bytes of output, are refused.
    pub fn new(program: PathBuf, output_bytes_max: u64, duration_s_max: u64) -> Self {
        Self {
            program,
            output_bytes_max,
            duration_s_max,
        }
    }

    fn run(
        &self,
        bytes: &[u8],
        deadline: Duration,
        unwanted: &AtomicBool,
    ) -> Result<Vec<u8>, DecoderFault> {
        let unavailable = |error: std::io::Error| DecoderFault::Unavailable(error.to_string());
        let began = Instant::now();
        // A file and not a pipe: the index of many recordings is at their end.
        let mut input = tempfile::NamedTempFile::new().map_err(unavailable)?;
        input.write_all(bytes).map_err(unavailable)?;
        let mut child = Running(self.spawn(input.path(), deadline).map_err(unavailable)?);
        let stdout = child.0.stdout.take().expect("it is piped");
        let stderr = child.0.stderr.take().expect("it is piped");
        let (tell, told) = mpsc::channel();
        let output_bytes_max = self.output_bytes_max;
        std::thread::spawn(move || {
            // Nobody listens any more if the time was over.
            tell.send(read(stdout, output_bytes_max + 1)).ok();
        });
        let said = std::thread::spawn(move || read(stderr, SAID_BYTES_MAX));
        let output = loop {
            if unwanted.load(Ordering::Relaxed) || began.elapsed() > deadline {
                let why = format!("it took longer than {deadline:?}");
                return Err(DecoderFault::Refused(why));
            }
            match told.recv_timeout(WATCH_INTERVAL) {
                Ok(output) => break output.map_err(unavailable)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let why = "its output cannot be read".to_owned();
                    return Err(DecoderFault::Unavailable(why));
                }
            }
        };
        if output.len() as u64 > self.output_bytes_max {
            let why = format!("it is more than {} bytes of FLAC", self.output_bytes_max);
            return Err(DecoderFault::Refused(why));
        }
        let status = child.0.wait().map_err(unavailable)?;
        if status.success() && !output.is_empty() {
            return Ok(output);
        }
        let said = said.join().ok().and_then(Result::ok).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        // What a shell says of a program that is not there, or that cannot be run.
        if let Some(126 | 127) = status.code() {
            return Err(DecoderFault::Unavailable(said));
        }
        Err(DecoderFault::Refused(format!("{status}: {said}")))
    }

    fn spawn(&self, input: &Path, deadline: Duration) -> std::io::Result<Child> {
        // The kernel's own bounds, should this process be gone and with it whoever watches.
        let seconds = deadline.as_secs() + 1;
        let bounds = format!("ulimit -t {seconds} && ulimit -v {ADDRESS_SPACE_KIB} && ulimit -c 0");
        let bounded = format!("{bounds} && ulimit -n 64 && exec \"$0\" \"$@\"");
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .arg("-c")
            .arg(bounded)
            .arg(&self.program);
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
        command.args(["-threads", "1", "-protocol_whitelist", "file"]);
        command.args(["-format_whitelist", FORMATS, "-i"]);
        command.arg(input);
        command.args([
            "-map",
            "0:a:0",
            "-map_metadata",
            "-1",
            "-fflags",
            "+bitexact",
        ]);
        // One second more than is allowed, so that the engine sees that it is too long.
        command.arg("-t").arg((self.duration_s_max + 1).to_string());
        command.args(["-c:a", "flac", "-compression_level", "1", "-f", "flac"]);
        command.args(["-protocol_whitelist", "pipe", "pipe:1"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
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

/// Says that nobody waits any more.
struct Watch(Arc<AtomicBool>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl RecordingDecoder for Ffmpeg {
    async fn decode(
        &self,
        bytes: Arc<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Vec<u8>, DecoderFault> {
        let watch = Watch(Arc::new(AtomicBool::new(false)));
        let (ffmpeg, unwanted) = (self.clone(), Arc::clone(&watch.0));
        let work = move || ffmpeg.run(&bytes, deadline, &unwanted);
        let ran = tokio::task::spawn_blocking(work).await;
        ran.unwrap_or_else(|error| Err(DecoderFault::Unavailable(error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program that stands for `ffmpeg`, so that no machine needs it for the tests.
    fn standing_in(folder: &tempfile::TempDir, script: &str) -> Ffmpeg {
        let program = folder.path().join("ffmpeg");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, executable).expect("allowed");
        Ffmpeg::new(program, 1_000, 3_600)
    }

    async fn decode(ffmpeg: &Ffmpeg, deadline: Duration) -> Result<Vec<u8>, DecoderFault> {
        let bytes = Arc::new(b"a recording".to_vec());
        ffmpeg.decode(bytes, deadline).await
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    const PATIENT: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn what_it_writes_is_what_is_got_and_it_reads_the_file_it_is_given() {
        let folder = folder();
        // The file is behind `-i`.
        let script = "while [ \"$1\" != -i ]; do shift; done; /bin/cat \"$2\"";
        let decoded = decode(&standing_in(&folder, script), PATIENT).await;
        assert_eq!(decoded, Ok(b"a recording".to_vec()));
    }

    #[tokio::test]
    async fn it_has_no_environment_and_bounded_memory() {
        let folder = folder();
        let script = "echo \"${HOME-none} $(ulimit -v)\"";
        let decoded = decode(&standing_in(&folder, script), PATIENT).await;
        let said = decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(said, Ok(format!("none {ADDRESS_SPACE_KIB}\n")));
    }

    #[tokio::test]
    async fn it_reads_no_format_that_names_other_files() {
        let folder = folder();
        let decoded = decode(&standing_in(&folder, "echo \"$*\""), PATIENT).await;
        let said = String::from_utf8(decoded.expect("it speaks")).expect("text");
        let (before, _) = said.split_once(" -i ").expect("an input");
        let (_, formats) = before.split_once("-format_whitelist ").expect("a list");
        for format in formats.split(',') {
            assert!(!["hls", "concat", "dash", "sdp", "applehttp"].contains(&format));
        }
    }

    #[tokio::test]
    async fn a_refusal_says_why() {
        let folder = folder();
        let refused = decode(
            &standing_in(&folder, "echo no such codec >&2; exit 1"),
            PATIENT,
        )
        .await;
        let Err(DecoderFault::Refused(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(why.contains("no such codec"), "{why}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_no_fault_of_the_recording() {
        let nowhere = Ffmpeg::new("/nowhere/ffmpeg".into(), 1_000, 3_600);
        let refused = decode(&nowhere, PATIENT).await;
        assert!(
            matches!(refused, Err(DecoderFault::Unavailable(_))),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn more_than_is_allowed_is_refused() {
        let folder = folder();
        let script = "while :; do echo more and more; done";
        let refused = decode(&standing_in(&folder, script), PATIENT).await;
        let Err(DecoderFault::Refused(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(why.contains("1000 bytes"), "{why}");
    }

    #[tokio::test]
    async fn one_that_never_ends_is_ended_at_its_deadline() {
        let folder = folder();
        let mark = folder.path().join("pid");
        let script = format!("echo $$ > {}; while :; do :; done", mark.display());
        let refused = decode(&standing_in(&folder, &script), Duration::from_millis(300)).await;
        assert!(
            matches!(refused, Err(DecoderFault::Refused(_))),
            "{refused:?}"
        );
        let pid = std::fs::read_to_string(&mark).expect("it ran");
        let gone = !Path::new("/proc").join(pid.trim()).exists();
        assert!(gone, "process {pid} is still there");
    }
}
