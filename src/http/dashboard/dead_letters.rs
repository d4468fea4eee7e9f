//! `GET /dead-letters`: the jobs that were given up, why, and what an operator can do about them.

use std::cmp::Reverse;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use iyagi_actors::projections::LetterGroup;
use iyagi_messages::ids::Timestamp;
use iyagi_messages::letter::Origin;
use serde_json::json;

use super::event::{self, Told};
use super::frame::{Frame, Refusal, page};
use super::text::{self, Moment};
use crate::http::State;
use crate::http::operations::dead_letters::{self, Filter, PARAMETERS, View};
use crate::http::operations::status::Conservation;
use crate::http::request::{self, Query};
use crate::surface::Surface;

const PREFIX: &str = "/dead-letters/";
/// Letters in a page.
const LIMIT: usize = 50;
/// Groups that are shown; a job has few reasons to be given up, but what a decoder says is not bounded.
const GROUPS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct ListPage {
    frame: Frame,
    groups: Groups,
    fields: Vec<Field>,
    rows: Vec<Row>,
    /// The page behind this one.
    next: Option<String>,
    /// Whether the list is restricted.
    filtered: bool,
    /// Whether it begins in the middle.
    further: bool,
    /// What a bulk order is sent with.
    bulk: String,
    waiting: u64,
}

/// The groups and the conservation law as they are now.
#[derive(Template)]
#[template(path = "dead_letters_groups.html")]
pub(super) struct Groups {
    rows: Vec<GroupRow>,
    more: usize,
    law: Conservation,
}

struct GroupRow {
    key: String,
    origin: String,
    reason: String,
    count: String,
    oldest: Moment,
    newest: Moment,
    href: String,
    sample: String,
}

/// A field of the filter's form.
struct Field {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    value: String,
}

struct Row {
    id: String,
    /// As much of the id as tells it from its neighbours.
    short: String,
    href: String,
    origin: String,
    reason: String,
    detail: String,
    subject: String,
    attempts: String,
    at: Moment,
    expires: Option<Moment>,
}

#[derive(Template)]
#[template(path = "dead_letter.html")]
struct LetterPage {
    frame: Frame,
    view: View,
    subject: String,
    at: Moment,
    expires: Option<Moment>,
    /// The queue's message of a media job.
    message: Option<String>,
    /// How long the history is.
    events_say: String,
    events: Vec<Told>,
    body: String,
}

impl Groups {
    pub(super) fn of(surface: &Surface, now: Timestamp) -> Self {
        let outbox = surface.tree.projections.outbox();
        let law = Conservation::of(&outbox.counts);
        let mut groups: Vec<LetterGroup> = outbox.letter_groups().collect();
        groups.sort_by_key(|group| Reverse(group.count));
        let more = groups.len().saturating_sub(GROUPS_MAX);
        let rows = groups
            .into_iter()
            .take(GROUPS_MAX)
            .map(|group| GroupRow::of(group, now));
        Self {
            rows: rows.collect(),
            more,
            law,
        }
    }
}

impl GroupRow {
    fn of(group: LetterGroup, now: Timestamp) -> Self {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("origin", &group.origin)
            .append_pair("reason", &group.reason)
            .finish();
        Self {
            key: query.clone(),
            href: format!("/dead-letters?{query}"),
            sample: format!("{PREFIX}{}", group.newest),
            count: text::number(group.count),
            oldest: text::ago(group.oldest_at, now),
            newest: text::ago(group.newest_at, now),
            origin: group.origin,
            reason: group.reason,
        }
    }
}

impl Row {
    fn of(view: &View, now: Timestamp) -> Self {
        let letter = &view.letter;
        Self {
            short: letter.id.to_string().chars().take(8).collect(),
            id: letter.id.to_string(),
            href: format!("{PREFIX}{}", letter.id),
            origin: letter.origin.name().to_owned(),
            reason: letter.reason.clone(),
            detail: letter.detail.clone(),
            subject: subject_of(&letter.origin),
            attempts: text::number(u64::from(letter.attempts)),
            at: text::ago(letter.at, now),
            expires: view.expires_at.map(|at| text::ahead(at, now)),
        }
    }
}

/// Whom or what the job was about.
fn subject_of(origin: &Origin) -> String {
    match origin {
        Origin::Push { recipient, .. } => format!("to {recipient}"),
        Origin::Object { key, .. } => key.clone(),
        Origin::Document { element, .. } => element.to_string(),
    }
}

