//! What is wrong with the daemon, in words, the worst first.

use askama::Template;
use iyagi_actors::platforms::breaker::BreakerState;
use iyagi_actors::runtime::{ActorKind, ActorSnapshot, ActorState};
use iyagi_messages::push::PauseReason;

use super::look::Look;
use super::text;
use crate::http::operations::status;
use crate::http::response::encoded;

/// Changes that are read later than this are late. It is what the alerts in `deploy/prometheus` say, too.
const LAG_SECONDS: f64 = 60.0;
/// Messages that wait for longer than this are stale. It is what the alerts say, too.
const BACKLOG_SECONDS: f64 = 600.0;
/// More pushes than this that are not settled are a pile. It is what the alerts say, too.
const PENDING_MAX: u64 = 10_000;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// Somebody must act now.
    Bad,
    /// Somebody should look.
    Fair,
    /// Nothing is wrong.
    Good,
}

impl Grade {
    /// The class of its style.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Fair => "fair",
            Self::Good => "good",
        }
    }

    fn of(bad: bool) -> Self {
        if bad { Self::Bad } else { Self::Good }
    }
}

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) grade: Grade,
    /// What.
    pub(super) what: String,
    /// What is known of why.
    pub(super) why: String,
    /// The page that shows its cause.
    pub(super) href: String,
}

/// Everything that is wrong, the worst first.
pub(super) fn troubles(look: &Look) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let mut found = |grade, what: String, why: String, href: &str| {
        let href = href.to_owned();
        troubles.push(Trouble {
            grade,
            what,
            why,
            href,
        });
    };
    let broken = status::imbalance(&look.counts) + look.contradictions;
    if broken > 0 {
        let what = text::count(broken, "invariant violation");
        let why = "pushes are lost or counted twice: run `iyagi audit`".to_owned();
        found(Grade::Bad, what, why, "/journal");
    }
    for look in &look.actors {
        let actor = &look.actor;
        let state = match actor.state {
            ActorState::Failed => "has failed",
            ActorState::Stuck => "is stuck",
            ActorState::Stopped => "has stopped",
            ActorState::BackingOff if actor.kind != ActorKind::Worker => "waits for its restart",
            ActorState::Paused if actor.kind != ActorKind::Worker => "is paused",
            _ => continue,
        };
        let grade = match actor.state {
            ActorState::BackingOff | ActorState::Paused => Grade::Fair,
            _ => Grade::Bad,
        };
        let reason = actor.last_failure.as_ref();
        let why = match actor.state {
            ActorState::Paused => {
                "by an operator; it takes no message until it is resumed".to_owned()
            }
            ActorState::Stuck => stuck_with(actor),
            _ => reason.map_or_else(String::new, |failure| failure.reason.clone()),
        };
        let href = format!("/actors/{}", encoded(&actor.name));
        found(grade, format!("{} {state}", actor.name), why, &href);
    }
    for (name, condition) in &look.probes.dependencies {
        // The actors speak for themselves above.
        if !condition.ready && name != "actors" {
            let what = format!("{name} cannot be used");
            found(Grade::Bad, what, condition.detail.clone(), "/config");
        }
    }
    let stream = &look.probes.stream;
    if let Some(lag) = stream.lag_seconds.filter(|lag| *lag > LAG_SECONDS) {
        let lag = text::span((lag * 1_000.0) as u64);
        let why = stream.lag_commits.map_or_else(String::new, |commits| {
            format!("{} are still to be read", text::count(commits, "commit"))
        });
        let what = format!("changes are read {lag} late");
        found(Grade::Bad, what, why, "/pipelines");
    }
    for queue in &look.probes.queues {
        let age = queue.oldest_seconds.unwrap_or(0.0);
        if age > BACKLOG_SECONDS && !queue.name.starts_with("dead-letters") {
            let what = format!("the queue {} is stale", queue.name);
            let age = text::span((age * 1_000.0) as u64);
            let why = format!("its oldest message has waited for {age}");
            found(Grade::Bad, what, why, "/pipelines");
        }
    }
    for service in &look.platforms {
        let platform = service.platform.as_str();
        if let Some(pause) = &service.paused {
            let why = match pause.reason {
                PauseReason::Operator => "an operator holds it up until it is resumed".to_owned(),
                PauseReason::DyingTokens => {
                    "too many tokens died at once: look at them before it is resumed".to_owned()
                }
            };
            let what = format!("nothing is sent by {platform}");
            found(Grade::Bad, what, why, "/pipelines");
        } else if service.breaker != BreakerState::Closed {
            let what = format!("the breaker of {platform} is {}", service.breaker.as_str());
            let why = "the push service fails too often to be called".to_owned();
            found(Grade::Bad, what, why, "/pipelines");
        }
    }
    let pressing = look.counts.pending.saturating_sub(look.deferred);
    if pressing > PENDING_MAX {
        let what = format!("{} wait to be sent", text::count(pressing, "push"));
        found(Grade::Bad, what, String::new(), "/pipelines");
    }
    if look.letters > 0 {
        let wait = if look.letters == 1 { "waits" } else { "wait" };
        let what = format!("{} {wait}", text::count(look.letters, "dead letter"));
        let why = "each is a job that was given up".to_owned();
        found(Grade::Fair, what, why, "/dead-letters");
    }
    if look.catching_up_since.is_some() {
        let what = "catching up".to_owned();
        let why = "changes are read so late that only what is urgent is told of at once".to_owned();
        found(Grade::Fair, what, why, "/pipelines");
    }
    troubles.sort_by_key(|trouble| trouble.grade);
    troubles
}

