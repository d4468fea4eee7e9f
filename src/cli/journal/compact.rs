//! `iyagi journal compact`: takes what is over out of the journal, by hand.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use clap::Args;
use iyagi_actors::ports::Clock as _;
use iyagi_actors::retention::Count;
use iyagi_messages::ids::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::cli::control::Reason;
use crate::cli::output::moment_of;
use crate::cli::provision::block_on;
use crate::cli::{Context, Exit, Failure, Output, RunFlags};
use crate::clock::SystemClock;
use crate::config::Loaded;
use crate::daemon::LockError;
use crate::embedded::journal::Outcome;
use crate::retention::{AtRest, AtRestError, kept_since};
use crate::tell::{moment, number};

use super::EVENTS;

const PATH: &str = "/v1/ops/compaction";
/// How often the daemon is asked whether it has done it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the daemon tells of its runs.
#[derive(Debug, Deserialize)]
struct Standing {
    running: bool,
    runs: u64,
    failed: u64,
    last: Option<Outcome>,
    preview: Option<Outcome>,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "Events that are old enough are exported first, and what they tell of must be over: a push that was sent, \
        a letter that was purged. What lasts or is pending stays, however old it is. Each export is read back before anything \
        is taken out, and a run that was interrupted is ended by the next. A daemon that is running does it itself, when it is asked to."
)]
pub(in crate::cli) struct CompactArguments {
    /// Only what was appended before this moment, or longer ago than so, such as 30d [default:
    /// what the configuration keeps].
    #[arg(long, value_name = "WHEN", value_parser = moment_of)]
    older_than: Option<Timestamp>,
    /// Only tell what would be taken out, and what holds the rest.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: Reason,
}

pub(super) fn compact(
    context: &mut Context,
    arguments: &CompactArguments,
) -> Result<Exit, Failure> {
    context.journal_path()?;
    let loaded = context.load(&RunFlags::default())?;
    let kept = loaded.config.journal_keep_days();
    let kept = kept.map(|days| kept_since(SystemClock.now(), days));
    let until = arguments.older_than.or(kept);
    let until = until.ok_or_else(|| Failure::Usage {
        what: "`journal.retention.keep_days` is 0, so it does not say what is old enough"
            .to_owned(),
        help: "say it with --older-than, such as --older-than 90d".to_owned(),
    })?;
    let outcome = match at_rest(loaded, until, arguments.dry_run) {
        Err(Failure::Compaction(AtRestError::Lock(LockError::Taken { .. }))) => {
            by_daemon(context, until, arguments)?
        }
        outcome => outcome?,
    };
    let out = &mut context.output;
    if out.json() {
        let mut document = json!(outcome);
        document["until"] = json!(until);
        document["dry_run"] = json!(arguments.dry_run);
        out.document(&document)?;
    } else {
        tell(out, &outcome, until, arguments.dry_run)?;
    }
    Ok(Exit::Done)
}

fn at_rest(loaded: Loaded, until: Timestamp, dry_run: bool) -> Result<Outcome, Failure> {
    block_on(async {
        let journal = AtRest::open(loaded).await?;
        Ok(journal.compact(until, dry_run).await?)
    })
}

/// The daemon that has the journal does it.
fn by_daemon(
    context: &Context,
    until: Timestamp,
    arguments: &CompactArguments,
) -> Result<Outcome, Failure> {
    let operations = context.operations()?;
    let before: Standing = operations.get(PATH)?;
    let mut body = json!({ "before": until, "dry_run": arguments.dry_run });
    arguments.reason.add_to(&mut body);
    let mut standing: Standing = operations.post(PATH, &body)?;
    if let Some(preview) = standing.preview {
        return Ok(preview);
    }
    // The first to end may have begun before this order; this one comes behind it.
    let wanted = before.runs + 1 + u64::from(before.running);
    while standing.runs < wanted {
        thread::sleep(LOOK_EVERY);
        standing = operations.get(PATH)?;
    }
    match standing.last {
        Some(outcome) if standing.failed == before.failed => Ok(outcome),
        _ => Err(Failure::NotFound {
            what: "the daemon could not compact the journal".to_owned(),
            help: "its log says why; it tries again by itself".to_owned(),
        }),
    }
}

fn tell(
    out: &mut Output,
    outcome: &Outcome,
    until: Timestamp,
    dry_run: bool,
) -> Result<(), Failure> {
    for export in &outcome.exports {
        out.line(format_args!(
            "exported {} to {}: {} ({} bytes)",
            export.first, export.last, export.file, export.bytes
        ))?;
    }
    let rows: Vec<Vec<String>> = outcome
        .kinds
        .iter()
        .map(|(kind, count)| {
            let stay: u64 = count.stay.values().sum();
            vec![
                kind.clone(),
                count.go.to_string(),
                stay.to_string(),
                held(count),
            ]
        })
        .collect();
    if !rows.is_empty() {
        out.table(&["KIND", "GO", "STAY", "HELD BY"], &rows)?;
    }
    let before = moment(until);
    let taken_out = number(outcome.taken_out, EVENTS);
    if dry_run {
        out.line(format_args!(
            "would be taken out: {taken_out} of before {before}"
        ))?;
    } else {
        out.line(format_args!(
            "taken out: {taken_out} of before {before}; given back: {} bytes",
            outcome.returned_bytes
        ))?;
    }
    Ok(())
}

/// What holds the events of a kind, the most of them first.
fn held(count: &Count) -> String {
    let mut holds: Vec<_> = count.stay.iter().collect();
    holds.sort_by_key(|(hold, events)| (std::cmp::Reverse(**events), **hold));
    let mut text = String::new();
    for (hold, events) in holds {
        let comma = if text.is_empty() { "" } else { ", " };
        write!(text, "{comma}{}: {events}", hold.as_str())
            .expect("writing to a String cannot fail");
    }
    text
}
