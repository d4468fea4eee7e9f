//! A private Python environment for each set of pinned packages, made once under `target/` and kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};

/// Minor versions of Python 3 to look for by name, those first that the pins were chosen with.
const MINORS: [u32; 4] = [11, 13, 12, 14];
/// A package index that stumbles is asked again by pip, which waits longer each time; a download that breaks off in
/// its middle is not, so the whole installation is begun anew.
const INSTALLATIONS_TRIED: u32 = 3;
const REQUESTS_TRIED_AGAIN: &str = "8";

/// Packages, all of them pinned.
#[derive(Clone, Copy)]
pub(super) struct Requirements {
    /// Names the environment.
    pub(super) name: &'static str,
    /// The requirement file.
    pub(super) text: &'static str,
    /// Oldest minor version of Python 3 that they run on.
    pub(super) python_minor_min: u32,
}

/// Where everything is that the servers need and leave behind.
///
/// `TEST_SERVERS_DIR` lets several checkouts share one.
pub(super) fn folder() -> PathBuf {
    match std::env::var_os("TEST_SERVERS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-servers"),
    }
}

impl Requirements {
    /// Whether any Python here can run them.
    pub(super) fn python_exists(&self) -> bool {
        find(self.python_minor_min).is_some()
    }

    /// The interpreter of an environment that has exactly them.
    pub(super) fn python(&self) -> Result<PathBuf, String> {
        let system = find(self.python_minor_min).ok_or_else(|| {
            let (name, minor) = (self.name, self.python_minor_min);
            format!(
                "the tests need Python 3.{minor} or newer to run {name}: install it, or put it on the PATH"
            )
        })?;
        let digest = Sha256::digest(format!("{}\n{}", system.display(), self.text));
        let digest = u32::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"));
        let environment = folder().join(format!("{}-{digest:08x}", self.name));
        let python = environment.join("bin/python");
        let complete = environment.join("complete");
        fs::create_dir_all(folder()).map_err(|error| format!("{}: {error}", folder().display()))?;
        // Other test processes want the same environment at the same time.
        let lock = folder().join(format!("{}.lock", self.name));
        let lock = File::create(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
        lock.lock()
            .map_err(|error| format!("the lock on {}: {error}", self.name))?;
        if !complete.exists() {
            self.install(&system, &environment)?;
            fs::write(&complete, "").map_err(|error| format!("{}: {error}", complete.display()))?;
        }
        Ok(python)
    }

    fn install(&self, system: &Path, environment: &Path) -> Result<(), String> {
        // What an installation that was interrupted left behind.
        let _ = fs::remove_dir_all(environment);
        let file = environment.join("requirements.txt");
        let pip = pip(system, environment)?;
        fs::write(&file, self.text).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut install = Command::new(&pip[0]);
        install
            .args(&pip[1..])
            .args([
                "install",
                "--no-input",
                "--disable-pip-version-check",
                "--quiet",
                "--retries",
                REQUESTS_TRIED_AGAIN,
            ])
            // The file names every package, so that nothing is chosen on the day.
            .args(["--no-deps", "--requirement"])
            .arg(&file);
        let mut output = run(&mut install)?;
        for _ in 1..INSTALLATIONS_TRIED {
            if output.status.success() {
                break;
            }
            output = run(&mut install)?;
        }
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "the packages of {} cannot be installed: {}",
            self.name,
            said.trim()
        ))
    }
}

/// Makes an environment, and says how to call a pip that installs into it.
///
/// Debian parts `ensurepip` from Python; without it the machine's own pip can serve an environment that has none.
fn pip(system: &Path, environment: &Path) -> Result<Vec<String>, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let python = text(&environment.join("bin/python"));
    let output = run(Command::new(system).args(["-m", "venv"]).arg(environment))?;
    if output.status.success() {
        return Ok(vec![python, "-m".to_owned(), "pip".to_owned()]);
    }
    let _ = fs::remove_dir_all(environment);
    let output = run(Command::new(system)
        .args(["-m", "venv", "--without-pip"])
        .arg(environment))?;
    let shared = run(Command::new(system).args(["-m", "pip", "--python", &python, "--version"]))?;
    if output.status.success() && shared.status.success() {
        let words = ["-m", "pip", "--python", &python];
        return Ok([text(system)]
            .into_iter()
            .chain(words.map(str::to_owned))
            .collect());
    }
    Err(format!(
        "{} can make no environment with pip: install its venv module (on Debian, `apt-get install python3-venv`)",
        system.display()
    ))
}

/// The first Python 3 here that is new enough.
fn find(minor_min: u32) -> Option<PathBuf> {
    let by_name = MINORS
        .iter()
        .map(|minor| PathBuf::from(format!("python3.{minor}")));
    let versions = std::env::home_dir().map(|home| home.join(".pyenv/versions"));
    let of_pyenv = versions.and_then(|versions| fs::read_dir(versions).ok());
    let of_pyenv = of_pyenv.into_iter().flatten().flatten();
    let mut of_pyenv: Vec<PathBuf> = of_pyenv
        .map(|entry| entry.path().join("bin/python3"))
        .collect();
    // Always the same one, so that the environment is made once.
    of_pyenv.sort();
    let anything = std::iter::once(PathBuf::from("python3"));
    by_name
        .chain(of_pyenv)
        .chain(anything)
        .find_map(|candidate| version(&candidate).filter(|(minor, _)| *minor >= minor_min))
        .map(|(_, executable)| executable)
}

/// Minor version and true path of a Python 3. A name on the path may be a stand-in that runs none.
fn version(candidate: &Path) -> Option<(u32, PathBuf)> {
    let question = "import sys; print(sys.version_info[0], sys.version_info[1], sys.executable)";
    let output = Command::new(candidate)
        .args(["-I", "-c", question])
        .output()
        .ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let mut words = said.trim().splitn(3, ' ');
    let major = words.next()?;
    let minor = words.next()?.parse().ok()?;
    (output.status.success() && major == "3")
        .then(|| (minor, PathBuf::from(words.next().unwrap_or_default())))
}

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.output();
    output.map_err(|error| format!("{}: {error}", command.get_program().display()))
}
