//! The texts of notifications, in the words and by the rules of number of each language.
//!
//! They are patterns of Project Fluent (<https://projectfluent.org>): whoever translates them chooses by `$count` and
//! `$others` among the forms that their language has.

use std::collections::HashMap;
use std::fmt;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::resolver::errors::{ReferenceKind, ResolverError};
use fluent_bundle::{FluentArgs, FluentError, FluentMessage, FluentResource};
use iyagi_messages::ids::TemplateId;
use iyagi_messages::template::{DeviceArgument, FALLBACK_LOCALE, Template};
use thiserror::Error;
use unic_langid::LanguageIdentifier;

use crate::ports::TextKeys;
use crate::subscription_matcher::matching::Templates;

/// What a text may be filled with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// Name of who did it; empty if nobody is known to have.
    pub actor: String,
    /// Id of who did it.
    pub actor_id: String,
    /// Id of what it was done to.
    pub subject: String,
    /// Title of what it was done to.
    pub title: String,
    /// The property that changed.
    pub key: String,
    /// How many notifications it tells of.
    pub count: u32,
    /// How many people did it besides the actor.
    pub others: u32,
}

/// Every text of every template, ready to be filled.
#[derive(Default)]
pub struct Texts {
    by_template: HashMap<TemplateId, HashMap<String, Lines>>,
    /// Keys of the texts that the app has itself.
    keys: HashMap<TemplateId, Lines>,
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_template.keys()).finish()
    }
}

/// The two lines of a notification in one language.
struct Lines {
    title: Line,
    body: Line,
}

/// One line of text.
struct Line(FluentBundle<FluentResource>);

/// A text that cannot be used.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the {part} of template `{template}` for `{locale}` cannot be used: {reason}")]
pub struct UnusableText {
    /// The template.
    pub template: TemplateId,
    /// The language.
    pub locale: String,
    /// `title` or `body`.
    pub part: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// How many notifications of how many others a text is tried with.
const COMBINATIONS: [(u32, u32); 4] = [(1, 0), (2, 1), (5, 4), (3, 0)];
/// The name under which each line stands in its own bundle.
const NAME: &str = "line";

/// Longest value that the app's own texts are filled with, in characters: a payload has 4,096 bytes.
const ARGUMENT_CHARS_MAX: usize = 100;

/// Says what is wrong with the pattern of a key, if anything is.
pub fn check_key(pattern: &str) -> Result<(), String> {
    read_key(pattern).map(|_| ())
}

/// Says what is wrong with a text for a locale, if anything is.
pub fn check(pattern: &str, locale: &str) -> Result<(), String> {
    Line::read(pattern, locale).map(|_| ())
}

impl Texts {
    /// The texts of all templates.
    pub fn of(templates: &Templates) -> Result<Self, UnusableText> {
        let mut by_template = HashMap::new();
        let mut keys = HashMap::new();
        for template in templates.iter() {
            let mut by_locale = HashMap::new();
            if let Some(texts) = &template.device_texts {
                let key = |part: &'static str, pattern: &str| {
                    read_key(pattern).map_err(|reason| UnusableText {
                        template: template.id.clone(),
                        locale: "any language".to_owned(),
                        part,
                        reason,
                    })
                };
                let lines = Lines {
                    title: key("title_key", &texts.title_key)?,
                    body: key("body_key", &texts.body_key)?,
                };
                keys.insert(template.id.clone(), lines);
            }
            for (locale, texts) in &template.texts {
                let line = |part: &'static str, pattern: &str| {
                    Line::read(pattern, locale).map_err(|reason| UnusableText {
                        template: template.id.clone(),
                        locale: locale.clone(),
                        part,
                        reason,
                    })
                };
                let lines = Lines {
                    title: line("title", &texts.title)?,
                    body: line("body", &texts.body)?,
                };
                by_locale.insert(locale.clone(), lines);
            }
            by_template.insert(template.id.clone(), by_locale);
        }
        Ok(Self { by_template, keys })
    }

    /// What the app finds its own texts of a template by; nothing if it has none.
    pub fn keys(&self, template: &Template, values: &Values) -> Option<TextKeys> {
        let texts = template.device_texts.as_ref()?;
        let lines = self.keys.get(&template.id)?;
        let filled = |arguments: &[DeviceArgument]| {
            let all = arguments.iter().map(|argument| values.argument(*argument));
            all.collect()
        };
        Some(TextKeys {
            title_key: lines.title.fill(values),
            title_args: filled(&texts.title_args),
            body_key: lines.body.fill(values),
            body_args: filled(&texts.body_args),
        })
    }

    /// Title and body of a template for a locale such as `ko-KR`; nothing if there is neither that nor English.
    pub fn fill(
        &self,
        template: &Template,
        locale: &str,
        values: &Values,
    ) -> Option<(String, String)> {
        let by_locale = self.by_template.get(&template.id)?;
        let lines = by_locale.get(template.locale_for(locale))?;
        Some((lines.title.fill(values), lines.body.fill(values)))
    }
}

/// A key is chosen by number as English does: the app's own tables know the other languages.
fn read_key(pattern: &str) -> Result<Line, String> {
    let line = Line::read(pattern, FALLBACK_LOCALE)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    for (count, others) in COMBINATIONS {
        let values = Values {
            count,
            others,
            ..Values::default()
        };
        let key = line.fill(&values);
        if key.is_empty() || !key.bytes().all(plain) {
            return Err(format!(
                "`{key}` is no key: it has letters, digits, `_`, `-` and `.` only"
            ));
        }
    }
    Ok(line)
}

