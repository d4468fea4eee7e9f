//! Creates and repairs what a configuration needs of AWS, or takes it away.
//!
//! What is there is read first and held against what should be there; the result is a [`Plan`], which is carried out
//! step by step. A step that fails leaves the rest undone, and the next run plans from what it finds, so it goes on
//! from there. The account is never configured: it stands in the ARNs that the services return.
//!
//! # Layout
//! - this file: the set of resources, planning, carrying out
//! - `plan`: plans as data
//! - `site`: where an installation stands
//! - `topics`, `queues`, `subscriptions`, `bucket`, `tables`, `applications`: a kind of resource each
//! - `policy`: resource policies, in which others have statements too

mod applications;
mod bucket;
mod plan;
mod policy;
mod queues;
mod site;
mod subscriptions;
mod tables;
mod topics;

use std::collections::HashSet;

use async_trait::async_trait;

pub use self::plan::{Action, Difference, Kind, Plan, Resource, Step};

use self::applications::ApplicationPart;
use self::bucket::BucketPart;
use self::queues::QueuePart;
use self::site::Site;
use self::subscriptions::SubscriptionPart;
use self::tables::TablePart;
use self::topics::TopicPart;
use super::clients::Clients;
use super::fault::{CallFault, FaultKind};
use crate::config::Config;

/// What nothing here ever makes, changes or deletes.
const BEYOND: [&str; 4] = [
    "Neptune: cluster, parameter group with neptune_streams, subnets",
    "IAM: the role of the hosts and its policies",
    "KMS: keys and their policies",
    "EC2: network, security groups, launch template, Auto Scaling group",
];

/// Plans and carries out.
pub struct Provisioner<'a> {
    site: Site<'a>,
    parts: Vec<Box<dyn Part>>,
}

/// What may be asked for beside the usual.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Hand the platform applications their credentials anew: SNS tells nobody which it has.
    pub renew_credentials: bool,
}

/// A resource as it is, next to how it should be.
pub(super) struct Look {
    action: Action,
    /// What others have put on it, which stays.
    untouched: Vec<String>,
}

/// One resource: how to see, make, mend and remove it.
#[async_trait]
trait Part: Send + Sync {
    fn resource(&self) -> &Resource;

    /// What is to be done so that it is as it should be.
    async fn look(&self, site: &Site<'_>) -> Result<Look, CallFault>;

    /// Makes it whole, with every setting.
    async fn create(&self, site: &Site<'_>) -> Result<(), CallFault>;

    /// Mends these settings.
    async fn change(&self, site: &Site<'_>, differences: &[Difference]) -> Result<(), CallFault>;

    /// What is to be done so that it is gone; nothing if it is.
    async fn farewell(&self, site: &Site<'_>, with_data: bool)
    -> Result<Option<Action>, CallFault>;

    /// Removes it.
    async fn delete(&self, site: &Site<'_>, with_data: bool) -> Result<(), CallFault>;

    /// Lets go of it where it must stay.
    async fn release(&self, _site: &Site<'_>) -> Result<(), CallFault> {
        Ok(())
    }
}

impl From<Action> for Look {
    fn from(action: Action) -> Self {
        let untouched = Vec::new();
        Self { action, untouched }
    }
}

/// Everything that a configuration needs, in the order in which it is made.
pub fn resources(config: &Config) -> Vec<Resource> {
    let parts = parts(config, Wishes::default());
    parts.iter().map(|part| part.resource().clone()).collect()
}

/// Topics come first: their ARNs tell the account, which every policy names.
fn parts(config: &Config, wishes: Wishes) -> Vec<Box<dyn Part>> {
    fn boxed<P: Part + 'static>(parts: Vec<P>) -> impl Iterator<Item = Box<dyn Part>> {
        let parts = parts.into_iter();
        parts.map(|part| Box::new(part) as Box<dyn Part>)
    }
    boxed(TopicPart::all(config))
        .chain(boxed(QueuePart::all(config)))
        .chain(boxed(SubscriptionPart::all(config)))
        .chain(boxed(vec![BucketPart::new(config)]))
        .chain(boxed(TablePart::all(config)))
        .chain(boxed(ApplicationPart::all(config, wishes)))
        .collect()
}

impl<'a> Provisioner<'a> {
    /// Everything that `config` needs, reached by `clients`.
    pub fn new(clients: &'a Clients, config: &'a Config, wishes: Wishes) -> Self {
        Self {
            site: Site::new(clients, config),
            parts: parts(config, wishes),
        }
    }

    /// Reads what is there and says what is to be done. Changes nothing.
    pub async fn plan(&self) -> Result<Plan, CallFault> {
        let mut steps = Vec::new();
        let mut untouched = BEYOND.map(str::to_owned).to_vec();
        for part in &self.parts {
            let resource = part.resource().clone();
            let look = part.look(&self.site).await?;
            untouched.extend(look.untouched);
            let action = look.action;
            steps.push(Step { resource, action });
        }
        untouched.extend(applications::left_out(self.site.config));
        Ok(Plan { steps, untouched })
    }

    /// Reads what is there and says what is to be done so that it is gone. Changes nothing.
    pub async fn farewell(&self, with_data: bool) -> Result<Plan, CallFault> {
        let mut steps = Vec::new();
        // Whatever others refer to goes after them; but its account must be known before.
        for topic in [
            self.site.names.media_topic(),
            self.site.names.feedback_topic(),
        ] {
            self.site.find_topic(&topic).await?;
        }
        for part in self.parts.iter().rev() {
            let resource = part.resource().clone();
            if let Some(action) = part.farewell(&self.site, with_data).await? {
                steps.push(Step { resource, action });
            }
        }
        let untouched = BEYOND.map(str::to_owned).to_vec();
        Ok(Plan { steps, untouched })
    }

    /// Looks at each resource on its own, so that one that cannot be seen hides no other. Of a service that does not
    /// answer, only the first is looked at.
    pub async fn survey(&self) -> Vec<(Resource, Result<Action, CallFault>)> {
        let mut seen = Vec::new();
        let mut silent = HashSet::new();
        for part in &self.parts {
            let resource = part.resource().clone();
            let service = resource.kind.service();
            if silent.contains(service) {
                continue;
            }
            let looked = part.look(&self.site).await.map(|look| look.action);
            if looked
                .as_ref()
                .is_err_and(|fault| fault.kind == FaultKind::Unreachable)
            {
                silent.insert(service);
            }
            seen.push((resource, looked));
        }
        seen
    }

    /// Does what the plan says, and tells of each step once it is done.
    pub async fn carry_out<E: From<CallFault>>(
        &self,
        plan: &Plan,
        mut done: impl FnMut(&Step) -> Result<(), E>,
    ) -> Result<(), E> {
        for step in &plan.steps {
            let part = self.part(&step.resource);
            match &step.action {
                Action::Keep => continue,
                Action::Create => part.create(&self.site).await?,
                Action::Change { differences } => part.change(&self.site, differences).await?,
                Action::Delete { with_data } => part.delete(&self.site, *with_data).await?,
                Action::Retain { .. } => part.release(&self.site).await?,
            }
            done(step)?;
        }
        Ok(())
    }

    fn part(&self, resource: &Resource) -> &dyn Part {
        let found = self.parts.iter().find(|part| part.resource() == resource);
        found
            .expect("a plan names what its own provisioner looked at")
            .as_ref()
    }
}
