//! Whether a daemon could do its work on AWS with what is there and what these credentials may do.
//!
//! Nothing is changed. Where a permission can only be seen by using it, it is used in a way that must fail for another
//! reason: a receipt that nobody was given, a condition that cannot hold, an object that nobody put. Being refused for
//! that reason is the proof.
//!
//! # Layout
//! - this file: what is looked at, in which order
//! - `permissions`: what each role of this host does to queues, objects and tables
//! - `overlap`: whether the bucket tells us of what we write ourselves; a daemon looks at it when it starts, too
//! - `push`: the platform applications
//! - `graph`: Neptune and its change log
//! - `search`: the search index on OpenSearch

mod graph;
mod overlap;
mod permissions;
mod push;
mod search;

use std::collections::HashSet;

pub use self::overlap::Overlap;
pub use self::search::check as search;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::clients::Clients;
use super::fault::{CallFault, FaultKind, code};
use super::provision::{Action, Provisioner, Resource, Wishes};
use crate::config::{Config, Role};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// What: a resource, an IAM action, or a dependency.
    pub at: String,
    /// Whether it is as the daemon needs it.
    pub ok: bool,
    /// How it is.
    pub detail: String,
    /// What to do about it.
    pub cure: Option<String>,
}

impl Looked {
    fn good(at: impl ToString, detail: impl Into<String>) -> Self {
        Self {
            at: at.to_string(),
            ok: true,
            detail: detail.into(),
            cure: None,
        }
    }

    fn bad(at: impl ToString, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            at: at.to_string(),
            ok: false,
            detail: detail.into(),
            cure: Some(cure.into()),
        }
    }

    fn fault(at: impl ToString, fault: &CallFault) -> Self {
        let detail = format!("{}: {}", fault.resource, fault.reason);
        Self::bad(at, detail, fault.cure())
    }
}

/// Looks at everything that this host's roles need.
pub async fn check(clients: &Clients, config: &Config) -> Vec<Looked> {
    let mut looked = vec![Looked::good("region", clients.region.as_ref())];
    let provisioner = Provisioner::new(clients, config, Wishes::default());
    let survey = provisioner.survey().await;
    let mut absent = HashSet::new();
    for (resource, seen) in survey {
        match seen {
            // Every further call would say the same.
            Err(fault) if fault.kind == FaultKind::Credentials => {
                looked.push(Looked::bad("credentials", &fault.reason, fault.cure()));
                return looked;
            }
            Ok(Action::Create) => {
                looked.push(resource_look(&resource, Ok(Action::Create)));
                absent.insert(resource.to_string());
            }
            seen => looked.push(resource_look(&resource, seen)),
        }
    }
    looked.insert(1, Looked::good("credentials", "they hold"));
    looked.extend(permissions::check(clients, config, &absent).await);
    let has = |role| config.fleet.roles.contains(&role);
    if has(Role::Pusher) {
        looked.extend(push::check(clients, config).await);
    }
    if has(Role::Poller) || has(Role::Matcher) {
        looked.extend(graph::check(clients).await);
    }
    looked
}

fn resource_look(resource: &Resource, seen: Result<Action, CallFault>) -> Looked {
    match seen {
        Ok(Action::Create) => {
            Looked::bad(resource, "it is not there", "`iyagi provision` creates it")
        }
        Ok(Action::Change { differences }) => {
            let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
            Looked::bad(resource, told.join("; "), "`iyagi provision` mends it")
        }
        Ok(_) => Looked::good(resource, "as it should be"),
        Err(fault) => Looked::fault(resource, &fault),
    }
}

/// What an attempt shows that was bound to fail with one of these codes.
fn proven<T, E, R>(
    resource: &str,
    action: &str,
    answer: Result<T, SdkError<E, R>>,
    codes: &[&str],
) -> Looked
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match answer {
        Ok(_) => Looked::good(action, format!("{resource}: allowed")),
        Err(error) if code(&error).is_some_and(|code| codes.contains(&code)) => {
            Looked::good(action, format!("{resource}: allowed"))
        }
        Err(error) => Looked::fault(action, &CallFault::of(resource, action, &error)),
    }
}
