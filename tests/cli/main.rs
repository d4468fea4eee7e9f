//! The real binary: what it says of every mistake, and how it ends.

#[path = "../http/bearer.rs"]
mod bearer;
mod config;
mod daemon;
mod data_folder;
mod hindsight;
mod journal;
mod letters;
mod live;
mod search;
mod surface;
mod templates;
mod why_page;

use std::path::Path;
use std::process::{Command, Output};

/// A call in a folder of its own, with nothing of this process's environment that could matter.
struct Call {
    command: Command,
}

/// What came of it.
struct Answer {
    status: i32,
    out: String,
    err: String,
}

impl Call {
    fn new(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iyagi"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("IYAGI_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(folder)
            .args(arguments)
            .env_remove("NO_COLOR");
        Self { command }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn answer(mut self) -> Answer {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command.output().expect("the binary starts");
        Answer {
            status: status.code().expect("it ends by itself"),
            out: String::from_utf8(stdout).expect("UTF-8"),
            err: String::from_utf8(stderr).expect("UTF-8"),
        }
    }
}

fn iyagi(folder: &Path, arguments: &[&str]) -> Answer {
    Call::new(folder, arguments).answer()
}
