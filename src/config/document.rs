//! A TOML file held against a schema: every mistake in it at once, each with its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::finding::{Finding, Place, SourceFile, meant};
use super::schema::{Node, Shape, leaves};

/// A TOML file and where everything in it stands.
#[derive(Debug)]
pub(super) struct Document {
    source: Arc<SourceFile>,
    /// The bytes of each value, by path.
    spans: BTreeMap<String, Range<usize>>,
}

impl Document {
    /// Reads `text` as `T`, whose schema is `schema`, or says all that is wrong with it.
    pub(super) fn read<T: DeserializeOwned>(
        path: &Path,
        text: String,
        schema: &Value,
    ) -> Result<(Self, T), Vec<Finding>> {
        let source = Arc::new(SourceFile::new(path, text));
        let (table, errors) = DeTable::parse_recoverable(source.text());
        let mut inspection = Inspection {
            source: &source,
            root: Node::root(schema),
            schema,
            spans: BTreeMap::new(),
            findings: Vec::new(),
        };
        if errors.is_empty() {
            inspection.table(inspection.root, table.get_ref(), &table.span(), "");
        } else {
            for error in errors {
                let span = error.span().unwrap_or_default();
                let message = format!("this is not TOML: {}", error.message().replace('\n', "; "));
                inspection.find("", span, message, None);
            }
        }
        let Inspection {
            spans,
            mut findings,
            ..
        } = inspection;
        let document = Self {
            source: Arc::clone(&source),
            spans,
        };
        if findings.is_empty() {
            match toml::from_str(source.text()) {
                Ok(read) => return Ok((document, read)),
                Err(error) => findings.push(document.misread(&error, schema)),
            }
        }
        findings.sort_by_key(|finding| match &finding.place {
            Place::File { span, .. } => span.start,
            _ => 0,
        });
        Err(findings)
    }

    /// Whether the file says anything about a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.spans.contains_key(key)
    }

    /// Where a key stands; if it is absent, where its table does.
    pub(super) fn place(&self, key: &str) -> Place {
        let mut key = key;
        let span = loop {
            if let Some(span) = self.spans.get(key) {
                break span.clone();
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => break 0..0,
            }
        };
        let source = Arc::clone(&self.source);
        Place::File { source, span }
    }

    /// What has the right shape and still cannot be, such as an address without a port.
    fn misread(&self, error: &toml::de::Error, schema: &Value) -> Finding {
        let span = error.span().unwrap_or_default();
        let holds = |(_, known): &(&String, &Range<usize>)| {
            known.start <= span.start && span.end <= known.end
        };
        let innermost = self
            .spans
            .iter()
            .filter(holds)
            .min_by_key(|(_, known)| known.len());
        let key = innermost.map_or_else(String::new, |(key, _)| key.clone());
        let reason = error.message().replace('\n', "; ");
        Finding {
            message: format!("`{key}` cannot be read: {reason}"),
            help: described(&key, schema),
            key,
            place: Place::File {
                source: Arc::clone(&self.source),
                span,
            },
        }
    }
}

/// What a key is for, as a help text.
pub(super) fn described(key: &str, schema: &Value) -> Option<String> {
    let mut node = Node::root(schema);
    for name in key.split('.') {
        node = node.property(name)?;
    }
    node.description()
        .map(|text| format!("`{key}`: {}", text.replace('\n', " ")))
}

struct Inspection<'s> {
    source: &'s Arc<SourceFile>,
    root: Node<'s>,
    schema: &'s Value,
    spans: BTreeMap<String, Range<usize>>,
    findings: Vec<Finding>,
}

impl<'s> Inspection<'s> {
    fn find(&mut self, key: &str, span: Range<usize>, message: String, help: Option<String>) {
        let source = Arc::clone(self.source);
        self.findings.push(Finding {
            key: key.to_owned(),
            message,
            help,
            place: Place::File { source, span },
        });
    }

