//! What the instance that the daemon runs on is told about its end, and the answer to it.
//!
//! The metadata service says two things: that the Auto Scaling group terminates the instance, which a lifecycle hook holds
//! until somebody lets the group go on; and that spot capacity is taken back in two minutes, which nothing holds. Neither
//! is guaranteed to be said, so that nothing may depend on it but how soon the others take over.

use std::convert::Infallible;
use std::time::Duration;

use aws_config::imds;
use aws_config::imds::client::error::ImdsError;
use thiserror::Error;
use tokio::sync::OnceCell;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::clients::instance_metadata;
use super::fault::CallFault;
use super::sdk_error::chain;

/// Where the group says what it wants this instance to become.
const TARGET_STATE: &str = "/latest/meta-data/autoscaling/target-lifecycle-state";
/// What [`TARGET_STATE`] says while a hook holds the instance's end.
const TERMINATED: &str = "Terminated";
/// Where there is something only once spot capacity is taken back.
const SPOT_ACTION: &str = "/latest/meta-data/spot/instance-action";
const INSTANCE_ID: &str = "/latest/meta-data/instance-id";
/// What the group does once it is let go on: what it was about to do.
const CONTINUE: &str = "CONTINUE";
/// AWS recommends it for notices that leave two minutes.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A hook of the template waits five minutes for a word, and one a minute costs nothing.
const HEARTBEAT_INTERVAL: Duration = Duration::from_mins(1);

/// The instance that the daemon runs on, if it is one.
#[derive(Debug)]
pub struct Instance {
    metadata: imds::Client,
    autoscaling: aws_sdk_autoscaling::Client,
    lifecycle_hook: Option<String>,
    pace: Pace,
}

/// How often the services are spoken to.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From one look at the notices to the next.
    pub look: Duration,
    /// From one word to the group that the drain goes on to the next.
    pub heartbeat: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: LOOK_INTERVAL,
            heartbeat: HEARTBEAT_INTERVAL,
        }
    }
}

/// Why the instance is about to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Its Auto Scaling group terminates it.
    Termination,
    /// Its spot capacity is taken back.
    SpotInterruption {
        /// What happens and when, as the metadata service puts it.
        action: String,
    },
}

/// Why something about the instance is not known or not done.
#[derive(Debug, Error)]
pub enum InstanceFault {
    /// The metadata service gives no tokens, or there is none.
    #[error("the instance metadata service gives no token: {0}")]
    NoToken(String),
    /// The metadata service does not answer the question.
    #[error("the instance metadata service does not say {path}: {reason}")]
    Unsaid {
        /// The question.
        path: &'static str,
        /// What it says instead.
        reason: String,
    },
    /// Auto Scaling knows of no group with this instance.
    #[error(
        "instance {0} is in no Auto Scaling group, so there is no lifecycle action to complete"
    )]
    NoGroup(String),
    /// Auto Scaling refuses, or is not reached.
    #[error(transparent)]
    Call(#[from] CallFault),
}

/// What a hook holds.
#[derive(Debug)]
struct LifecycleAction {
    group: String,
    instance: String,
}

