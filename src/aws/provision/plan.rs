//! What is to be done, as data.

use std::fmt;

use serde::Serialize;

/// Something that an installation consists of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Resource {
    /// What it is.
    pub kind: Kind,
    /// What it is called; a subscription by its topic and its queue.
    pub name: String,
}

/// The kinds of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An SNS topic.
    Topic,
    /// An SQS queue.
    Queue,
    /// A queue's subscription to a topic.
    Subscription,
    /// An S3 bucket.
    Bucket,
    /// A DynamoDB table.
    Table,
    /// An SNS platform application.
    PlatformApplication,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Queue => "queue",
            Self::Subscription => "subscription",
            Self::Bucket => "bucket",
            Self::Table => "table",
            Self::PlatformApplication => "platform application",
        }
    }
}

impl Kind {
    /// The service that has it.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Topic | Self::Subscription | Self::PlatformApplication => "sns",
            Self::Queue => "sqs",
            Self::Bucket => "s3",
            Self::Table => "dynamodb",
        }
    }
}

impl Resource {
    pub(super) fn new(kind: Kind, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { kind, name }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.kind.word(), self.name)
    }
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// A step for each resource.
    pub steps: Vec<Step>,
    /// What was seen, or is known to be needed, and is left as it is.
    pub untouched: Vec<String>,
}

impl Plan {
    /// Whether everything is as it should be already.
    pub fn is_idle(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.all(|step| matches!(step.action, Action::Keep | Action::Retain { .. }))
    }
}

/// What is to be done about one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The resource.
    pub resource: Resource,
    /// What is to be done about it.
    #[serde(flatten)]
    pub action: Action,
}

/// What can be done about a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// It is not there.
    Create,
    /// It is there, and these settings are not what they should be.
    Change {
        /// The settings.
        differences: Vec<Difference>,
    },
    /// It is as it should be.
    Keep,
    /// It is no longer wanted.
    Delete {
        /// Whether what it holds goes with it.
        with_data: bool,
    },
    /// It is no longer wanted, but it holds what cannot be made again.
    Retain {
        /// What it holds, and what would delete it nevertheless.
        why: String,
    },
}

impl Action {
    /// What these differences call for.
    pub(super) fn mending(differences: Vec<Difference>) -> Self {
        if differences.is_empty() {
            Self::Keep
        } else {
            Self::Change { differences }
        }
    }

    /// The action in one word.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change { .. } => "change",
            Self::Keep => "keep",
            Self::Delete { .. } => "delete",
            Self::Retain { .. } => "retain",
        }
    }
}

/// A setting that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name.
    pub setting: String,
    /// How it is.
    pub is: String,
    /// How it should be.
    pub wanted: String,
}

impl Difference {
    pub(super) fn new(
        setting: impl Into<String>,
        is: impl Into<String>,
        wanted: impl Into<String>,
    ) -> Self {
        Self {
            setting: setting.into(),
            is: is.into(),
            wanted: wanted.into(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} -> {}", self.setting, self.is, self.wanted)
    }
}
