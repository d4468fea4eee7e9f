//! `iyagi token`

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use iyagi_actors::ports::Clock;
use serde_json::json;

use super::{Context, Exit, Failure, RunFlags};
use crate::auth::local_issuer::LocalIssuer;
use crate::clock::SystemClock;
use crate::config::AuthMode;

#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// Who it speaks for: the id of their vertex in the graph.
    #[arg(long, value_name = "PERSON", value_parser = NonEmptyStringValueParser::new())]
    sub: String,
    /// A group that they are in; `auth.admin_group` names the one that may read what is not theirs.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// For how many minutes it holds.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
}

pub(super) fn token(context: &mut Context, arguments: &TokenArguments) -> Result<Exit, Failure> {
    let config = context.load(&RunFlags::default())?.config;
    if config.auth.mode == AuthMode::Cognito {
        return Err(Failure::Usage {
            what: "tokens are made by a user pool of Cognito here, and by nobody else".to_owned(),
            help: "sign in with the app, or with `aws cognito-idp initiate-auth`".to_owned(),
        });
    }
    let issuer = LocalIssuer::open(&config.data.dir)?;
    let lifetime = Duration::from_secs(arguments.minutes * 60);
    let (sub, groups) = (&arguments.sub, &arguments.groups);
    let token = issuer.token(sub, groups, SystemClock.now(), lifetime)?;
    if context.output.json() {
        let expires_in = lifetime.as_secs();
        context.output.object(
            &json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in }),
        )?;
    } else {
        context.output.line(token)?;
    }
    Ok(Exit::Done)
}
