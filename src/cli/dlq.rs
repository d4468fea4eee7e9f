//! `iyagi dlq`: dead letters of a live daemon.

mod listing;
mod settling;

use clap::{Args, Subcommand};
use iyagi_messages::ids::Timestamp;
use iyagi_messages::letter::Origin;
use serde_json::{Map, Value, json};

use self::listing::{LsArguments, ShowArguments};
use self::settling::{PurgeArguments, RedriveArguments};
use super::operations::encoded;
use super::output::moment_of;
use super::{Context, Exit, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// List dead letters, the newest first.
    Ls(LsArguments),
    /// Show a dead letter with its history.
    Show(ShowArguments),
    /// Try jobs anew.
    Redrive(RedriveArguments),
    /// Give jobs up for good.
    Purge(PurgeArguments),
}

/// Which letters are meant; what is not given does not restrict.
#[derive(Debug, Args)]
#[group(id = "filter", multiple = true)]
struct Filter {
    /// Only of this job: push, thumbnails, audio, metadata or document.
    #[arg(long)]
    origin: Option<String>,
    /// Only given up for this reason, such as poison.
    #[arg(long)]
    reason: Option<String>,
    /// Only pushes that were matched by this template.
    #[arg(long)]
    template: Option<String>,
    /// Only pushes to this person.
    #[arg(long)]
    person: Option<String>,
    /// Only pushes to phones of this push service: fcm or apns.
    #[arg(long)]
    platform: Option<String>,
    /// Only given up since then: a moment such as 2026-11-25T08:30Z, or how long ago, such as 2h.
    #[arg(long, value_name = "WHEN", value_parser = moment_of)]
    since: Option<Timestamp>,
    /// Only given up before then.
    #[arg(long, value_name = "WHEN", value_parser = moment_of)]
    until: Option<Timestamp>,
}

impl Filter {
    /// What is restricted, by the names that the daemon knows.
    fn fields(&self) -> Map<String, Value> {
        let all = [
            ("origin", json!(self.origin)),
            ("reason", json!(self.reason)),
            ("template", json!(self.template)),
            ("person", json!(self.person)),
            ("platform", json!(self.platform)),
            ("since", json!(self.since)),
            ("until", json!(self.until)),
        ];
        let given = all.into_iter().filter(|(_, value)| !value.is_null());
        given
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// The same as a query, each parameter behind a `&`.
    fn query(&self) -> String {
        let mut query = String::new();
        for (name, value) in self.fields() {
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            query.extend(["&", &name, "=", &encoded(&text)]);
        }
        query
    }
}

pub(super) fn dlq(context: &mut Context, command: &DlqCommand) -> Result<Exit, Failure> {
    let operations = context.operations()?;
    match command {
        DlqCommand::Ls(arguments) => listing::ls(context, &operations, arguments),
        DlqCommand::Show(arguments) => listing::show(context, &operations, arguments),
        DlqCommand::Redrive(arguments) => settling::redrive(context, operations, arguments),
        DlqCommand::Purge(arguments) => settling::purge(context, operations, arguments),
    }
}

fn job(origin: &Origin) -> String {
    match origin {
        Origin::Push { recipient, .. } => format!("to {recipient}"),
        Origin::Object { key, .. } => key.clone(),
        Origin::Document { element, .. } => element.to_string(),
    }
}
