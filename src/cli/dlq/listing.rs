//! `iyagi dlq ls | show`

use std::io;

use clap::Args;
use iyagi_messages::event::Event;
use iyagi_messages::ids::{LetterId, Timestamp};
use iyagi_messages::letter::Letter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Filter, job};
use crate::cli::{Context, Exit, Failure, Operations, Output};
use crate::tell::{moment, sentence};

/// Letters that are asked for at once.
const PAGE: usize = 1_000;

#[derive(Debug, Args)]
pub(in crate::cli) struct LsArguments {
    #[command(flatten)]
    filter: Filter,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    /// Count them by origin and reason instead.
    #[arg(long, conflicts_with = "limit")]
    groups: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArguments {
    /// The letter.
    #[arg(value_name = "LETTER")]
    id: LetterId,
}

#[derive(Debug, Deserialize)]
struct Page {
    letters: Vec<Value>,
    next: Option<String>,
    conservation: Conservation,
}

#[derive(Debug, Deserialize)]
struct Groups {
    groups: Vec<Group>,
    conservation: Conservation,
}

#[derive(Debug, Deserialize)]
struct Group {
    origin: String,
    reason: String,
    count: u64,
    oldest_at: Timestamp,
    newest_at: Timestamp,
}

/// What became of all pushes that were ever matched.
#[derive(Debug, Deserialize, Serialize)]
struct Conservation {
    matched: u64,
    sent: u64,
    dead: u64,
    suppressed: u64,
    pending: u64,
    difference: u64,
}

/// A letter with what the daemon knows of it.
#[derive(Debug, Deserialize)]
struct View {
    #[serde(flatten)]
    letter: Letter,
    waiting: bool,
    expires_at: Option<Timestamp>,
    message_id: Option<String>,
    corr: String,
    template: Option<String>,
    #[serde(default)]
    history: Vec<Event>,
}

pub(super) fn ls(
    context: &mut Context,
    operations: &Operations,
    arguments: &LsArguments,
) -> Result<Exit, Failure> {
    if arguments.groups {
        return groups(context, operations, &arguments.filter);
    }
    let mut letters = Vec::new();
    let mut cursor: Option<String> = None;
    let conservation = loop {
        let limit = (arguments.limit - letters.len()).clamp(1, PAGE);
        let mut path = format!(
            "/v1/ops/dead-letters?limit={limit}{}",
            arguments.filter.query()
        );
        if let Some(cursor) = &cursor {
            path.extend(["&cursor=", cursor]);
        }
        let page: Page = operations.get(&path)?;
        letters.extend(page.letters);
        cursor = page.next;
        if cursor.is_none() || letters.len() >= arguments.limit {
            break page.conservation;
        }
    };
    letters.truncate(arguments.limit);
    let out = &mut context.output;
    if out.json() {
        for letter in &letters {
            out.object(letter)?;
        }
        out.object(&json!({ "conservation": conservation }))?;
        return Ok(Exit::Done);
    }
    let views: Result<Vec<View>, _> = letters.iter().map(View::deserialize).collect();
    let rows: Vec<_> = views
        .map_err(io::Error::from)?
        .into_iter()
        .map(
            |View {
                 letter,
                 expires_at,
                 template,
                 ..
             }| {
                vec![
                    letter.id.to_string(),
                    moment(letter.at),
                    expires_at.map_or_else(|| "never".to_owned(), moment),
                    letter.origin.name().to_owned(),
                    letter.reason.clone(),
                    letter.attempts.to_string(),
                    template.unwrap_or_else(|| "-".to_owned()),
                    job(&letter.origin),
                    letter.detail,
                ]
            },
        )
        .collect();
    let header = [
        "LETTER", "AT", "EXPIRES", "ORIGIN", "REASON", "ATTEMPTS", "TEMPLATE", "JOB", "DETAIL",
    ];
    out.table(&header, &rows)?;
    if cursor.is_some() {
        out.line("… there are more; --limit shows them")?;
    }
    conserved(out, &conservation)?;
    Ok(Exit::Done)
}

fn groups(
    context: &mut Context,
    operations: &Operations,
    filter: &Filter,
) -> Result<Exit, Failure> {
    let query = filter.query();
    let path = match query.strip_prefix('&') {
        Some(query) => format!("/v1/ops/dead-letters/groups?{query}"),
        None => "/v1/ops/dead-letters/groups".to_owned(),
    };
    let out = &mut context.output;
    if out.json() {
        let answer: Value = operations.get(&path)?;
        out.document(&answer)?;
        return Ok(Exit::Done);
    }
    let Groups {
        groups,
        conservation,
    } = operations.get(&path)?;
    let rows: Vec<_> = groups
        .into_iter()
        .map(|group| {
            vec![
                group.count.to_string(),
                group.origin,
                group.reason,
                moment(group.oldest_at),
                moment(group.newest_at),
            ]
        })
        .collect();
    let header = ["COUNT", "ORIGIN", "REASON", "OLDEST", "NEWEST"];
    out.table(&header, &rows)?;
    conserved(out, &conservation)?;
    Ok(Exit::Done)
}

/// The law that nothing is lost by, with its columns.
fn conserved(out: &mut Output, conservation: &Conservation) -> Result<(), Failure> {
    let Conservation {
        matched,
        sent,
        dead,
        suppressed,
        pending,
        difference,
    } = conservation;
    let sum = format!("{sent} sent + {dead} dead + {suppressed} suppressed + {pending} pending");
    out.line("")?;
    match difference {
        0 => out.line(format_args!("{sum} = {matched} matched"))?,
        lost => out.line(format_args!(
            "{sum} IS NOT {matched} matched: {lost} are not accounted for; see `iyagi audit`"
        ))?,
    }
    Ok(())
}

pub(super) fn show(
    context: &mut Context,
    operations: &Operations,
    ShowArguments { id }: &ShowArguments,
) -> Result<Exit, Failure> {
    let path = format!("/v1/ops/dead-letters/{id}");
    if context.output.json() {
        let answer: Value = operations.get(&path)?;
        context.output.document(&answer)?;
        return Ok(Exit::Done);
    }
    let view: View = operations.get(&path)?;
    let letter = &view.letter;
    let state = match (view.waiting, &view.message_id) {
        (true, Some(message)) => format!("waits in the queue as {message}"),
        (true, None) => "is on its way to the queue".to_owned(),
        (false, _) => "no longer waits".to_owned(),
    };
    let rows = [
        ("letter", letter.id.to_string()),
        ("state", state),
        (
            "job",
            format!("{}: {}", letter.origin.name(), job(&letter.origin)),
        ),
        ("reason", letter.reason.clone()),
        ("detail", letter.detail.clone()),
        ("attempts", letter.attempts.to_string()),
        (
            "given up",
            format!("{}, time {}", moment(letter.at), letter.generation),
        ),
        ("began with", view.corr),
    ];
    let expires = view.expires_at.map(|at| ("expires", moment(at)));
    for (name, value) in rows.into_iter().chain(expires) {
        context.output.line(format_args!("{name:<11} {value}"))?;
    }
    context.output.line("")?;
    for event in &view.history {
        context.output.line(format_args!(
            "{}  {:<20} {}",
            moment(event.at),
            event.fact.kind(),
            sentence(event)
        ))?;
    }
    Ok(Exit::Done)
}
