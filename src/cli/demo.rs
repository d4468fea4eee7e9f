//! `iyagi demo`

use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Context, Exit, Failure};
use crate::demo::{DemoOptions, DemoOutcome, Style, run_to};

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Stop after the table instead of running on; status 0 only if the audit passes.
    #[arg(long)]
    exit: bool,
    /// Also upload the files of this folder.
    #[arg(long, value_name = "DIR")]
    media: Option<PathBuf>,
    /// Play this story; its files lie in the folder `media` beside it.
    #[arg(long, value_name = "FILE")]
    story: Option<PathBuf>,
    /// Play faster or slower: 2 is twice as fast.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    speed: f32,
    /// Play in this new folder and leave it, for `iyagi --config DIR/iyagi.toml` with why, why-not, what-if and others.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) fn demo(context: &mut Context, arguments: DemoArguments) -> Result<Exit, Failure> {
    let DemoArguments {
        exit,
        media,
        story,
        speed,
        keep,
    } = arguments;
    let options = DemoOptions {
        exit,
        media,
        story,
        speed,
        keep,
    };
    let outcome = if context.output.json() {
        // The narrative is for people, so it goes beside the result.
        let outcome = run_to(&options, &mut io::stderr(), Style::PLAIN)?;
        context.output.document(&json!({
            "passed": outcome.passed(),
            "played": outcome.played,
            "drained": outcome.drained,
            "faults": outcome.faults(),
            "audit": outcome.audit,
        }))?;
        outcome
    } else {
        run_to(&options, &mut io::stdout(), Style::of_stdout())?
    };
    Ok(exit_of(&outcome))
}

fn exit_of(outcome: &DemoOutcome) -> Exit {
    if outcome.passed() {
        Exit::Done
    } else {
        Exit::Failed
    }
}