    fn value(&mut self, node: Node<'s>, value: &Spanned<DeValue<'_>>, path: &str) {
        self.spans.insert(path.to_owned(), value.span());
        match (node.shape(), value.get_ref()) {
            (Shape::Table { .. } | Shape::Open(_) | Shape::OneOf(_), DeValue::Table(table)) => {
                self.table(node, table, &value.span(), path);
            }
            (Shape::List(item), DeValue::Array(values)) => {
                for (at, value) in values.iter().enumerate() {
                    self.value(item, value, &format!("{path}[{at}]"));
                }
            }
            (Shape::Choice(choices), DeValue::String(text)) => {
                if !choices.contains(&text.as_ref()) {
                    let shape = Shape::Choice(choices.clone());
                    let message = format!("`{path}` must be {shape}, not \"{text}\"");
                    let meant = meant(text, choices.into_iter());
                    let help = meant.map(|meant| format!("did you mean \"{meant}\"?"));
                    self.find(path, value.span(), message, help);
                }
            }
            (shape @ Shape::Integer { min, max }, DeValue::Integer(integer)) => {
                let fits = number(integer).is_some_and(|number| (min..=max).contains(&number));
                if !fits {
                    let message = format!("`{path}` must be {shape}, not {integer}");
                    self.find(path, value.span(), message, described(path, self.schema));
                }
            }
            (Shape::Any, _)
            | (Shape::Text, DeValue::String(_))
            | (Shape::Number, DeValue::Float(_) | DeValue::Integer(_))
            | (Shape::Boolean, DeValue::Boolean(_)) => {}
            (shape, other) => {
                let message = format!("`{path}` must be {shape}, not {}", kind(other));
                let help = hint(&shape, other).or_else(|| described(path, self.schema));
                self.find(path, value.span(), message, help);
            }
        }
    }

    fn table(&mut self, node: Node<'s>, table: &DeTable<'_>, span: &Range<usize>, path: &str) {
        let join = |name: &str| match path {
            "" => name.to_owned(),
            section => format!("{section}.{name}"),
        };
        let shape = node.shape();
        for (name, value) in table {
            let key = join(name.get_ref());
            let property = match &shape {
                Shape::Open(values) => Some(*values),
                Shape::OneOf(tables) => tables
                    .iter()
                    .find(|(known, _)| known == name.get_ref())
                    .map(|(_, node)| *node),
                _ => node.property(name.get_ref()),
            };
            match property {
                Some(property) => self.value(property, value, &key),
                None => self.unknown(&shape, name, &key, path),
            }
        }
        match shape {
            Shape::Table { required, .. } => {
                for missing in required
                    .into_iter()
                    .filter(|name| !table.contains_key(*name))
                {
                    let message = format!("`{}` is missing", join(missing));
                    let description = node.property(missing).and_then(Node::description);
                    let help = description.map(|text| format!("`{missing}`: {text}"));
                    self.find(&join(missing), span.clone(), message, help);
                }
            }
            Shape::OneOf(_) if table.len() != 1 => {
                let message = format!("`{path}` must be {shape}; it has {} keys", table.len());
                self.find(path, span.clone(), message, None);
            }
            _ => {}
        }
    }

    fn unknown(
        &mut self,
        shape: &Shape<'_>,
        name: &Spanned<impl AsRef<str>>,
        key: &str,
        path: &str,
    ) {
        let known: Vec<&str> = match shape {
            Shape::Table { properties, .. } => properties.keys().map(String::as_str).collect(),
            Shape::OneOf(tables) => tables.iter().map(|(name, _)| *name).collect(),
            _ => Vec::new(),
        };
        let word = name.get_ref().as_ref();
        let help = match meant(word, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => match self.elsewhere(word) {
                Some(other) => format!("did you mean `{other}`?"),
                None => format!("known here: {}", known.join(", ")),
            },
        };
        let of = match path {
            "" => "the configuration".to_owned(),
            section => format!("`{section}`"),
        };
        let message = format!("`{key}` is not known: {of} has no key `{word}`");
        self.find(key, name.span(), message, Some(help));
    }

    /// The same key in another section.
    fn elsewhere(&self, word: &str) -> Option<String> {
        let all = leaves(self.schema);
        let mut same = all.into_iter().filter(|(key, _)| {
            let last = key.rsplit('.').next();
            last == Some(word)
        });
        same.next().map(|(key, _)| key)
    }
}

fn number(integer: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(integer) => format!("the number {integer}"),
        DeValue::Float(float) => format!("the number {float}"),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn hint(shape: &Shape<'_>, value: &DeValue<'_>) -> Option<String> {
    match (shape, value) {
        (Shape::Integer { .. }, DeValue::String(text)) => {
            let plain = text.trim().parse::<i64>().ok()?;
            Some(format!("numbers stand without quotes: {plain}"))
        }
        (Shape::List(_), DeValue::String(text)) => Some(format!("did you mean [\"{text}\"]?")),
        (Shape::Text | Shape::Choice(_), DeValue::Integer(_) | DeValue::Boolean(_)) => {
            Some("text stands in quotes".to_owned())
        }
        _ => None,
    }
}
