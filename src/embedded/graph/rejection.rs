//! Why a commit was refused: which entry, which field, what is wrong with it, and what would be right.

use std::fmt;

use thiserror::Error;

use super::operations::OPERATIONS_MAX;
use super::value::DATA_TYPES;

/// A commit that was refused whole: nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct CommitRejected {
    /// The list that the commit came as.
    pub list: List,
    /// The offending entry's place in the list, from 0; absent if the commit as a whole is wrong.
    pub index: Option<usize>,
    /// Names from the entry down to the offending field.
    pub path: Vec<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// The two forms of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Operations on elements.
    Operations,
    /// Stream records, statement by statement.
    Records,
}

/// What is wrong with a commit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// Not JSON at all.
    #[error("not JSON: {reason}")]
    NotJson {
        /// The parser's words.
        reason: String,
    },
    /// Neither of the two forms, or both.
    #[error("a commit is one list, of `operations` or of `records`")]
    NoList,
    /// No entry.
    #[error("the commit is empty")]
    Empty,
    /// More entries than a commit may hold.
    #[error("the commit has {count} entries")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// No operation of this name.
    #[error("there is no operation `{name}`")]
    UnknownOperation {
        /// The name given.
        name: String,
        /// The nearest name there is.
        meant: Option<&'static str>,
    },
    /// No field of this name here.
    #[error("there is no field of this name")]
    UnknownField {
        /// The nearest name there is.
        meant: Option<&'static str>,
    },
    /// A field is missing.
    #[error("the field is missing")]
    Missing,
    /// A field of the wrong JSON type, or not one of its few texts.
    #[error("{expected} is expected")]
    Expected {
        /// What is expected.
        expected: &'static str,
    },
    /// JSON that cannot be read for another reason.
    #[error("it cannot be read: {reason}")]
    Malformed {
        /// The parser's words.
        reason: String,
    },
    /// A name of no letters.
    #[error("the text is empty")]
    EmptyText,
    /// Null, a list or an object where a property's value belongs.
    #[error("the value is not a scalar")]
    NotScalar,
    /// NaN or an infinity.
    #[error("the value is not a finite number")]
    NotFinite,
    /// A value that its type cannot hold.
    #[error("the value is not of type {data_type}")]
    WrongValue {
        /// The type.
        data_type: String,
    },
    /// A type that the graph does not know.
    #[error("there is no data type `{name}`")]
    UnknownDataType {
        /// The name given.
        name: String,
    },
    /// The id names an element already.
    #[error("`{id}` is there already")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// The statement holds already.
    #[error("the statement holds already")]
    AlreadyHolds,
    /// No vertex of this id.
    #[error("there is no vertex `{id}`")]
    MissingVertex {
        /// The id.
        id: String,
    },
    /// What is to be changed or dropped does not exist.
    #[error("there is no {what}")]
    NotThere {
        /// What is missing.
        what: String,
    },
    /// An edge's property holds one value.
    #[error("a property of an edge holds one value")]
    EdgeHoldsOne,
    /// An element's last statement went while properties or edges still refer to it.
    #[error("`{id}` is gone, but properties or edges of it are left")]
    LeftBehind {
        /// The id.
        id: String,
    },
}

impl Problem {
    /// What to do about it.
    pub fn cure(&self) -> String {
        let meant = |meant: Option<&'static str>| {
            meant.map_or_else(String::new, |name| format!("did you mean `{name}`? "))
        };
        match self {
            Self::NotJson { .. } | Self::Malformed { .. } => "send valid JSON".to_owned(),
            Self::NoList => r#"send {"operations": [...]} or {"records": [...]}"#.to_owned(),
            Self::Empty => "send at least one entry".to_owned(),
            Self::TooMany { .. } => {
                format!(
                    "send at most {OPERATIONS_MAX} entries, split the rest into further commits"
                )
            }
            Self::UnknownOperation { meant: name, .. } => format!(
                "{}operations are {}",
                meant(*name),
                super::operations::names().join(", ")
            ),
            Self::UnknownField { meant: name } => {
                format!("{}correct the name or leave the field out", meant(*name))
            }
            Self::Missing => "add the field".to_owned(),
            Self::Expected { .. } => "correct the field".to_owned(),
            Self::EmptyText => "give at least one character".to_owned(),
            Self::NotScalar => concat!(
                "give a text, a number, true or false, or {\"value\": ..., \"dataType\": ...}; ",
                "several values of one key are several add_property"
            )
            .to_owned(),
            Self::NotFinite => "leave the property out instead".to_owned(),
            Self::WrongValue { data_type } => match data_type.as_str() {
                "Date" | "DateTime" => "give milliseconds since the epoch".to_owned(),
                _ => "correct the value, or name the type that fits it".to_owned(),
            },
            Self::UnknownDataType { .. } => format!("data types are {}", DATA_TYPES.join(", ")),
            Self::DuplicateId { .. } => {
                "an id names one element, vertex or edge: choose another, or drop that one first"
                    .to_owned()
            }
            Self::AlreadyHolds => "leave the record out".to_owned(),
            Self::MissingVertex { .. } => {
                "add it first, in an earlier commit or earlier in this one".to_owned()
            }
            Self::NotThere { .. } => "correct the name, or leave the entry out".to_owned(),
            Self::EdgeHoldsOne => {
                "replace the value with set_property, or remove it first".to_owned()
            }
            Self::LeftBehind { .. } => {
                "remove them before it, in this commit or an earlier one".to_owned()
            }
        }
    }
}

impl CommitRejected {
    pub(super) fn whole(list: List, problem: Problem) -> Self {
        Self {
            list,
            index: None,
            path: Vec::new(),
            problem,
        }
    }

    pub(super) fn entry(list: List, index: usize, path: &[&str], problem: Problem) -> Self {
        Self {
            list,
            index: Some(index),
            path: path.iter().map(|&name| name.to_owned()).collect(),
            problem,
        }
    }

    /// The offending field of the entry, such as `from` or `properties.age`.
    pub fn field(&self) -> Option<String> {
        (!self.path.is_empty()).then(|| self.path.join("."))
    }

    /// The offending place in the request's body as a JSON Pointer, such as `/operations/3/from`.
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        if let Some(index) = self.index {
            pointer = format!("/{}/{index}", self.list);
        }
        for name in &self.path {
            pointer.push('/');
            pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        }
        pointer
    }

    /// What to do about it.
    pub fn cure(&self) -> String {
        self.problem.cure()
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operations => "operations",
            Self::Records => "records",
        })
    }
}

impl fmt::Display for CommitRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = String::new();
        if let Some(index) = self.index {
            place = format!("{}[{index}]", self.list);
        }
        if let Some(field) = self.field() {
            if !place.is_empty() {
                place.push('.');
            }
            place.push_str(&field);
        }
        if !place.is_empty() {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}; {}", self.problem, self.cure())
    }
}
