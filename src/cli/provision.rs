//! `iyagi provision`: creates, repairs or takes away what the configuration needs of AWS.

use std::future::Future;
use std::io::{self, IsTerminal, Write};

use clap::Args;
use serde_json::json;

use super::output::Output;
use super::{Context, Exit, Failure, RunFlags};
use crate::aws::clients::Clients;
use crate::aws::provision::{Action, Plan, Provisioner, Wishes};
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct ProvisionArguments {
    /// Say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Take everything away instead.
    #[arg(long)]
    destroy: bool,
    /// Also delete what holds data: tables, objects, dead letters, endpoints of phones.
    #[arg(long, requires = "destroy")]
    with_data: bool,
    /// Do not ask before anything is deleted.
    #[arg(long, requires = "destroy")]
    yes: bool,
    /// Hand the platform applications the credentials in their files anew.
    #[arg(long, conflicts_with = "destroy")]
    renew_credentials: bool,
}

pub(super) fn provision(
    context: &mut Context,
    arguments: &ProvisionArguments,
) -> Result<Exit, Failure> {
    let config = context.load(&RunFlags::default())?.config;
    needs_aws(&config)?;
    block_on(async {
        let clients = Clients::new(&config.aws).await?;
        let wishes = Wishes {
            renew_credentials: arguments.renew_credentials,
        };
        let provisioner = Provisioner::new(&clients, &config, wishes);
        let plan = if arguments.destroy {
            provisioner.farewell(arguments.with_data).await?
        } else {
            provisioner.plan().await?
        };
        show(&mut context.output, &plan, arguments)?;
        let deletes = |plan: &Plan| {
            let mut steps = plan.steps.iter();
            steps.any(|step| matches!(step.action, Action::Delete { .. }))
        };
        if !arguments.dry_run {
            if deletes(&plan) && !arguments.yes && !confirmed(&config.aws.name_prefix)? {
                return Ok(Exit::Failed);
            }
            carry_out(&mut context.output, &provisioner, &plan).await?;
        }
        let mut steps = plan.steps.iter();
        let retained = steps.any(|step| matches!(step.action, Action::Retain { .. }));
        Ok(if retained { Exit::Failed } else { Exit::Done })
    })
}

/// A configuration that stands on this machine alone needs nothing of AWS.
pub(super) fn needs_aws(config: &Config) -> Result<(), Failure> {
    if config.aws.enabled {
        return Ok(());
    }
    Err(Failure::Usage {
        what: "aws.enabled is false: this configuration needs nothing of AWS".to_owned(),
        help: "name one that does, such as --config config/aws.toml".to_owned(),
    })
}

/// Waits for calls of the SDK, for which one thread is enough.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Threads)?;
    runtime.block_on(work)
}

fn show(out: &mut Output, plan: &Plan, arguments: &ProvisionArguments) -> io::Result<()> {
    if out.json() {
        out.document(&json!({
            "dry_run": arguments.dry_run,
            "destroy": arguments.destroy,
            "steps": plan.steps,
            "untouched": plan.untouched,
        }))?;
        return out.flush();
    }
    for step in &plan.steps {
        out.line(format_args!("{:<7} {}", step.action.verb(), step.resource))?;
        match &step.action {
            Action::Change { differences } => {
                for difference in differences {
                    out.line(format_args!("        {difference}"))?;
                }
            }
            Action::Retain { why } => out.line(format_args!("        {why}"))?,
            Action::Create | Action::Keep | Action::Delete { .. } => {}
        }
    }
    if plan.steps.is_empty() {
        out.line("nothing is there")?;
    }
    out.line("untouched:")?;
    for what in &plan.untouched {
        out.line(format_args!("        {what}"))?;
    }
    // The plan is to be seen before anything is done, by pipes too.
    out.flush()
}

async fn carry_out(
    out: &mut Output,
    provisioner: &Provisioner<'_>,
    plan: &Plan,
) -> Result<(), Failure> {
    if plan.is_idle() && !out.json() {
        out.line("nothing to do")?;
    }
    let quiet = out.json();
    provisioner
        .carry_out(plan, |step| {
            if !quiet {
                let past = match step.action {
                    Action::Create => "created",
                    Action::Change { .. } => "changed",
                    Action::Delete { .. } => "deleted",
                    Action::Keep | Action::Retain { .. } => "kept",
                };
                out.line(format_args!("{past} {}", step.resource))?;
                out.flush()?;
            }
            Ok(())
        })
        .await
}

fn confirmed(prefix: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage {
            what: "all of this would be deleted, and nobody can be asked".to_owned(),
            help: "--yes deletes it, --dry-run only shows it".to_owned(),
        });
    }
    eprint!("type `{prefix}` to delete all of this: ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == prefix)
}
