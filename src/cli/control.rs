//! `iyagi pause | resume | restart | scale`

use clap::Args;
use iyagi_messages::device::Platform;
use serde::Deserialize;
use serde_json::{Value, json};

use super::operations::encoded;
use super::{Context, Exit, Failure};

#[derive(Debug, Args)]
pub(super) struct ActorName {
    /// The actor's name, as `iyagi top` shows it; or `fcm` or `apns`, to hold up or let go what is sent by a push service.
    #[arg(value_name = "ACTOR")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) reason: Reason,
}

#[derive(Debug, Args)]
pub(super) struct Reason {
    /// Why, for whoever reads the journal.
    #[arg(long, value_name = "WHY")]
    because: Option<String>,
}

impl Reason {
    /// Says it in the body of an order.
    pub(super) fn add_to(&self, body: &mut Value) {
        if let Some(because) = &self.because {
            body["because"] = json!(because);
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ScaleArguments {
    /// The pool's name, as `iyagi top` shows it.
    pub(super) pool: String,
    /// How many workers it is to have.
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) workers: u32,
    #[command(flatten)]
    pub(super) reason: Reason,
}

/// What is wanted of an actor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Pause,
    Resume,
    Restart,
    Scale(u32),
}

#[derive(Debug, Deserialize)]
struct Actor {
    name: String,
    state: String,
    size: Option<u64>,
}

pub(super) fn order(
    context: &mut Context,
    name: &str,
    order: Order,
    reason: &Reason,
) -> Result<Exit, Failure> {
    let (verb, mut body) = match order {
        Order::Pause => ("pause", json!({})),
        Order::Resume => ("resume", json!({})),
        Order::Restart => ("restart", json!({})),
        Order::Scale(size) => ("scale", json!({ "size": size })),
    };
    reason.add_to(&mut body);
    let what = match order {
        Order::Pause | Order::Resume if name.parse::<Platform>().is_ok() => "platforms",
        _ => "actors",
    };
    let path = format!("/v1/ops/{what}/{}/{verb}", encoded(name));
    let answer: Value = context.operations()?.post(&path, &body)?;
    if context.output.json() {
        context.output.document(&answer)?;
        return Ok(Exit::Done);
    }
    let out = &mut context.output;
    match Actor::deserialize(&answer) {
        Ok(Actor {
            name,
            state,
            size: Some(size),
        }) => out.line(format_args!("{name}: {state}, {size} workers"))?,
        Ok(Actor { name, state, .. }) => out.line(format_args!("{name}: {state}"))?,
        // A daemon of another version did it all the same.
        Err(_) => out.line(format_args!("{name}: {verb} done"))?,
    }
    Ok(Exit::Done)
}
