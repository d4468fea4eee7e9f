//! One server as a child process: a free port, a log, readiness, and its end with the test process.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Program, python};

const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws/servers/launch.py");
/// A loaded machine takes 20 s to start the slowest.
const START_PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);
/// Between asking for a free port and using it somebody else may take it.
const PORTS_TRIED: u32 = 3;
/// Logs of earlier runs are kept for as long as somebody may want to read them.
const LOG_KEPT: Duration = Duration::from_hours(24);

/// A server that ends when this is dropped, or when this process ends.
pub(super) struct Process {
    url: String,
    /// Its standard input is a pipe that closes with this process.
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a server and waits until it answers.
    pub(super) fn start(program: &Program, arguments: &[&str]) -> Result<Self, String> {
        let python = program.requirements.python()?;
        let mut problem = String::new();
        for _ in 0..PORTS_TRIED {
            let mut process = Self::spawn(&python, program, arguments)?;
            match process.wait_until_ready(program) {
                Ok(()) => return Ok(process),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn spawn(python: &PathBuf, program: &Program, arguments: &[&str]) -> Result<Self, String> {
        let said = |error: std::io::Error| format!("{} cannot be started: {error}", program.name);
        let folder = python::folder();
        let port = free_port().map_err(said)?;
        let logs = folder.join("logs");
        let scratch = folder.join("scratch");
        fs::create_dir_all(&logs).map_err(said)?;
        fs::create_dir_all(&scratch).map_err(said)?;
        remove_old_logs(&logs);
        let log = logs.join(format!("{}-{port}.log", program.name));
        let output = File::create(&log).map_err(said)?;
        let child = Command::new(python)
            .args(["-I", "-u", LAUNCHER, program.name, &port.to_string()])
            .args(arguments)
            .current_dir(&scratch)
            // No profile, proxy or switch of this machine reaches a server.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", &scratch)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().map_err(said)?)
            .stderr(output)
            .spawn()
            .map_err(said)?;
        let url = format!("http://127.0.0.1:{port}");
        Ok(Self { url, child, log })
    }

    fn wait_until_ready(&mut self, program: &Program) -> Result<(), String> {
        let deadline = Instant::now() + START_PATIENCE;
        let address = format!("{}{}", self.url, program.ready_path);
        let log = self.log.display();
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended with {status}: see {log}", program.name));
            }
            if ureq::get(&address).call().is_ok() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        let waited = START_PATIENCE.as_secs();
        Err(format!(
            "{} does not answer after {waited} s: see {log}",
            program.name
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The launcher ends by itself on that; it is only awaited here, so that no zombie stays.
        let _ = self.child.wait();
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn remove_old_logs(logs: &PathBuf) {
    let entries = fs::read_dir(logs).into_iter().flatten().flatten();
    for entry in entries {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LOG_KEPT));
        if old {
            // Another process may have removed it first.
            let _ = fs::remove_file(entry.path());
        }
    }
}
