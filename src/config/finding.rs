//! A mistake in the configuration: where it stands, what is wrong, and what was probably meant.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use thiserror::Error;

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, Clone, Error)]
#[error("the configuration has {}", count(.findings.len()))]
pub struct ConfigError {
    /// Each mistake, in the order of the file.
    pub findings: Vec<Finding>,
}

fn count(mistakes: usize) -> String {
    match mistakes {
        1 => "a mistake".to_owned(),
        more => format!("{more} mistakes"),
    }
}

/// One mistake.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The key, such as `media.presets[1].name`; empty if it is about no single key.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what is expected.
    pub help: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// Where a mistake stands.
#[derive(Debug, Clone)]
pub enum Place {
    /// Bytes of a file.
    File {
        /// The file.
        source: Arc<SourceFile>,
        /// Its bytes.
        span: Range<usize>,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
    /// A file as a whole.
    Whole(PathBuf),
}

/// A file's name and text.
#[derive(Debug)]
pub struct SourceFile {
    /// Its path, as the user gave it.
    pub path: PathBuf,
    named: NamedSource<String>,
}

impl SourceFile {
    /// A file's text.
    pub fn new(path: &Path, text: String) -> Self {
        Self {
            path: path.to_owned(),
            named: NamedSource::new(path.display().to_string(), text),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.named.inner()
    }

    /// Line and column of a byte, both from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let mut at = at.min(self.text().len());
        while !self.text().is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.text()[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

impl Finding {
    /// The line from 1, if it stands in a file.
    pub fn line(&self) -> Option<usize> {
        self.place.line()
    }
}

impl Place {
    /// The line from 1, if it is in a file.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::File { source, span } => Some(source.position(span.start).0),
            _ => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { .. } => {}
            Place::Environment(variable) => write!(f, "environment variable {variable}: ")?,
            Place::Flag(flag) => write!(f, "{flag}: ")?,
            Place::Whole(path) => write!(f, "{}: ", path.display())?,
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

impl Diagnostic for Finding {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match &self.place {
            Place::File { source, .. } => Some(&source.named),
            _ => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match &self.place {
            Place::File { span, .. } => {
                let label =
                    LabeledSpan::new_primary_with_span(Some("here".to_owned()), span.clone());
                Some(Box::new(std::iter::once(label)))
            }
            _ => None,
        }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Finding", 7)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("help", &self.help)?;
        match &self.place {
            Place::File { source, span } => {
                let (line, column) = source.position(span.start);
                fields.serialize_field("file", &source.path)?;
                fields.serialize_field("line", &line)?;
                fields.serialize_field("column", &column)?;
            }
            Place::Environment(variable) => fields.serialize_field("variable", variable)?,
            Place::Flag(flag) => fields.serialize_field("flag", flag)?,
            Place::Whole(path) => fields.serialize_field("file", path)?,
        }
        fields.end()
    }
}

/// Below this, words only share letters.
const LIKENESS_MIN: f64 = 0.8;

/// The candidate that `word` was probably meant to be.
pub(super) fn meant<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let likeness = |candidate: &str| {
        let (word, candidate) = (word.to_lowercase(), candidate.to_lowercase());
        strsim::jaro_winkler(&word, &candidate)
    };
    candidates
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}
