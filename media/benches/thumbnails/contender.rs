//! A persistent process that makes thumbnails: a job a line in, its cost a line out.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

/// One upload to be made thumbnails of.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) file: String,
    /// `jpeg` or `webp`.
    pub(crate) format: String,
    /// Where to keep the thumbnails: `-1080`, `-320` and `-128` are appended.
    pub(crate) keep: Option<String>,
}

/// What it cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// CPU time of the whole process, user and system.
    pub(crate) cpu_ms: f64,
}

/// The first line of a contender.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) version: String,
}

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    child: Child,
    jobs: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Contender {
    /// Starts it on one core, if `taskset` is there to hold it on one.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        folder: &Path,
    ) -> Self {
        let mut command = if has("taskset") {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let mut child = command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let jobs = child.stdin.take().expect("its input is piped");
        let mut answers = BufReader::new(child.stdout.take().expect("its output is piped"));
        let Hello { version } = answer(name, &mut answers);
        Self {
            name,
            version,
            child,
            jobs,
            answers,
        }
    }

    pub(crate) fn make(&mut self, job: &Job) -> Cost {
        let line = serde_json::to_string(job).expect("a job is plain data");
        writeln!(self.jobs, "{line}").unwrap_or_else(|error| panic!("{}: {error}", self.name));
        answer(self.name, &mut self.answers)
    }

    /// Forgets the peak of its resident memory, so that the next reading is of what came since.
    pub(crate) fn forget_peak(&self) {
        // Where the kernel refuses, the peak is of the whole run, and never too small.
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// The peak of its resident memory in megabytes.
    pub(crate) fn peak_mb(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024.0 / 1e6)
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // It ends with its input; whatever hinders that ends here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer<T: for<'a> Deserialize<'a>>(name: &str, answers: &mut impl BufRead) -> T {
    let mut line = String::new();
    let read = answers.read_line(&mut line);
    assert!(matches!(read, Ok(1..)), "{name} died");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{name} says {line:?}: {error}"))
}

/// Whether a program is there.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}
