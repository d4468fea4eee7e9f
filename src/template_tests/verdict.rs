//! What came, held against what was expected.

use std::collections::BTreeMap;
use std::fmt;

use iyagi_messages::ids::{PersonId, PushId, TemplateId, Timestamp};
use iyagi_messages::push::SuppressReason;
use serde::Serialize;

use super::file::PlacedTest;
use super::format::{Push, span_ms};
use crate::rehearsal::Happened;

/// What a test lets happen, as far as it can be expected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations {
    rung: Vec<Rung>,
    held: Vec<(PersonId, TemplateId, SuppressReason)>,
    unrenderable: Vec<String>,
}

/// A notification that rang on a person's phones.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rung {
    notification: PushId,
    to: PersonId,
    template: TemplateId,
    after_ms: u64,
    link: String,
    /// Title and body by language.
    texts: BTreeMap<String, (String, String)>,
}

/// Something that is not as it was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where it was expected; the test itself for what was not.
    pub line: usize,
    /// What it is about.
    pub about: String,
    /// Which part of it: `title`, `body`, `link` or `after`, by language; absent if it is there and should not be, or the
    /// other way round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What was expected; nothing if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What came; nothing if nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl Expectations {
    /// What happened in a test that began at a moment. `shown_by` is the template whose texts a push was shown by.
    pub fn of(
        happened: Vec<Happened>,
        began: Timestamp,
        shown_by: impl Fn(&Happened) -> TemplateId,
        locale_of: impl Fn(&iyagi_messages::push::Push) -> String,
    ) -> Self {
        let mut all = Self::default();
        for one in happened {
            let template = shown_by(&one);
            match one {
                Happened::Sent {
                    push, at, payload, ..
                } => {
                    let texts = match payload.device_texts {
                        // The app has its own, by these keys.
                        Some(keys) => (keys.title_key, keys.body_key),
                        None => (payload.title, payload.body),
                    };
                    let rung = Rung {
                        notification: push.notification(),
                        to: push.recipient.clone(),
                        template,
                        after_ms: at.since_ms(began),
                        link: payload.link,
                        texts: BTreeMap::new(),
                    };
                    all.ring(rung, locale_of(&push), texts);
                }
                Happened::Held { push, reason } => {
                    let held = (push.recipient.clone(), template, reason);
                    // Every phone of a person is held for the same reason.
                    if !all.held.contains(&held) {
                        all.held.push(held);
                    }
                }
                // Whatever it goes with tells of it.
                Happened::Along { .. } => {}
                Happened::Unrenderable { push, reason } => {
                    let to = &push.recipient;
                    all.unrenderable
                        .push(format!("{template} to {to}: {reason}"));
                }
            }
        }
        all
    }

    /// All phones of a person ring for one notification.
    fn ring(&mut self, rung: Rung, locale: String, texts: (String, String)) {
        let same = self.rung.iter_mut().find(|other| {
            (other.notification, other.after_ms) == (rung.notification, rung.after_ms)
        });
        let rung = match same {
            Some(same) => same,
            None => self.rung.push_mut(rung),
        };
        rung.texts.insert(locale, texts);
    }

    /// How it differs from what a test expects.
    pub fn differences(mut self, placed: &PlacedTest) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (push, line) in placed.test.push.iter().zip(&placed.push_lines) {
            let fits = |rung: &Rung| rung.to == push.to && rung.template == push.template;
            match self.rung.iter().position(fits) {
                Some(at) => compare(push, &self.rung.remove(at), *line, &mut differences),
                None => differences.push(Difference {
                    line: *line,
                    about: about(&push.template, &push.to),
                    part: None,
                    expected: Some("a push".to_owned()),
                    found: None,
                }),
            }
        }
        for (held, line) in placed.test.held.iter().zip(&placed.held_lines) {
            let wanted = (&held.to, &held.template);
            let fits = |(to, template, _): &(PersonId, TemplateId, _)| (to, template) == wanted;
            let found = self
                .held
                .iter()
                .position(fits)
                .map(|at| self.held.remove(at).2);
            if found != Some(held.reason) {
                differences.push(Difference {
                    line: *line,
                    about: about(&held.template, &held.to),
                    part: None,
                    expected: Some(format!("held: {}", held.reason)),
                    found: found.map(|reason| format!("held: {reason}")),
                });
            }
        }
        let unexpected = |about, found| Difference {
            line: placed.line,
            about,
            part: None,
            expected: None,
            found: Some(found),
        };
        for rung in self.rung {
            let about = about(&rung.template, &rung.to);
            differences.push(unexpected(about, format!("a push: {rung}")));
        }
        for (to, template, reason) in self.held {
            differences.push(unexpected(about(&template, &to), format!("held: {reason}")));
        }
        for what in self.unrenderable {
            differences.push(unexpected(what, "it cannot be put into words".to_owned()));
        }
        differences
    }
}

fn about(template: &TemplateId, to: &PersonId) -> String {
    format!("{template} to {to}")
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (locale, (title, body))) in self.texts.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{locale} \"{title}\" / \"{body}\"")?;
        }
        Ok(())
    }
}

fn compare(push: &Push, rung: &Rung, line: usize, differences: &mut Vec<Difference>) {
    let mut hold = |part: String, expected: Option<&str>, found: Option<&str>| {
        if expected.is_some() && expected != found {
            differences.push(Difference {
                line,
                about: about(&push.template, &push.to),
                part: Some(part),
                expected: expected.map(str::to_owned),
                found: found.map(str::to_owned),
            });
        }
    };
    for (locale, shown) in &push.texts {
        let found = rung.texts.get(locale);
        let title = found.map(|(title, _)| title.as_str());
        let body = found.map(|(_, body)| body.as_str());
        hold(
            format!("texts.{locale}.title"),
            shown.title.as_deref(),
            title,
        );
        hold(format!("texts.{locale}.body"), shown.body.as_deref(), body);
    }
    hold("link".to_owned(), push.link.as_deref(), Some(&rung.link));
    let after = push.after.as_deref();
    let same_time = after.map(span_ms) == Some(Ok(rung.after_ms));
    let came = format!(
        "{:#}",
        jiff::SignedDuration::from_millis(rung.after_ms as i64)
    );
    hold(
        "after".to_owned(),
        after.filter(|_| !same_time),
        Some(&came),
    );
}
