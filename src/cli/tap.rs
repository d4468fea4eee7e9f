//! `iyagi tap push`: what the gateway accepts, as it does.

use std::io::{self, BufRead};

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::{Context, Exit, Failure};
use crate::embedded::push_log::Accepted;
use crate::tell::moment;

#[derive(Debug, Subcommand)]
pub(super) enum TapCommand {
    /// Every push that the gateway accepts from now on.
    Push(PushArguments),
}

#[derive(Debug, Args)]
pub(super) struct PushArguments {
    /// Begin with the last so many that were accepted before.
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1024))]
    tail: u64,
    /// Stop after so many.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// One line of the tap.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Missed { missed: u64 },
    Push(Box<Accepted>),
}

pub(super) fn tap(context: &mut Context, command: &TapCommand) -> Result<Exit, Failure> {
    let TapCommand::Push(PushArguments { tail, limit }) = command;
    let operations = context.operations()?;
    let lines = operations.lines(&format!("/v1/ops/tap/push?tail={tail}"))?;
    let mut left = limit.unwrap_or(u64::MAX);
    for line in lines.lines() {
        let line = line?;
        // Empty lines say that the daemon is still there.
        if line.is_empty() {
            continue;
        }
        match serde_json::from_str(&line).map_err(io::Error::from)? {
            Line::Missed { missed } => eprintln!("missed {missed}: this reader is too slow"),
            Line::Push(push) => {
                show(context, &line, &push)?;
                left -= 1;
            }
        }
        if left == 0 {
            return Ok(Exit::Done);
        }
    }
    // The daemon went down.
    Ok(Exit::TryAgain)
}

fn show(context: &mut Context, line: &str, push: &Accepted) -> io::Result<()> {
    let out = &mut context.output;
    if out.json() {
        out.line(line)?;
    } else {
        let Accepted { at, payload, .. } = push;
        out.line(format_args!(
            "{}  {}  {}: {}  ({})",
            moment(*at),
            payload.device,
            payload.title,
            payload.body,
            payload.push_id
        ))?;
    }
    out.flush()
}
