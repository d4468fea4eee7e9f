//! Why a command did not do what it was asked for, as people and scripts are told.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use iyagi_actors::journal::JournalFault;
use iyagi_actors::ports::SearchFault;
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::{Value, json};
use thiserror::Error;

use super::exit::Exit;
use super::operations::OperationsError;
use super::output::Format;
use crate::auth::local_issuer::LocalIssuerError;
use crate::auth::operators::OperatorsError;
use crate::aws::clients::ClientsError;
use crate::aws::fault::{CallFault, FaultKind};
use crate::backfill::BackfillError;
use crate::config::ConfigError;
use crate::daemon::{DaemonError, LockError};
use crate::demo::DemoError;
use crate::embedded::journal::OpenError;
use crate::hindsight::PastFault;
use crate::hindsight::what_if::TrialFault;
use crate::http::HttpError;
use crate::retention::AtRestError;
use crate::search_rebuild::RebuildError;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The configuration has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon did not answer, or refused.
    #[error(transparent)]
    Operations(#[from] OperationsError),
    /// The daemon did not come up, or went down.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// There is no token to bring.
    #[error(transparent)]
    OperatorsToken(#[from] OperatorsError),
    /// There is no key to sign with.
    #[error(transparent)]
    Issuer(#[from] LocalIssuerError),
    /// A token could not be signed.
    #[error("the token cannot be signed: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// The journal cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// What was asked for is not there.
    #[error("{what}")]
    NotFound {
        /// What is not there.
        what: String,
        /// What to do about it.
        help: String,
    },
    /// The arguments do not go together.
    #[error("{what}")]
    Usage {
        /// What is wrong with them.
        what: String,
        /// What to write instead.
        help: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The result cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// There are no clients of AWS.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// A call to AWS failed.
    #[error(transparent)]
    Aws(#[from] CallFault),
    /// The threads cannot be started.
    #[error("the command cannot start its threads: {0}")]
    Threads(io::Error),
    /// A graph cannot be made known.
    #[error(transparent)]
    Backfill(#[from] BackfillError),
    /// A journal at rest cannot be compacted.
    #[error(transparent)]
    Compaction(#[from] AtRestError),
    /// A search index cannot be built.
    #[error(transparent)]
    Search(#[from] RebuildError),
    /// The past cannot be read.
    #[error(transparent)]
    Past(#[from] PastFault),
    /// Other templates cannot be tried.
    #[error(transparent)]
    Trial(#[from] TrialFault),
    /// There was no demo, or only half of one.
    #[error(transparent)]
    Demo(#[from] DemoError),
}

impl Failure {
    /// How the process ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::Clients(ClientsError::NoRegion)
            | Self::Backfill(
                BackfillError::NoGraph | BackfillError::Clients(ClientsError::NoRegion),
            )
            | Self::Search(
                RebuildError::OnAws
                | RebuildError::Disabled
                | RebuildError::NoGraph
                | RebuildError::Clients(ClientsError::NoRegion)
                | RebuildError::OpenSearch(_),
            )
            | Self::Compaction(AtRestError::OfFleet)
            | Self::OperatorsToken(_)
            | Self::Daemon(
                DaemonError::Operators(_) | DaemonError::Http(HttpError::NotLoopback { .. }),
            ) => Exit::Config,
            Self::Daemon(DaemonError::Adapter(error)) if error.is_of_configuration() => {
                Exit::Config
            }
            Self::Aws(fault) if matches!(fault.kind, FaultKind::Busy | FaultKind::Unreachable) => {
                Exit::TryAgain
            }
            Self::Operations(error) => error.exit(),
            Self::Daemon(DaemonError::Lock(LockError::Taken { .. }) | DaemonError::Http(_)) => {
                Exit::TryAgain
            }
            Self::Backfill(BackfillError::Lock(LockError::Taken { .. }))
            | Self::Compaction(AtRestError::Lock(LockError::Taken { .. }))
            | Self::Search(
                RebuildError::Lock(LockError::Taken { .. })
                | RebuildError::Index(SearchFault::Unavailable(_)),
            ) => Exit::TryAgain,
            Self::Daemon(DaemonError::CutShort(_))
            | Self::Demo(DemoError::Daemon(DaemonError::CutShort(_))) => Exit::CutShort,
            Self::Usage { .. } | Self::Demo(DemoError::Speed(_)) => Exit::Usage,
            // Whoever read our output has seen enough.
            Self::Output(error) | Self::Demo(DemoError::Output(error))
                if error.kind() == io::ErrorKind::BrokenPipe =>
            {
                Exit::Done
            }
            _ => Exit::Failed,
        }
    }

    /// Tells it on standard error, and yields how the process ends.
    pub fn report(&self, format: Format) -> Exit {
        let exit = self.exit();
        if exit != Exit::Done {
            let text = match format {
                Format::Json => format!("{}\n", self.to_json()),
                Format::Text => self.to_text(),
            };
            // With standard error gone there is nobody left to tell.
            io::stderr().write_all(text.as_bytes()).ok();
        }
        exit
    }

    fn help(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::NotFound { help, .. } | Self::Usage { help, .. } => Some(help.into()),
            Self::Operations(error) => error.help().map(Cow::from),
            Self::Aws(fault) => Some(fault.cure().into()),
            _ => None,
        }
    }

    fn to_json(&self) -> Value {
        let mut error = json!({
            "message": self.to_string(),
            "help": self.help(),
            "exit": self.exit() as u8,
        });
        match self {
            Self::Config(config) => error["findings"] = json!(config.findings),
            Self::Operations(OperationsError::Refused { problem, .. }) => {
                error["problem"] = problem.clone();
            }
            _ => {}
        }
        json!({ "error": error })
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        if let Self::Config(error) = self {
            text.push_str(&findings(error));
        }
        text.push_str("error: ");
        text.push_str(&self.to_string());
        text.push('\n');
        if let Some(help) = self.help() {
            text.push_str("  help: ");
            text.push_str(&help);
            text.push('\n');
        }
        text
    }
}

/// The mistakes, each with its line of the file.
pub(super) fn findings(error: &ConfigError) -> String {
    let theme = if io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(110);
    let mut text = String::new();
    for finding in &error.findings {
        if handler.render_report(&mut text, finding).is_err() {
            text.push_str(&finding.to_string());
        }
        text.push('\n');
    }
    text
}
