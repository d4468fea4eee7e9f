//! `iyagi why`: the story of a push from its graph commit to its end, or of any event from its root to all it led to.

use std::collections::BTreeMap;

use clap::Args;
use iyagi_messages::event::{Entity, Event};
use iyagi_messages::ids::{EventId, Pos};
use serde_json::json;

use super::{Context, Exit, Failure, Output};
use crate::embedded::journal::{JournalReader, TakenOut, TraceNode};
use crate::tell::{moment, number, sentence, since};

#[derive(Debug, Args)]
pub(super) struct WhyArguments {
    /// Of a push or a dead letter (a UUID), or of an event (32 hexadecimal digits).
    #[arg(value_name = "ID")]
    id: String,
}

/// What is told, and about what.
struct Story {
    about: String,
    /// By position, so in order of time.
    events: BTreeMap<Pos, Event>,
    /// The event that was asked for, if it was one.
    asked: Option<Pos>,
    /// What the first event followed from, if that is no longer in the journal.
    taken_out: Option<TakenOut>,
    truncated: bool,
}

pub(super) fn why(context: &mut Context, arguments: &WhyArguments) -> Result<Exit, Failure> {
    let id = arguments.id.trim();
    let journal = context.journal()?;
    let Some(story) = story(&journal, id)? else {
        return Err(unknown(&journal, id)?);
    };
    if context.output.json() {
        let events: Vec<_> = story.events.values().collect();
        context.output.document(&json!({
            "about": story.about,
            "events": events,
            "taken_out": story.taken_out,
            "truncated": story.truncated,
        }))?;
    } else {
        tell(&mut context.output, &story)?;
    }
    Ok(Exit::Done)
}

fn unknown(journal: &JournalReader, id: &str) -> Result<Failure, Failure> {
    let is_id = uuid::Uuid::parse_str(id).is_ok();
    if is_id {
        let mut help =
            "`iyagi journal ls --kind push.requested` lists pushes; --data-dir names another journal"
                .to_owned();
        if let Some(compacted) = journal.compacted()? {
            help = format!(
                "{help}; {} up to position {} were taken out of this one and are in its exports alone: \
                 `zstdgrep {id}` finds it there",
                number(compacted.events, ["event", "events"]),
                compacted.through
            );
        }
        return Ok(Failure::NotFound {
            what: format!("the journal has no push, letter or event {id}"),
            help,
        });
    }
    Ok(Failure::Usage {
        what: format!("\"{id}\" is no id"),
        help: "a push has a UUID, an event 32 hexadecimal digits; `iyagi journal ls` shows both"
            .to_owned(),
    })
}

fn story(journal: &JournalReader, id: &str) -> Result<Option<Story>, Failure> {
    if let Ok(event) = id.parse::<EventId>()
        && let Some(mut story) = story_of(journal, event, format!("event {event}"))?
    {
        story.asked = journal.event(event)?.map(|event| event.pos);
        return Ok(Some(story));
    }
    let Ok(uuid) = uuid::Uuid::parse_str(id) else {
        return Ok(None);
    };
    let push = journal.entity(&Entity::new("push", uuid))?;
    let letter = journal.entity(&Entity::new("letter", uuid))?;
    let (first, about) = match (push.first(), letter.first()) {
        (Some(first), _) => (first, format!("push {uuid}")),
        (None, Some(first)) => (first, format!("letter {uuid}")),
        (None, None) => return Ok(None),
    };
    let Some(mut story) = story_of(journal, first.id, about)? else {
        return Ok(None);
    };
    // Whatever happened to it belongs to its story, also what an operator caused.
    let own = push.into_iter().chain(letter);
    story.events.extend(own.map(|event| (event.pos, event)));
    Ok(Some(story))
}

fn story_of(journal: &JournalReader, id: EventId, about: String) -> Result<Option<Story>, Failure> {
    let Some(trace) = journal.trace(id)? else {
        return Ok(None);
    };
    let mut events: BTreeMap<_, _> = trace
        .causes
        .into_iter()
        .map(|event| (event.pos, event))
        .collect();
    collect(trace.event, &mut events);
    Ok(Some(Story {
        about,
        events,
        asked: None,
        taken_out: trace.taken_out,
        truncated: trace.truncated,
    }))
}

/// Without recursion: a chain of retries may be as deep as it is long.
fn collect(node: TraceNode, events: &mut BTreeMap<Pos, Event>) {
    let mut waiting = vec![node];
    while let Some(TraceNode {
        event,
        consequences,
    }) = waiting.pop()
    {
        events.insert(event.pos, event);
        waiting.extend(consequences);
    }
}

fn tell(out: &mut Output, story: &Story) -> Result<(), Failure> {
    out.line(&story.about)?;
    let Some(first) = story.events.values().next() else {
        return Ok(());
    };
    let (began, corr) = (first.at, &first.corr);
    out.line(format_args!("began with {corr} at {}", moment(began)))?;
    out.line("")?;
    if let Some(TakenOut { pos, export }) = &story.taken_out {
        out.line(format_args!(
            "  what it followed from, at position {pos}, is no longer in the journal: export {export} has it"
        ))?;
    }
    for event in story.events.values() {
        let mark = if story.asked == Some(event.pos) {
            ">"
        } else {
            " "
        };
        let indent = "  ".repeat(depth(event));
        out.line(format_args!(
            "{mark} {:>14}  {indent}{:<20} {}",
            since(began, event.at),
            event.fact.kind(),
            sentence(event)
        ))?;
    }
    if story.truncated {
        out.line("… and more than can be told; `iyagi journal ls --corr` lists all")?;
    }
    Ok(())
}

/// A commit leads to pushes, a push to attempts, an attempt to a letter.
fn depth(event: &Event) -> usize {
    match event.fact.kind() {
        "push.requested" => 1,
        kind if kind.starts_with("push.") => 2,
        kind if kind.starts_with("letter.") || kind.starts_with("device.") => 3,
        _ => 0,
    }
}