fn fields(query: &Query) -> Vec<Field> {
    let of = |name, label, hint| Field {
        name,
        label,
        hint,
        value: query.text(name).unwrap_or_default().to_owned(),
    };
    vec![
        of(
            "origin",
            "Job",
            "push, thumbnails, audio, metadata, document",
        ),
        of("reason", "Reason", "such as expired"),
        of("person", "Person", "id"),
        of("template", "Template", "name"),
        of("platform", "Push service", "fcm or apns"),
    ]
}

/// A form sends every field, also those that nobody filled in.
fn filled_in(request: &HttpRequest) -> String {
    let pairs = form_urlencoded::parse(request.query_string().as_bytes());
    let filled = pairs.filter(|(_, value)| !value.is_empty());
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(filled)
        .finish()
}

/// `GET /dead-letters`, restricted by [`PARAMETERS`], in pages
pub(super) async fn list(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let known = [&PARAMETERS[..], &["cursor"]].concat();
    let query = Query::parse(&filled_in(&request), &known)?;
    let filter = Filter::of(&query)?;
    let surface = &state.surface;
    let cursor = query.cursor()?;
    let further = cursor.is_some();
    let found = dead_letters::read(surface, &filter, cursor, LIMIT).await?;
    let look = state.board.refresh().await;
    let now = look.at;
    let next = found.next.map(|cursor| {
        let others = form_urlencoded::parse(request.query_string().as_bytes());
        let others = others.filter(|(name, value)| name != "cursor" && !value.is_empty());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair("cursor", &cursor)
            .finish();
        format!("/dead-letters?{query}")
    });
    page(&ListPage {
        frame: Frame::of(&state, &request, "Dead letters", "/dead-letters"),
        groups: Groups::of(surface, now),
        fields: fields(&query),
        rows: found
            .letters
            .iter()
            .map(|view| Row::of(view, now))
            .collect(),
        next,
        filtered: filter != Filter::default(),
        further,
        bulk: json!({ "filter": filter }).to_string(),
        waiting: look.letters,
    })
}

/// `GET /dead-letters/{id}`
pub(super) async fn one(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Query::of(&request, &[])?;
    let id = request::segment(&request, PREFIX, "id")?;
    let told = dead_letters::tell(&state.surface, &id).await?;
    let look = state.board.refresh().await;
    let message = match &told.view.letter.origin {
        Origin::Object { message, .. } => Some(pretty(message)),
        Origin::Push { .. } | Origin::Document { .. } => None,
    };
    let history = &told.history;
    page(&LetterPage {
        frame: Frame::of(&state, &request, "Dead letter", "/dead-letters"),
        subject: subject_of(&told.view.letter.origin),
        at: text::ago(told.view.letter.at, look.at),
        expires: told.view.expires_at.map(|at| text::ahead(at, look.at)),
        message,
        events_say: text::count(history.len() as u64, "event"),
        events: history
            .iter()
            .map(|event| event::told(event, look.at))
            .collect(),
        body: json!({ "ids": [told.view.letter.id] }).to_string(),
        view: told.view,
    })
}

/// JSON with a line for every field, its numbers as they were; anything else as it is.
fn pretty(text: &str) -> String {
    let parsed: Result<&serde_json::value::RawValue, _> = serde_json::from_str(text);
    if parsed.is_err() {
        return text.to_owned();
    }
    indented(text)
}

/// Breaks and indents JSON between its values, which are not touched.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    for char in json.chars() {
        if quoted {
            out.push(char);
            quoted = escaped || char != '"';
            escaped = char == '\\' && !escaped;
            continue;
        }
        match char {
            '"' => {
                quoted = true;
                out.push(char);
            }
            '{' | '[' => {
                depth += 1;
                out.push(char);
                line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(char);
            }
            ',' => {
                out.push(char);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            char if char.is_whitespace() => {}
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_indented_and_its_numbers_stay_exact() {
        let given = r#"{"id":9007199254740993,"text":"a\",{b","list":[1.10]}"#;
        let shown = pretty(given);
        assert!(shown.contains("\n  \"id\": 9007199254740993,\n"), "{shown}");
        assert!(shown.contains(r#""a\",{b""#), "{shown}");
        assert!(shown.contains("1.10"), "{shown}");
        assert_eq!(pretty("no JSON, {"), "no JSON, {");
    }
}
