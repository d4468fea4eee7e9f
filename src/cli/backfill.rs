//! `iyagi backfill`: makes a graph known that is older than its change log.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use iyagi_actors::subscription_matcher::bootstrap::Read;
use iyagi_messages::cursor::Cursor;
use serde_json::json;

use super::provision::block_on;
use super::{Context, Exit, Failure, RunFlags, must_have_graph};
use crate::backfill::{Backfill, Source};

#[derive(Debug, Args)]
#[command(
    after_long_help = "The change log keeps a week at most, so followers, makers, blocks and mutes from before it are \
        unknown to a daemon that begins with it. What is read is left for the daemon, which takes it over when it starts \
        next, or by `iyagi restart subscription-matcher`. From then on it tells of what comes behind the watermark, and of nothing \
        at or before it.\n\n\
        On one machine the daemon must be stopped meanwhile. On AWS it may run."
)]
#[command(group(ArgGroup::new("source").required(true).args(["from_export", "from_graph"])))]
pub(super) struct BackfillArguments {
    /// Read the folder that neptune-export wrote with --format neptuneStreamsJson.
    #[arg(long, value_name = "DIR")]
    from_export: Option<PathBuf>,
    /// Ask the graph itself, page by page, and then read what changed meanwhile.
    #[arg(long)]
    from_graph: bool,
    /// Which operation of the change log the export contains last [default: its lastEventId.json].
    #[arg(long, value_name = "COMMIT:OPERATION", requires = "from_export")]
    watermark: Option<Cursor>,
    /// Vertices or edges in one query.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    page_size: u32,
    /// Read everything, and leave nothing for the daemon.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn backfill(
    context: &mut Context,
    arguments: &BackfillArguments,
) -> Result<Exit, Failure> {
    let config = context.load(&RunFlags::default())?.config;
    must_have_graph(&config)?;
    let source = match &arguments.from_export {
        Some(folder) => Source::Export {
            folder: folder.clone(),
            watermark: arguments.watermark,
        },
        None => Source::Graph {
            page: arguments.page_size,
        },
    };
    block_on(async {
        let backfill = Backfill::open(config).await?;
        let bootstrap = backfill.read(&source, tell_progress).await;
        end_progress();
        let bootstrap = bootstrap?;
        let (read, watermark) = (bootstrap.read(), bootstrap.watermark());
        if !arguments.dry_run {
            backfill.offer(bootstrap).await?;
        }
        let out = &mut context.output;
        if out.json() {
            out.document(&json!({
                "watermark": watermark.to_string(),
                "labels": read.labels,
                "edges": read.edges,
                "properties": read.properties,
                "offered": !arguments.dry_run,
            }))?;
        } else {
            out.line(format_args!(
                "read {} labels of vertices and {} edges, as of {watermark}",
                read.labels, read.edges
            ))?;
            out.line(if arguments.dry_run {
                "nothing was left for the daemon: this was a dry run"
            } else {
                "the daemon takes it over when it starts next, or by `iyagi restart subscription-matcher`"
            })?;
        }
        Ok(Exit::Done)
    })
}

/// People who watch see that it goes on; a log file is not filled with it.
fn tell_progress(read: Read) {
    let mut errors = io::stderr();
    if errors.is_terminal() {
        // Whoever closed it does not want to know.
        write!(errors, "\r{} labels, {} edges", read.labels, read.edges).ok();
        errors.flush().ok();
    }
}

fn end_progress() {
    if io::stderr().is_terminal() {
        eprintln!();
    }
}