impl Values {
    fn argument(&self, argument: DeviceArgument) -> String {
        let text = match argument {
            DeviceArgument::ActorId => &self.actor_id,
            DeviceArgument::Actor => &self.actor,
            DeviceArgument::SubjectId => &self.subject,
            DeviceArgument::Title => &self.title,
            DeviceArgument::Key => &self.key,
            DeviceArgument::Count => return self.count.to_string(),
            DeviceArgument::Others => return self.others.to_string(),
        };
        match text.char_indices().nth(ARGUMENT_CHARS_MAX) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.clone(),
        }
    }
}

impl Line {
    fn read(pattern: &str, locale: &str) -> Result<Self, String> {
        let language: LanguageIdentifier = locale
            .parse()
            .map_err(|_| format!("`{locale}` is no language, such as `ko` or `pt-BR`"))?;
        if pattern.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        // Lines of a pattern are its own as long as they are indented.
        let source = format!("{NAME} = {}\n", pattern.replace('\n', "\n    "));
        let resource = FluentResource::try_new(source).map_err(|(_, errors)| {
            errors
                .first()
                .map_or_else(String::new, |error| error.kind.to_string())
        })?;
        let mut bundle = FluentBundle::new_concurrent(vec![language]);
        // Marks around each value keep directions of writing apart, and show as boxes on some phones.
        bundle.set_use_isolating(false);
        bundle
            .add_resource(resource)
            .map_err(|_| "it defines more than one text".to_owned())?;
        let line = Self(bundle);
        line.check()?;
        Ok(line)
    }

    /// Fills it in several ways, so that a mistake is found now and not on a phone.
    fn check(&self) -> Result<(), String> {
        for (count, others) in COMBINATIONS {
            let values = Values {
                count,
                others,
                ..Values::default()
            };
            let (_, problems) = self.format(&values);
            if let Some(problem) = problems.first() {
                return Err(problem.clone());
            }
        }
        Ok(())
    }

    fn fill(&self, values: &Values) -> String {
        self.format(values).0
    }

    fn format(&self, values: &Values) -> (String, Vec<String>) {
        let mut arguments = FluentArgs::new();
        arguments.set("actor", values.actor.as_str());
        arguments.set("subject", values.subject.as_str());
        arguments.set("title", values.title.as_str());
        arguments.set("key", values.key.as_str());
        arguments.set("count", values.count);
        arguments.set("others", values.others);
        let message = self.0.get_message(NAME);
        let Some(pattern) = message.as_ref().and_then(FluentMessage::value) else {
            return (String::new(), vec!["it is empty".to_owned()]);
        };
        let mut errors = Vec::new();
        let text = self
            .0
            .format_pattern(pattern, Some(&arguments), &mut errors);
        (
            text.into_owned(),
            errors.iter().map(problem_in_words).collect(),
        )
    }
}

/// What is wrong with a text that can be read, for whoever writes it.
fn problem_in_words(error: &FluentError) -> String {
    match error {
        FluentError::ResolverError(ResolverError::Reference(ReferenceKind::Variable { id })) => {
            format!("there is no value `${id}`")
        }
        FluentError::ResolverError(ResolverError::Reference(ReferenceKind::Message {
            id, ..
        })) => format!("`{id}` names nothing: values begin with `$`, such as `$actor`"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIKES: &str = "{ $others ->
        [0] { $actor } likes “{ $title }”
        [one] { $actor } and { $others } other like “{ $title }”
       *[other] { $actor } and { $others } others like “{ $title }”
    }";

    fn line(pattern: &str, locale: &str, others: u32) -> String {
        let values = Values {
            actor: "Ada".to_owned(),
            title: "Night train".to_owned(),
            count: others + 1,
            others,
            ..Values::default()
        };
        Line::read(pattern, locale).expect("usable").fill(&values)
    }

    #[test]
    fn numbers_take_the_form_that_the_language_has() {
        assert_eq!(line(LIKES, "en", 0), "Ada likes “Night train”");
        assert_eq!(line(LIKES, "en", 1), "Ada and 1 other like “Night train”");
        assert_eq!(line(LIKES, "en", 4), "Ada and 4 others like “Night train”");
        let korean = "{ $others ->
            [0] { $actor } 님이
           *[other] { $actor } 님 외 { $others }명이
        } 좋아합니다: “{ $title }”";
        assert_eq!(line(korean, "ko", 0), "Ada 님이 좋아합니다: “Night train”");
        assert_eq!(
            line(korean, "ko", 1),
            "Ada 님 외 1명이 좋아합니다: “Night train”"
        );
    }

    #[test]
    fn values_are_never_filled_in_again() {
        let values = Values {
            actor: "{ $title }".to_owned(),
            title: "x".to_owned(),
            ..Values::default()
        };
        let line = Line::read("{ $actor } likes { $title }", "en").expect("usable");
        assert_eq!(line.fill(&values), "{ $title } likes x");
    }

    #[test]
    fn a_text_with_a_mistake_is_refused_before_it_is_used() {
        for (pattern, locale, word) in [
            ("{ $who } likes it", "en", "who"),
            ("{ $actor", "en", "Expected"),
            ("{ actor } likes it", "en", "actor"),
            ("", "en", "empty"),
            ("x", "no language!", "no language"),
        ] {
            let reason = Line::read(pattern, locale).err().expect("refused");
            assert!(reason.contains(word), "{pattern}: {reason}");
        }
    }
}
