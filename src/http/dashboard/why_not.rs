//! `GET /journal/why-not`: why somebody was, or was not, told of a change, clause by clause and gate by gate.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use iyagi_actors::subscription_matcher::explaining::{ExplainedRule, FalseClause, Verdict};
use iyagi_messages::event::Event;

use super::frame::{Frame, Refusal, page};
use super::text;
use crate::hindsight::why_not::{Answer, PushFate, ToldChange};
use crate::http::State;
use crate::http::operations::why_not::{PARAMETERS, explained};
use crate::http::problem::Problem;
use crate::http::request::Query;
use crate::tell::{sentence, since};

/// Changes that are shown at once.
const CHANGES_MAX: usize = 50;

#[derive(Template)]
#[template(path = "why_not.html")]
struct Page {
    frame: Frame,
    person: String,
    commit: String,
    element: String,
    answer: Option<Result<Told, String>>,
}

/// The answer in words.
struct Told {
    title: String,
    unreachable: Option<String>,
    changes: Vec<Change>,
    /// Changes that no rule for the person looks at, or that are too many.
    left_out: Option<String>,
    /// Of changes that are no longer reachable.
    fates: Vec<Fate>,
}

struct Change {
    title: String,
    rules: Vec<Rule>,
    fates: Vec<Fate>,
}

struct Rule {
    name: String,
    matches: bool,
    why: String,
}

struct Fate {
    title: String,
    state: &'static str,
    steps: Vec<Step>,
}

struct Step {
    href: String,
    after: String,
    sentence: String,
}

/// `GET /journal/why-not?person&commit|element`
pub(super) async fn show(
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let query = Query::of(&request, &PARAMETERS)?;
    let text = |name| query.text(name).unwrap_or_default().trim().to_owned();
    let (person, commit, element) = (text("person"), text("commit"), text("element"));
    let answer = if person.is_empty() {
        None
    } else {
        let given = given(&person, &commit, &element)?;
        let answer = explained(&state.surface, &given).await;
        Some(match answer {
            Ok(answer) => Ok(Told::of(answer)),
            Err(problem) => Err(problem.detail().to_owned()),
        })
    };
    page(&Page {
        frame: Frame::of(&state, &request, "Why not?", "/journal"),
        person,
        commit,
        element,
        answer,
    })
}

/// The question without the fields that were left empty, which a browser sends, too.
fn given(person: &str, commit: &str, element: &str) -> Result<Query, Problem> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let all = [("person", person), ("commit", commit), ("element", element)];
    query.extend_pairs(all.into_iter().filter(|(_, value)| !value.is_empty()));
    Query::parse(&query.finish(), &PARAMETERS)
}

impl Told {
    fn of(answer: Answer) -> Self {
        let known = if answer.passed_at.is_some() {
            ""
        } else {
            ", which the matcher has not come to yet"
        };
        let total = answer.changes.len();
        let worth = |change: &&ToldChange| {
            total <= CHANGES_MAX || change.is_close() || !change.pushes.is_empty()
        };
        let shown = answer.changes.iter().filter(worth).take(CHANGES_MAX);
        let changes: Vec<Change> = shown.map(Change::of).collect();
        Self {
            title: format!("{} and commit {}{known}", answer.person, answer.commit),
            unreachable: answer.unreachable,
            left_out: match total - changes.len() {
                0 => None,
                left => Some(text::count(left as u64, "change")),
            },
            changes,
            fates: answer.pushes.iter().map(Fate::of).collect(),
        }
    }
}

impl Change {
    fn of(change: &ToldChange) -> Self {
        Self {
            title: change.explained.change.clone(),
            rules: change.explained.rules.iter().map(Rule::of).collect(),
            fates: change.pushes.iter().map(Fate::of).collect(),
        }
    }
}

impl Rule {
    fn of(rule: &ExplainedRule) -> Self {
        Self {
            name: match &rule.subscription {
                Some(id) => format!("subscription {id}"),
                None => rule.template.to_string(),
            },
            matches: rule.verdict == Verdict::Matches,
            why: match &rule.verdict {
                Verdict::Matches => "matches".to_owned(),
                Verdict::Outranked => "an earlier rule tells of it already".to_owned(),
                Verdict::Fails(FalseClause { clause, is, wants }) => {
                    format!("{clause}: {is}, and {wants} is wanted")
                }
            },
        }
    }
}

impl Fate {
    fn of(fate: &PushFate) -> Self {
        let push = &fate.push;
        let phone = match &push.device {
            Some(device) => format!("on {device}"),
            None => "without a phone".to_owned(),
        };
        let began = fate.events.first().map(|event| event.at);
        let step = |event: &Event| Step {
            href: format!("/journal/{}", event.id),
            after: began.map_or_else(String::new, |began| since(began, event.at)),
            sentence: sentence(event),
        };
        Self {
            title: format!("“{}” {phone}", push.template),
            state: fate.state,
            steps: fate.events.iter().chain(&fate.gate).map(step).collect(),
        }
    }
}