/// What a stuck actor cannot get done.
fn stuck_with(actor: &ActorSnapshot) -> String {
    let Some(handling) = &actor.handling else {
        return String::new();
    };
    let since = text::span(handling.since_ms);
    let behind = text::count(actor.mailbox.len.saturating_sub(1) as u64, "message");
    format!(
        "it has had {} in hand for {since}, and {behind} behind it; a restart lets go of it",
        handling.message
    )
}

/// A figure of the strip.
struct Figure {
    name: &'static str,
    value: String,
    grade: Grade,
    href: &'static str,
}

/// The verdict in one line, with the figures that it rests on.
#[derive(Template)]
#[template(path = "strip.html")]
pub(super) struct Strip {
    grade: Grade,
    says: String,
    href: Option<String>,
    figures: Vec<Figure>,
}

impl Strip {
    pub(super) fn of(look: &Look) -> Self {
        let troubles = troubles(look);
        let grade = troubles.first().map_or(Grade::Good, |worst| worst.grade);
        let says = match &troubles[..] {
            [] => "All is well".to_owned(),
            [only] => capitalised(&only.what),
            [worst, others @ ..] => {
                format!("{}, and {} more", capitalised(&worst.what), others.len())
            }
        };
        let probes = &look.probes;
        let backlog = probes.backlog_seconds().unwrap_or(0.0);
        let lag = probes.stream.lag_seconds;
        let broken = status::imbalance(&look.counts) + look.contradictions;
        let figure = |name, value, grade, href| Figure {
            name,
            value,
            grade,
            href,
        };
        let ready = if probes.ready { "yes" } else { "no" }.to_owned();
        Self {
            grade,
            says,
            href: troubles.first().map(|worst| worst.href.clone()),
            figures: vec![
                figure("Ready", ready, Grade::of(!probes.ready), "/"),
                figure(
                    "Stream lag",
                    text::delay(lag),
                    Grade::of(lag.is_some_and(|lag| lag > LAG_SECONDS)),
                    "/pipelines",
                ),
                figure(
                    "Backlog age",
                    text::delay(Some(backlog)),
                    Grade::of(backlog > BACKLOG_SECONDS),
                    "/pipelines",
                ),
                figure(
                    "Dead letters",
                    text::number(look.letters),
                    if look.letters > 0 {
                        Grade::Fair
                    } else {
                        Grade::Good
                    },
                    "/dead-letters",
                ),
                figure(
                    "Restarts, last hour",
                    text::number(look.restarts),
                    if look.restarts > 0 {
                        Grade::Fair
                    } else {
                        Grade::Good
                    },
                    "/actors",
                ),
                figure(
                    "Violations",
                    text::number(broken),
                    Grade::of(broken > 0),
                    "/",
                ),
            ],
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}
