//! `iyagi search rebuild`: makes the search index anew.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use iyagi_messages::cursor::Cursor;
use serde_json::{Map, json};

use super::provision::block_on;
use super::{Context, Exit, Failure, RunFlags, must_have_graph};
use crate::backfill::export::Export;
use crate::search_rebuild::{Rebuild, RebuildError};

#[derive(Debug, Subcommand)]
pub(super) enum SearchCommand {
    /// Build the index anew from the whole change log or an export, beside the one that is searched, and put it in its place.
    Rebuild(RebuildArguments),
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "The daemon keeps the index in step by itself, and makes it anew where it is damaged or of an older \
        format. This is for who doubts what it finds. On one machine the daemon must be stopped meanwhile; on AWS the \
        daemons go on, and go over to the new index."
)]
pub(super) struct RebuildArguments {
    /// Read the folder that neptune-export wrote with --format neptuneStreamsJson, and of the change log what came after:
    /// for a graph that is older than its log.
    #[arg(long, value_name = "DIR")]
    from_export: Option<PathBuf>,
    /// Which operation of the change log the export contains last [default: its lastEventId.json].
    #[arg(long, value_name = "COMMIT:OPERATION", requires = "from_export")]
    watermark: Option<Cursor>,
    /// Compare every document with the graph before the index is put in place.
    #[arg(long)]
    verify: bool,
    /// Build and compare, and leave the index that is there.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn search(context: &mut Context, command: &SearchCommand) -> Result<Exit, Failure> {
    let SearchCommand::Rebuild(arguments) = command;
    let config = context.load(&RunFlags::default())?.config;
    must_have_graph(&config)?;
    block_on(async {
        let export = arguments.from_export.as_deref();
        let export = export.map(|folder| Export::open(folder, arguments.watermark));
        let export = export.transpose().map_err(RebuildError::from)?;
        let rebuild = Rebuild::begin(config).await?;
        let errors = io::stderr();
        let built = rebuild
            .build(export.as_ref(), |as_of| {
                if errors.is_terminal() {
                    // Whoever closed it does not want to know.
                    write!(&errors, "\ras of {as_of}").ok();
                }
            })
            .await;
        if errors.is_terminal() {
            writeln!(&errors).ok();
        }
        let built = match (built, arguments.verify) {
            (Ok(built), true) => rebuild.verify().await.map(|()| built),
            (built, _) => built,
        };
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                // Why it was not built says more than why it was not taken away.
                rebuild.discard().await.ok();
                return Err(error.into());
            }
        };
        if arguments.dry_run {
            rebuild.discard().await?;
        } else {
            rebuild.publish().await?;
        }
        let out = &mut context.output;
        if out.json() {
            let rejected: Map<_, _> = built
                .rejected
                .iter()
                .map(|(reason, count)| ((*reason).to_owned(), (*count).into()))
                .collect();
            out.document(&json!({
                "as_of": built.as_of.to_string(),
                "documents": built.documents,
                "rejected": rejected,
                "left_out": built.left_out,
                "verified": arguments.verify,
                "published": !arguments.dry_run,
            }))?;
        } else {
            out.line(format_args!(
                "{} documents, as of {}",
                built.documents, built.as_of
            ))?;
            for (reason, count) in &built.rejected {
                out.line(format_args!(
                    "{count} records are in none of them: {reason}"
                ))?;
            }
            if built.left_out > 0 {
                out.line(format_args!(
                    "{} records are in none of them: `search.properties` leaves them out",
                    built.left_out
                ))?;
            }
            if arguments.verify {
                out.line("it is what the graph is")?;
            }
            out.line(if arguments.dry_run {
                "the index that was there is left: this was a dry run"
            } else {
                "it is in place"
            })?;
        }
        Ok(Exit::Done)
    })
}
