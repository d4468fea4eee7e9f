//! What a request to the public listener brings, for a daemon that makes its tokens itself.

use std::path::Path;
use std::time::Duration;

use iyagi::auth::local_issuer::LocalIssuer;
use iyagi::clock::SystemClock;
use iyagi_actors::ports::Clock;

/// The `Authorization` of somebody, by the key of a data folder. It holds for an hour.
pub(crate) fn bearer(data: &Path, person: &str, groups: &[&str]) -> String {
    let issuer = LocalIssuer::open(data).expect("a key");
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let lifetime = Duration::from_hours(1);
    let token = issuer.token(person, &groups, SystemClock.now(), lifetime);
    format!("Bearer {}", token.expect("a token"))
}