impl Instance {
    /// The instance with its metadata service at the standard address or that of `AWS_EC2_METADATA_SERVICE_ENDPOINT`;
    /// nothing if `AWS_EC2_METADATA_DISABLED` forbids to ask.
    pub fn here(
        autoscaling: aws_sdk_autoscaling::Client,
        lifecycle_hook: Option<String>,
    ) -> Option<Self> {
        let disabled = std::env::var("AWS_EC2_METADATA_DISABLED");
        if disabled.is_ok_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
            return None;
        }
        let metadata = instance_metadata().build();
        Some(Self::new(
            metadata,
            autoscaling,
            lifecycle_hook,
            Pace::default(),
        ))
    }

    /// The instance that a metadata service speaks of.
    pub fn new(
        metadata: imds::Client,
        autoscaling: aws_sdk_autoscaling::Client,
        lifecycle_hook: Option<String>,
        pace: Pace,
    ) -> Self {
        Self {
            metadata,
            autoscaling,
            lifecycle_hook,
            pace,
        }
    }

    /// Resolves once the instance is told of its end; at once and with nothing if this is no instance.
    pub async fn notice(&self) -> Option<Notice> {
        let mut looks = interval(self.pace.look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        let mut silent = false;
        loop {
            looks.tick().await;
            match self.look().await {
                Ok(Some(notice)) => return Some(notice),
                Ok(None) if silent => {
                    tracing::info!("the instance metadata service answers again");
                    silent = false;
                }
                Ok(None) => {}
                Err(fault @ InstanceFault::NoToken(_)) if first => {
                    tracing::debug!(%fault, "this is no instance of EC2; notices are not watched for");
                    return None;
                }
                Err(fault) if silent => tracing::debug!(%fault, "notices are still not known"),
                Err(fault) => {
                    tracing::warn!(%fault, "notices of this instance's end are not known");
                    silent = true;
                }
            }
            first = false;
        }
    }

    /// Stops the daemon because of a notice, and lets the group go on afterwards if it waits. Whatever fails about the
    /// group is logged: the hook then runs out by itself.
    pub async fn heed<T>(&self, notice: &Notice, stop: impl Future<Output = T>) -> T {
        if let Notice::SpotInterruption { action } = notice {
            tracing::warn!(action, "told to stop: the spot capacity is taken back");
            return stop.await;
        }
        tracing::info!("told to stop: the Auto Scaling group terminates this instance");
        let Some(hook) = &self.lifecycle_hook else {
            tracing::warn!(
                "`aws.lifecycle_hook` is not set, so the group is not told when this host is drained"
            );
            return stop.await;
        };
        let action = OnceCell::new();
        let stopped = tokio::select! {
            stopped = stop => stopped,
            never = self.hold(hook, &action) => match never {},
        };
        match self.complete(hook, &action).await {
            Ok(()) => tracing::info!(hook, "drained; the group may go on"),
            Err(fault) => {
                tracing::warn!(%fault, hook, "the group is not told that this host is drained");
            }
        }
        stopped
    }

    async fn look(&self) -> Result<Option<Notice>, InstanceFault> {
        let state = match self.read(TARGET_STATE).await {
            Err(fault @ InstanceFault::NoToken(_)) => return Err(fault),
            state => state,
        };
        // One question that fails must not hide the answer to the other.
        let action = self.read(SPOT_ACTION).await;
        match (state, action) {
            (Ok(Some(state)), _) if state.trim() == TERMINATED => Ok(Some(Notice::Termination)),
            (_, Ok(Some(action))) => Ok(Some(Notice::SpotInterruption { action })),
            (Err(fault), _) | (_, Err(fault)) => Err(fault),
            (Ok(_), Ok(None)) => Ok(None),
        }
    }

    /// What the metadata service says, if there is anything to say.
    async fn read(&self, path: &'static str) -> Result<Option<String>, InstanceFault> {
        let error = match self.metadata.get(path).await {
            Ok(said) => return Ok(Some(said.into())),
            Err(error) => error,
        };
        let reason = match &error {
            ImdsError::FailedToLoadToken(_) => return Err(InstanceFault::NoToken(chain(&error))),
            ImdsError::ErrorResponse(answer) => match answer.response().status().as_u16() {
                404 => return Ok(None),
                status => format!("HTTP status {status}"),
            },
            _ => chain(&error),
        };
        Err(InstanceFault::Unsaid { path, reason })
    }

    /// Keeps the hook from running out.
    async fn hold(&self, hook: &str, action: &OnceCell<LifecycleAction>) -> Infallible {
        // Known early, so that only one call is left once the daemon has stopped.
        if let Err(fault) = self.held(action).await {
            tracing::warn!(%fault, "the group of this instance is not known yet");
        }
        let first = Instant::now() + self.pace.heartbeat;
        let mut heartbeats = interval_at(first, self.pace.heartbeat);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            heartbeats.tick().await;
            match self.heartbeat(hook, action).await {
                Ok(()) => tracing::info!(hook, "still draining; the group waits on"),
                Err(fault) => tracing::warn!(%fault, hook, "the group is not told to wait on"),
            }
        }
    }

    async fn heartbeat(
        &self,
        hook: &str,
        action: &OnceCell<LifecycleAction>,
    ) -> Result<(), InstanceFault> {
        let LifecycleAction { group, instance } = self.held(action).await?;
        let call = self.autoscaling.record_lifecycle_action_heartbeat();
        let call = call
            .auto_scaling_group_name(group)
            .lifecycle_hook_name(hook)
            .instance_id(instance);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let action = "autoscaling:RecordLifecycleActionHeartbeat";
                Err(CallFault::of(format!("group {group}"), action, &error).into())
            }
        }
    }

    async fn complete(
        &self,
        hook: &str,
        action: &OnceCell<LifecycleAction>,
    ) -> Result<(), InstanceFault> {
        let LifecycleAction { group, instance } = self.held(action).await?;
        let call = self.autoscaling.complete_lifecycle_action();
        let call = call
            .auto_scaling_group_name(group)
            .lifecycle_hook_name(hook)
            .instance_id(instance)
            .lifecycle_action_result(CONTINUE);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let action = "autoscaling:CompleteLifecycleAction";
                Err(CallFault::of(format!("group {group}"), action, &error).into())
            }
        }
    }

    /// What the hook holds; asked for until it is known once.
    async fn held<'a>(
        &self,
        action: &'a OnceCell<LifecycleAction>,
    ) -> Result<&'a LifecycleAction, InstanceFault> {
        let find = async || {
            let instance = self.read(INSTANCE_ID).await?;
            let instance = instance.ok_or_else(|| InstanceFault::Unsaid {
                path: INSTANCE_ID,
                reason: "HTTP status 404".to_owned(),
            })?;
            let group = self.group(&instance).await?;
            Ok(LifecycleAction { group, instance })
        };
        action.get_or_try_init(find).await
    }

    async fn group(&self, instance: &str) -> Result<String, InstanceFault> {
        let call = self.autoscaling.describe_auto_scaling_instances();
        let described = call.instance_ids(instance).send().await.map_err(|error| {
            let action = "autoscaling:DescribeAutoScalingInstances";
            CallFault::of(format!("instance {instance}"), action, &error)
        })?;
        let instances = described.auto_scaling_instances.unwrap_or_default();
        let group = instances
            .into_iter()
            .find(|one| one.instance_id.as_deref() == Some(instance))
            .and_then(|one| one.auto_scaling_group_name);
        group.ok_or_else(|| InstanceFault::NoGroup(instance.to_owned()))
    }
}
