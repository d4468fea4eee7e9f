//! A million pushes that wait for a push service that is down, and the daemon that is killed meanwhile.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use iyagi::config::{Config, built_in_templates};
use iyagi::daemon::{Daemon, DaemonError, block_on};
use iyagi::embedded::push_log::{FaultClass, FaultRule};
use iyagi::surface::OneMachine;

use super::sending::{introduce, request};

/// Makes this program a daemon to which the pushes come.
pub(crate) const FILL: &str = "--fill";
/// Makes this program the daemon after it.
pub(crate) const GO_ON: &str = "--go-on";

const PUSHES: usize = 1_000_000;
const CHUNK: usize = 1_000;
/// Pushes between two looks at the memory.
const LOOK_EVERY: usize = 100_000;
/// As the unit of systemd sets it.
const ALLOCATOR: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "100");
/// How long the memory is looked at while the pushes are sent.
const SENDING: Duration = Duration::from_secs(20);

pub(crate) fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let began = Instant::now();
    let mut daemon = start(FILL, folder.path());
    until(&mut daemon, "filled");
    println!("{PUSHES} pushes requested in {:.0?}", began.elapsed());
    daemon.kill().expect("it lives");
    daemon.wait().expect("it is gone");
    let size = fs::metadata(folder.path().join("journal.db")).map_or(0, |file| file.len());
    println!(
        "killed with SIGKILL; the journal has {:.0} MB",
        size as f64 / 1e6
    );
    let mut daemon = start(GO_ON, folder.path());
    until(&mut daemon, "done");
    daemon.wait().expect("it ends by itself");
}

fn start(role: &str, folder: &Path) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    let (option, value) = ALLOCATOR;
    command.arg(role).arg(folder).env(option, value);
    command.stdout(Stdio::piped());
    command.spawn().expect("it starts")
}

/// Prints what a daemon tells, up to a word.
fn until(daemon: &mut Child, word: &str) {
    let told = daemon.stdout.take().expect("piped");
    for line in BufReader::new(told).lines() {
        let line = line.expect("text");
        if line == word {
            return;
        }
        println!("{line}");
    }
    panic!("the daemon ended before it was {word}");
}

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    // Each push by itself and at once, whatever came before it.
    config.push.moderate = false;
    config.push.rate.burst = 0;
    folder.clone_into(&mut config.data.dir);
    config.http.public.set_port(0);
    config.http.operations.set_port(0);
    config.push.max_in_flight = 64;
    config
}

pub(crate) fn fill(folder: &Path) {
    let filled = block_on(async {
        let daemon = Daemon::start(config(folder), built_in_templates()).await?;
        let here = daemon.surface.one_machine.as_ref();
        let OneMachine {
            graph, push_log, ..
        } = here.expect("everything is on one machine");
        introduce(graph).await;
        push_log.add_fault(FaultRule {
            device: None,
            class: FaultClass::ApplicationBroken,
            times: None,
            retry_after_seconds: None,
        });
        for start in (0..PUSHES).step_by(CHUNK) {
            if start % LOOK_EVERY == 0 {
                println!("{start:>9} pending, resident {:>6.1} MB", resident("VmRSS"));
            }
            request(&*daemon.surface.journal, start..start + CHUNK).await;
        }
        // Long enough for a snapshot.
        tokio::time::sleep(Duration::from_secs(12)).await;
        let pending = daemon.surface.tree.projections.outbox().counts.pending;
        println!(
            "{pending:>9} pending, resident {:>6.1} MB, at most {:.1} MB   (goal < 300)",
            resident("VmRSS"),
            resident("VmHWM")
        );
        println!("filled");
        std::future::pending::<()>().await;
        Ok::<_, DaemonError>(())
    });
    filled.expect("the daemon runs");
}

pub(crate) fn go_on(folder: &Path) {
    let began = Instant::now();
    let ended = block_on(async {
        let daemon = Daemon::start(config(folder), built_in_templates()).await?;
        let here = daemon.surface.one_machine.as_ref();
        let push_log = &here.expect("everything is on one machine").push_log;
        let ready = began.elapsed();
        let sent = || daemon.surface.tree.projections.outbox().counts.sent;
        while push_log.tail().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!(
            "restart: up after {ready:.2?}, first push accepted after {:.2?}   (goal < 3 s); resident {:.1} MB, at most {:.1} MB",
            began.elapsed(),
            resident("VmRSS"),
            resident("VmHWM"),
        );
        let (sending, before) = (Instant::now(), sent());
        let mut most: f64 = 0.0;
        while sending.elapsed() < SENDING {
            tokio::time::sleep(Duration::from_millis(100)).await;
            most = most.max(resident("VmRSS"));
        }
        println!(
            "sending {:.0} a second, resident {most:.1} MB at most   (goal < 300)",
            (sent() - before) as f64 / sending.elapsed().as_secs_f64()
        );
        println!("done");
        daemon.stop().await;
        Ok::<_, DaemonError>(())
    });
    ended.expect("the daemon runs");
}

/// Megabytes of this process.
fn resident(which: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let figure = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    let kilobytes: f64 = figure.and_then(|figure| figure.parse().ok()).unwrap_or(0.0);
    kilobytes * 1_024.0 / 1e6
}
